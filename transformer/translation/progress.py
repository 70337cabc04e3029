"""How far a translation has come, on standard error where that is a terminal."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    track,
)

from transformer.translation.lines import Lines, Window

T = TypeVar("T")


def with_progress(items: Iterable[T], doing: str = "translating") -> Iterable[T]:
    """The same items, counted on standard error where that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return items
    return track(items, doing, console=console, transient=True)


@contextmanager
def line_progress(lines: Lines, *, wanted: bool) -> Iterator[Callable[[Window], None]]:
    """A function that shows how far `lines` are translated: up to the end of a window.

    Where it is not `wanted`, or there is no terminal, it does nothing.
    """
    console = Console(stderr=True)
    if not (wanted and console.is_terminal):
        yield lambda _: None
        return
    progress = Progress(
        TextColumn("{task.fields[n]} lines, {task.fields[rate]:.1f} lines/s"),
        *_columns(lines.size),
        console=console,
        transient=True,
        speed_estimate_period=600,
    )
    before = lines.n_skipped
    task = progress.add_task("", total=lines.size, completed=lines.position, n=before, rate=0.0)
    began = time.monotonic()

    def show(window: Window) -> None:
        rate = (window.end - before) / (time.monotonic() - began)
        progress.update(task, completed=window.position, n=window.end, rate=rate)

    with _started(progress):
        yield show


def _columns(size: int | None) -> list[ProgressColumn]:
    """Of a file, the share of its bytes and the time left."""
    if size is None:
        return []
    return [
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
    ]


@contextmanager
def _started(progress: Progress) -> Iterator[None]:
    """Shows `progress`, below what is logged."""
    stderr = sys.stderr
    streams = [h for h in logging.root.handlers if isinstance(h, logging.StreamHandler)]
    handlers = [handler for handler in streams if handler.stream is stderr]
    with progress:
        # The log goes where the live line, in place of sys.stderr, makes room for it.
        for handler in handlers:
            handler.setStream(sys.stderr)
        try:
            yield
        finally:
            for handler in handlers:
                handler.setStream(stderr)
