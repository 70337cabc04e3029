"""The curves of a run, read as TensorBoard reads them."""

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_HEAD = 12  # bytes before a record: its length, and a checksum of that
_TAIL = 4  # the checksum behind it


@dataclass(frozen=True)
class Curve:
    """The points of a curve; `times` are seconds since 1970."""

    updates: list[int]
    values: list[float]
    times: list[float]


@dataclass(frozen=True)
class Scalars:
    """The curves of a run by name, and what is wrong with their files."""

    curves: dict[str, Curve] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def last(self, name: str) -> float | None:
        """The last value of a curve; None where there is no such curve."""
        curve = self.curves.get(name)
        return curve.values[-1] if curve else None

    def last_updates(self) -> list[int]:
        """The last update of each curve."""
        return [curve.updates[-1] for curve in self.curves.values()]

    @property
    def ended(self) -> float | None:
        """When the last point was made, in seconds since 1970."""
        return max((curve.times[-1] for curve in self.curves.values()), default=None)

    @property
    def minutes(self) -> float | None:
        """From the first point to the last, pauses included; None where there are not two."""
        times = [time for curve in self.curves.values() for time in curve.times]
        return (max(times) - min(times)) / 60 if len(set(times)) > 1 else None


def read_scalars(folder: Path) -> Scalars:
    """The curves in a run's `tensorboard`; of a run that was resumed as TensorBoard shows them."""
    files = sorted(folder.glob("*tfevents*")) if folder.is_dir() else []
    if not files:
        return Scalars(
            notes=["There are no curves: tensorboard/ is missing or empty; training writes it."]
        )
    notes = [
        f"tensorboard/{file.name} is damaged or cut off; the points behind that place are missing."
        for file in files
        if not _is_whole(file)
    ]
    curves = _read(folder)
    if not curves and not notes:
        notes = ["There are no points yet; the first comes after training.log_every updates."]
    return Scalars(curves, notes)


def _read(folder: Path) -> dict[str, Curve]:
    # It takes a second, which only this command needs.
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]  # noqa: PLC0415
        SCALARS,
        EventAccumulator,
    )

    with _quiet():
        found = EventAccumulator(str(folder), size_guidance={SCALARS: 0})
        found.Reload()
    curves = {}
    for name in found.Tags()[SCALARS]:
        points = found.Scalars(name)
        curves[name] = Curve(
            updates=[point.step for point in points],
            values=[point.value for point in points],
            times=[point.wall_time for point in points],
        )
    return {name: curve for name, curve in curves.items() if curve.updates}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what TensorBoard says of files, which the page says itself, from the terminal."""
    logger = logging.getLogger("tensorboard")
    level, logger.level = logger.level, logging.CRITICAL
    try:
        yield
    finally:
        logger.level = level


def _is_whole(file: Path) -> bool:
    """Whether the records of an event file follow each other to its end.

    TensorBoard stops at the first that is not whole without a word.
    """
    try:
        size, place = file.stat().st_size, 0
        with file.open("rb") as stream:
            while place + _HEAD + _TAIL <= size:
                stream.seek(place)
                (length,) = struct.unpack("<Q", stream.read(8))
                place += _HEAD + length + _TAIL
    except OSError:
        return False
    return place == size
