"""Batches of about equal size in tokens, in shapes from a grid, in an order that a seed fixes."""

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from transformer.text.tokenizer import PAD_ID

Lengths = NDArray[np.int32]
Rows = NDArray[np.int64]
Plan = list[Rows]  # the rows of each batch, in training order

PREFETCH = 4  # batches that each worker holds ready
EXACT_TO = 16  # grid lengths are exact up to here,
STEPS = 8  # then so many to an octave


@dataclass
class Batch:
    """Sentence pairs as tensors of ids, padded on the right with PAD."""

    source: Tensor  # [B, S] pieces, EOS
    target: Tensor  # [B, T] what the decoder reads: BOS, pieces
    labels: Tensor  # [B, T] what it is to write: pieces, EOS
    label_positions: Tensor  # [n_target_tokens] where labels.flatten() is no padding
    n_source_tokens: int  # without padding, EOS counted
    n_target_tokens: int
    # [n_links, 3] row, position in labels, position in source of pieces that translate each
    # other, where the corpus has alignments; EOS has no links.
    links: Tensor | None = None

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "Batch":
        """The batch on `device`."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory, from which copies to a GPU need not be waited for."""
        return self._each(Tensor.pin_memory)

    def split(self) -> tuple["Batch", "Batch"]:
        """The first rows, at least half of them, and the others; padded as they are here.

        Waits for the device. There must be two rows or more.
        """
        B, T = self.labels.shape
        assert B > 1
        middle = (B + 1) // 2
        return self._rows(0, middle, T), self._rows(middle, B, T)

    def _rows(self, start: int, stop: int, T: int) -> "Batch":
        source = self.source[start:stop]
        at = self.label_positions
        positions = at[(at >= start * T) & (at < stop * T)] - start * T
        links = self.links
        if links is not None:
            links = links[(links[:, 0] >= start) & (links[:, 0] < stop)]
            links = links - links.new_tensor([start, 0, 0])
        return Batch(
            source,
            self.target[start:stop],
            self.labels[start:stop],
            positions,
            int((source != PAD_ID).sum()),
            len(positions),
            links,
        )

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The batch with `change` made to every tensor."""
        fields: dict[str, Any] = {
            name: change(value) if isinstance(value, Tensor) else value
            for name, value in vars(self).items()
        }
        return Batch(**fields)


class Split(Protocol):
    """What batches are made from."""

    def batch(self, rows: Rows) -> Batch:
        """The pairs numbered `rows`, in that order."""


def pad(rows: Sequence[Sequence[int]], length: int) -> Tensor:
    """int64 [rows, length], filled up on the right with PAD."""
    padded = torch.full((len(rows), length), PAD_ID)
    for row, ids in zip(padded, rows, strict=True):
        row[: len(ids)] = torch.tensor(ids, dtype=torch.int64)
    return padded


def grid_length(n: int) -> int:
    """`n` rounded up to a bounded set of lengths: all to 16, then 8 to an octave.

    Few distinct shapes let compiled code and memory be reused; padding grows by at most 1/8.
    """
    if n <= EXACT_TO:
        return n
    octave = 1 << (n - 1).bit_length() - 1  # octave < n <= 2 * octave
    step = octave // STEPS
    return -(-n // step) * step


def plan_epoch(
    source_lengths: Lengths,
    target_lengths: Lengths,
    batch_tokens: int,
    seed: int,
    epoch: int,
    *,
    rows: Rows | None = None,
    leg: int = 0,
) -> Plan:
    """The batches of an epoch: every row once, in an order that only (seed, epoch) change.

    A batch of n rows has n times its longer padded side at most `batch_tokens`; a row that is
    longer than that stands alone. Where `batch_tokens` changes midway, what is left of the epoch
    is planned anew: `leg` counts those changes, and `rows` are the ones left, in any order.
    """
    entropy = [seed, epoch, leg] if leg else [seed, epoch]
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
    left = np.arange(len(source_lengths)) if rows is None else np.sort(rows)
    shuffled = left[generator.permutation(len(left))]
    batches = _cut(shuffled, source_lengths, target_lengths, batch_tokens)
    return [batches[i] for i in generator.permutation(len(batches))]


def plan_in_order(source_lengths: Lengths, target_lengths: Lengths, batch_tokens: int) -> Plan:
    """The batches of a validation: every row once, from short to long."""
    return _cut(np.arange(len(source_lengths)), source_lengths, target_lengths, batch_tokens)


def padding_share(plan: Plan, source_lengths: Lengths, target_lengths: Lengths) -> float:
    """The share of padding in all tokens of all batches, source and target together."""
    real = padded = 0
    for rows in plan:
        for lengths in (source_lengths[rows], target_lengths[rows]):
            real += int(lengths.sum())
            padded += len(rows) * grid_length(int(lengths.max()))
    return 1 - real / padded if padded else 0.0


def make_loader(
    split: Split, plan: Plan, *, start: int = 0, workers: int = 0, pin_memory: bool = False
) -> DataLoader[Batch]:
    """The batches of `plan` from number `start` on, made by `workers` processes ahead of need.

    With workers=0 they are made in this process, as they are asked for.
    """
    return DataLoader(
        _Planned(split, plan[start:]),
        batch_size=None,
        num_workers=workers,
        # Whoever asks all processes of a run to end means its own loop, which still needs these;
        # what loses its parent ends by itself.
        worker_init_fn=_ignore_signals if workers else None,
        prefetch_factor=PREFETCH if workers else None,
        pin_memory=pin_memory,
        # Its own generator: a loader otherwise draws from the global one, which dropout uses.
        generator=torch.Generator(),
    )


def _ignore_signals(_: int) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


class _Planned(Dataset[Batch]):
    """The batches of a plan by their number, for a DataLoader."""

    def __init__(self, split: Split, plan: Plan) -> None:
        self._split = split
        self._plan = plan

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, index: int) -> Batch:
        return self._split.batch(self._plan[index])


def _cut(rows: Rows, source: Lengths, target: Lengths, batch_tokens: int) -> Plan:
    """`rows` in the order of `_by_shape`, cut into batches as large as the budget allows."""
    longest, order = _by_shape(source[rows], target[rows])
    rows, longest = rows[order], longest[order]
    plan = []
    start = 0
    while start < len(rows):
        window = longest[start : start + max(1, batch_tokens // int(longest[start]))]
        sizes = window * np.arange(1, len(window) + 1)  # of the batch that ends here
        stop = start + max(1, int(np.searchsorted(sizes, batch_tokens, side="right")))
        plan.append(rows[start:stop])
        start = stop
    return plan


def _by_shape(source: Lengths, target: Lengths) -> tuple[Rows, Rows]:
    """The longer side of each pair, on the grid, and an order of like shapes next to each other.

    That order is by the longer side, then by source minus target, falling where it rose before:
    so neighbours differ little also where the longer side changes. Sorted by target and source
    instead, batches of 4,096 tokens of Multi30k hold 7.0 % padding and not 4.2 %.
    """
    n_lengths = 1 + max(int(source.max(initial=0)), int(target.max(initial=0)))
    grid = np.array([grid_length(n) for n in range(n_lengths)])
    _, bucket = np.unique(grid, return_inverse=True)
    longest = np.maximum(source, target)
    difference = grid[source] - grid[target]
    rising = bucket[longest] % 2 == 0
    serpentine = np.where(rising, difference, -difference)
    return grid[longest], np.lexsort((serpentine, grid[longest]))
