"""A live line on the terminal, and the file that holds the log."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

logger = logging.getLogger(__name__)


class Display:
    """A live line on standard error, where that is a terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self.live = console.is_terminal
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not self.live,
        )
        self.task = self.progress.add_task("starting", total=1.0)
        stderr = sys.stderr
        self.progress.start()
        # The log goes where the display, now in place of sys.stderr, can make room for it.
        self.handlers = [handler for handler in stream_handlers() if handler.stream is stderr]
        self.stderr = stderr
        for handler in self.handlers:
            handler.setStream(sys.stderr)

    def show(self, share_done: float, text: str | None = None) -> None:
        """Move the bar to `share_done` of 1."""
        if text is None:
            self.progress.update(self.task, completed=share_done)
        else:
            self.progress.update(self.task, completed=share_done, description=text)

    def close(self) -> None:
        """Take the line away."""
        self.progress.stop()
        for handler in self.handlers:
            handler.setStream(self.stderr)


def stream_handlers() -> list[logging.StreamHandler[Any]]:
    """The handlers of the root logger that write to a stream."""
    return [h for h in logging.root.handlers if isinstance(h, logging.StreamHandler)]


class RunLog(logging.FileHandler):
    """The log of a run in a file; where that cannot be written, one warning, then silence."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, encoding="utf-8", delay=True)
        self.broken = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record`, unless an earlier one could not be written."""
        if self.broken:
            return
        try:
            super().emit(record)
        except OSError:  # of opening the file
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Warn of the error under way."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self.broken = True
        logger.warning(
            "%s is no longer written: %s", self.baseFilename, error.strerror or str(error)
        )

    def close(self) -> None:
        """Close the file; what a full disk does not take is lost."""
        with suppress(OSError):
            super().close()


@contextmanager
def log_to(file: Path) -> Iterator[None]:
    """Writes the log of this package to `file` too, after what is there; first the remembered."""
    handler = RunLog(file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for earlier in logging.getLogger("transformer").handlers:
        if isinstance(earlier, Memory):
            earlier.hand_over(handler)
    with handled(handler):
        yield


class Memory(logging.Handler):
    """Keeps what is logged before there is a file for it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep `record`."""
        self.records.append(record)

    def hand_over(self, handler: logging.Handler) -> None:
        """Let `handler` have what was kept, and keep nothing more."""
        for record in self.records:
            handler.handle(record)
        self.records = []
        self.setLevel(logging.CRITICAL + 1)


@contextmanager
def remembered() -> Iterator[None]:
    """Keeps the log of this package for the file that `log_to` opens within the context."""
    with handled(Memory()):
        yield


@contextmanager
def handled(handler: logging.Handler) -> Iterator[None]:
    """Lets `handler` have the log of this package, from INFO up."""
    package = logging.getLogger("transformer")
    package.addHandler(handler)
    level = package.level
    package.setLevel(logging.INFO)
    try:
        yield
    finally:
        package.setLevel(level)
        package.removeHandler(handler)
        handler.close()
