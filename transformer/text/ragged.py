"""Lists of numbers of unequal lengths in flat files, mapped into memory."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

BLOCK = 4  # numbers that belong together in `Ragged.blocks`
ENDINGS = ("numbers", "offsets", "lengths")


class Lists(NamedTuple):
    """Lists of numbers in memory, one behind the other."""

    numbers: NDArray[np.int32]
    lengths: NDArray[np.int32]

    @classmethod
    def of(cls, lists: Sequence[Sequence[int]]) -> Self:
        """The same lists."""
        lengths = np.fromiter(map(len, lists), np.int32, len(lists))
        n = int(lengths.sum())
        return cls(np.fromiter(chain.from_iterable(lists), np.int32, n), lengths)

    def rows(self) -> list[list[int]]:
        """Each list by itself."""
        ends = np.cumsum(self.lengths).tolist()
        return [self.numbers[i:j].tolist() for i, j in zip([0, *ends], ends, strict=False)]

    def chosen(self, rows: NDArray[np.bool_]) -> Self:
        """The lists where `rows` is True."""
        return type(self)(self.numbers[np.repeat(rows, self.lengths)], self.lengths[rows])


class Ragged:
    """Lists of numbers left in their file until they are asked for."""

    def __init__(
        self,
        numbers: NDArray[np.uint16] | NDArray[np.int32],
        offsets: NDArray[np.int64],
        lengths: NDArray[np.int32],
    ) -> None:
        self._numbers = numbers
        self._offsets = offsets  # where each list begins
        self.lengths = lengths  # of each list, and one more
        self.n_rows = len(lengths)

    @classmethod
    def open(cls, stem: Path, n_rows: int) -> Self:
        """The lists that a RaggedWriter wrote."""
        numbers, offsets, lengths = (_file(stem, ending) for ending in ENDINGS)
        narrow = numbers.with_suffix(".uint16")
        found = _mapped(narrow, np.uint16) if narrow.exists() else _mapped(numbers, np.int32)
        opened = cls(found, _mapped(offsets, np.int64), _mapped(lengths, np.int32))
        assert opened.n_rows == n_rows
        return opened

    def padded(self, rows: NDArray[np.int64], width: int, fill: int) -> NDArray[np.int64]:
        """int64 [rows, width]: the lists numbered `rows`, filled up on the right with `fill`."""
        columns = np.arange(width)
        if not len(self._numbers):
            return np.full((len(rows), width), fill)
        places = self._offsets[rows][:, None] + columns
        # Past its end a list goes on with the next one, and the last with the end of the file.
        found = self._numbers.take(places, mode="clip")
        return np.where(columns < self.lengths[rows, None] - 1, found, np.int64(fill))

    def blocks(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 [blocks, 1 + BLOCK]: the place in `rows` of each block in their lists, and it."""
        lengths = self.lengths[rows] - 1
        width = int(lengths.max(initial=0))
        values = self.padded(rows, width, 0)[np.arange(width) < lengths[:, None]]
        owners = np.repeat(np.arange(len(rows)), lengths // BLOCK)
        return np.concatenate([owners[:, None], values.reshape(-1, BLOCK)], axis=1)

    def lists(self, start: int, stop: int) -> Lists:
        """The lists numbered from `start` on, before `stop`."""
        lengths = self.lengths[start:stop] - 1
        first = int(self._offsets[start]) if start < stop else 0
        numbers = self._numbers[first : first + int(lengths.sum())]
        return Lists(numbers.astype(np.int32), lengths.astype(np.int32))


class RaggedWriter:
    """Writes lists one behind the other; `largest` is the largest number that may come."""

    def __init__(self, stem: Path, largest: int) -> None:
        self._type = np.uint16 if largest < 1 << 16 else np.int32
        numbers, offsets, lengths = (_file(stem, ending) for ending in ENDINGS)
        if self._type is np.uint16:
            numbers = numbers.with_suffix(".uint16")
        self._stack = ExitStack()
        self._numbers, self._offsets, self._lengths = (
            self._stack.enter_context(file.open("wb")) for file in (numbers, offsets, lengths)
        )
        self._next = 0

    def append(self, lists: Lists) -> None:
        """Write further lists."""
        ends = self._next + np.cumsum(lists.lengths, dtype=np.int64)
        self._numbers.write(lists.numbers.astype(self._type).data)
        self._offsets.write((ends - lists.lengths).data)
        self._lengths.write((lists.lengths + np.int32(1)).data)
        if len(ends):
            self._next = int(ends[-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)


def write_lists(stem: Path, parts: Iterable[Lists], largest: int) -> int:
    """Write lists, part by part; how many there were."""
    n = 0
    with RaggedWriter(stem, largest) as writer:
        for part in parts:
            writer.append(part)
            n += len(part.lengths)
    return n


def _file(stem: Path, ending: str) -> Path:
    return stem.with_name(f"{stem.name}.{ending}")


def _mapped(file: Path, kind: type[np.generic]) -> NDArray[Any]:
    if file.stat().st_size == 0:
        return np.zeros(0, kind)
    return np.asarray(np.memmap(file, kind, mode="r"))  # a memmap itself is slow to index
