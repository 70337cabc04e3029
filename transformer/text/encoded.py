"""Sentence pairs as ids in flat files of numbers, from which batches are read."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from transformer.text.batching import Batch, Lengths, Rows, grid_length
from transformer.text.ragged import Lists, Ragged
from transformer.text.sampling import Sampling, batch_of, unpadded
from transformer.text.tokenizer import BOS_ID, EOS_ID, PAD_ID

BLOCK = 1_000  # pairs cut anew at once


@dataclass(frozen=True)
class Content:
    """What the description of an encoded split says."""

    rows: int
    aligned: bool

    @classmethod
    def read(cls, stem: Path) -> Self:
        """That of the split whose files are named `stem`."""
        values: dict[str, Any] = json.loads(description(stem).read_text(encoding="utf-8"))
        return cls(**values)


def description(stem: Path) -> Path:
    """The file that is written last."""
    return stem.with_name(f"{stem.name}.json")


class EncodedSplit:
    """Sentence pairs as ids, left in the files until a batch asks for them."""

    def __init__(self, stem: Path, sampling: Sampling | None = None) -> None:
        self._stem = stem
        self.sampling = sampling  # how pairs are cut anew in each epoch; None: they stay
        content = Content.read(stem)
        self._source = Ragged.open(stem.with_name(f"{stem.name}.source"), content.rows)
        self._target = Ragged.open(stem.with_name(f"{stem.name}.target"), content.rows)
        self.aligned = content.aligned  # then batches have links
        self._links = None
        if self.aligned:
            self._links = Ragged.open(stem.with_name(f"{stem.name}.links"), content.rows)

    def __reduce__(self) -> tuple[type[Self], tuple[Path, Sampling | None]]:
        return type(self), (self._stem, self.sampling)

    def __len__(self) -> int:
        return self._source.n_rows

    @property
    def sampled(self) -> bool:
        """Whether each epoch has other cuts of the same text."""
        return self.sampling is not None

    @property
    def source_lengths(self) -> Lengths:
        """int32 [rows], EOS counted, left in the file; as stored, not as sampled."""
        return self._source.lengths

    @property
    def target_lengths(self) -> Lengths:
        """The same of the target."""
        return self._target.lengths

    def lengths(self, rows: Rows, epoch: int) -> tuple[Lengths, Lengths]:
        """Tokens of source and target of the pairs numbered `rows`, EOS counted, as in `batch`."""
        source, target = self.source_lengths[rows], self.target_lengths[rows]
        if self.sampling is None:
            return source, target
        for start in range(0, len(rows), BLOCK):
            part = slice(start, start + BLOCK)
            sides = self._cut(rows[part], source[part], target[part], epoch)
            for lengths, cut in zip((source, target), sides, strict=True):
                lengths[part] = [len(row) + 1 for row in cut]
        return source, target

    def _cut(
        self, rows: Rows, source_lengths: Lengths, target_lengths: Lengths, epoch: int
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Both sides of the pairs numbered `rows` as `epoch` cuts them, without EOS."""
        assert self.sampling is not None
        source, target = (
            unpadded(column.padded(rows, int(lengths.max()), PAD_ID), lengths - 1)
            for column, lengths in ((self._source, source_lengths), (self._target, target_lengths))
        )
        return self.sampling.cut(source, target, rows, epoch)

    def lists(self, start: int, stop: int) -> dict[str, Lists]:
        """The ids, and links where there are some, of the pairs from `start` on, before `stop`."""
        sides = {"source": self._source, "target": self._target}
        if self._links is not None:
            sides["links"] = self._links
        return {name: side.lists(start, stop) for name, side in sides.items()}

    def batch(self, rows: Rows, epoch: int = 0) -> Batch:
        """The pairs numbered `rows`, in that order, padded to lengths on the grid.

        `epoch` matters where they are cut anew in each.
        """
        source_lengths, target_lengths = self.source_lengths[rows], self.target_lengths[rows]
        if self.sampling is not None:
            return batch_of(*self._cut(rows, source_lengths, target_lengths, epoch))
        every = np.arange(len(rows))
        source = self._source.padded(rows, grid_length(int(source_lengths.max())), PAD_ID)
        labels = self._target.padded(rows, grid_length(int(target_lengths.max())), PAD_ID)
        target = np.empty_like(labels)
        target[:, 0], target[:, 1:] = BOS_ID, labels[:, :-1]
        source[every, source_lengths - 1] = EOS_ID
        labels[every, target_lengths - 1] = EOS_ID
        return Batch(
            torch.from_numpy(source),
            torch.from_numpy(target),
            torch.from_numpy(labels),
            torch.from_numpy(np.flatnonzero(labels != PAD_ID)),
            int(source_lengths.sum()),
            int(target_lengths.sum()),
            None if self._links is None else torch.from_numpy(unfold(self._links.blocks(rows))),
        )


def unfold(blocks: NDArray[np.int64]) -> NDArray[np.int64]:
    """The links [n_links, 3] of `Batch` in blocks [n, 5] of row, target and source pieces."""
    row, target, target_stop, source, source_stop = blocks.T
    width = source_stop - source
    sizes = (target_stop - target) * width
    block = np.repeat(np.arange(len(blocks)), sizes)
    place = np.arange(len(block)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # in its block
    down, across = np.divmod(place, width[block])
    return np.stack([row[block], target[block] + down, source[block] + across], axis=1)
