"""Chunks: runs of rows of a corpus that are cleaned, and later encoded, as one task."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transformer.errors import InputError
from transformer.text.preparing.texts import read_columns

ROWS = 25_000  # of a chunk, as they are read


def write_json(file: Path, content: Any) -> None:
    """Write a file that is there whole or not at all."""
    aside = file.with_name(f"{file.name}.part")
    aside.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    aside.replace(file)


def read_json(file: Path) -> Any:
    """What `write_json` wrote; InputError where it is damaged."""
    try:
        return json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise damaged(file) from error


def damaged(file: Path) -> InputError:
    """The error for what an interrupted build left, and a crash of the machine has altered."""
    return InputError(f"{file} is damaged and was removed; run again to prepare from the beginning")


@dataclass(frozen=True)
class Chunk:
    """The files of one chunk, in the folder of a build under way."""

    folder: Path
    corpus: int
    number: int

    def file(self, ending: str) -> Path:
        """A file of the chunk."""
        return self.folder / f"{self.corpus:03d}-{self.number:06d}.{ending}"

    def finish(self, stage: str, told: dict[str, Any]) -> None:
        """Say that a stage is done, by the file that is written last."""
        write_json(self.file(f"{stage}.json"), told)

    def finished(self, stage: str) -> bool:
        """Whether the stage is done."""
        return self.file(f"{stage}.json").exists()

    def told(self, stage: str) -> dict[str, Any]:
        """What a stage that is done has told."""
        found: dict[str, Any] = read_json(self.file(f"{stage}.json"))
        return found


@dataclass(frozen=True)
class Chunks:
    """All chunks of a build, cleaned: which rows they hold and which of those are duplicates."""

    chunks: Sequence[Chunk]
    sizes: NDArray[np.int64]  # rows that cleaning kept, of each chunk
    fields: Sequence[tuple[str, ...]]  # of each corpus
    duplicates: Path | None  # a byte a row: 1 where it is one; None: they are not looked for

    @property
    def starts(self) -> NDArray[np.int64]:
        """The number of the first row of each chunk, and of all rows."""
        return np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)

    def kept(self, index: int) -> NDArray[np.bool_]:
        """True for each row of a chunk that is no duplicate."""
        size = int(self.sizes[index])
        if self.duplicates is None or size == 0:
            return np.ones(size, np.bool_)
        start = int(self.starts[index])
        flags = np.fromfile(self.duplicates, np.bool_, size, offset=start)
        return ~flags

    def columns(self, index: int) -> list[list[str]]:
        """The texts of a chunk, duplicates among them."""
        chunk = self.chunks[index]
        try:
            columns = read_columns(chunk.file("text"), len(self.fields[chunk.corpus]))
        except UnicodeDecodeError as error:
            raise damaged(chunk.file("text")) from error
        if any(len(column) != self.sizes[index] for column in columns):
            raise damaged(chunk.file("text"))
        return columns

    def kept_columns(self, index: int) -> list[list[str]]:
        """The texts of a chunk but for duplicates."""
        kept = self.kept(index)
        columns = self.columns(index)
        if kept.all():
            return columns
        rows = np.flatnonzero(kept).tolist()
        return [[column[row] for row in rows] for column in columns]


class Sample:
    """Pairs drawn from all chunks without replacement, in their order: each as likely.

    How many come of a chunk is drawn first, so that nothing as large as the corpus is held.
    """

    def __init__(self, chunks: Chunks, size: int, seed: int) -> None:
        self._chunks = chunks
        self._counts = [int(chunks.kept(i).sum()) for i in range(len(chunks.chunks))]
        self.total = sum(self._counts)
        self._size = min(size, self.total)
        self._seed = seed

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[tuple[str, str]]:
        generator = np.random.Generator(np.random.PCG64(self._seed))
        left_to_draw, left = self._size, self.total
        for index, count in enumerate(self._counts):
            n = count
            if left_to_draw < left:
                n = int(_hypergeometric(generator, count, left - count, left_to_draw))
            left, left_to_draw = left - count, left_to_draw - n
            if n == 0:
                continue
            source, target = self._chunks.kept_columns(index)[:2]
            rows = range(count)
            if n < count:
                rows = sorted(generator.choice(count, n, replace=False).tolist())  # type: ignore[assignment]
            for row in rows:
                yield source[row], target[row]


def _hypergeometric(generator: np.random.Generator, good: int, bad: int, n: int) -> int:
    """How many of `n` drawn are of the `good`."""
    if good + bad < 10**9:  # what NumPy's draw takes
        return int(generator.hypergeometric(good, bad, n))
    drawn = int(
        generator.binomial(n, good / (good + bad))
    )  # at such numbers the same but for a hair
    return min(max(drawn, n - bad), good)
