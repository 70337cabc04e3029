"""How far a preparation has come: a live line on a terminal, else lines of the log."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Live

LOGGER = logging.getLogger(__name__)
EVERY_S = 30.0  # between two lines of the log


class Progress:
    """Counts rows, and what of the total is done."""

    def __init__(self, doing: str, total: int | None, live: Live | None) -> None:
        self._doing, self._total, self._live = doing, total, live
        self._done = self._rows = 0
        self._began = self._logged = time.monotonic()
        self._task = None if live is None else live.add_task(doing, total=total, rate="")

    def advance(self, n: int) -> None:
        """`n` more of the total are done."""
        self._done += n
        if self._live is not None and self._task is not None:
            self._live.update(self._task, completed=self._done)

    def rows(self, n: int) -> None:
        """`n` more rows have come out."""
        self._rows += n
        now = time.monotonic()
        rate = self._rows / max(now - self._began, 1e-9)
        if self._live is not None and self._task is not None:
            text = f"{self._rows:,} pairs, {rate:,.0f} pairs/s"
            self._live.update(self._task, rate=text)
        elif now - self._logged >= EVERY_S:
            self._logged = now
            LOGGER.info(
                "%s: %s pairs, %s pairs/s%s",
                *(self._doing, f"{self._rows:,}", f"{rate:,.0f}", self._left(now)),
            )

    def _left(self, now: float) -> str:
        if not self._total or not self._done:
            return ""
        share = min(self._done / self._total, 1.0)
        left = (now - self._began) * (1 - share) / share
        return f", {share:.0%}, about {left / 60:.0f} min left"


@contextmanager
def progress(doing: str, total: int | None) -> Iterator[Progress]:
    """What counts towards `total`, which is null where it is not known."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Progress(doing, total, None)
        return
    live = Live(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=console,
        transient=True,
        speed_estimate_period=600,
    )
    with live:
        yield Progress(doing, total, live)
