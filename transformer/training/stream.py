"""The order of the data: batches grouped into updates, from any position on."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count, tee
from typing import Any, NamedTuple, Self

import numpy as np
import torch

from transformer.config import TrainSettings
from transformer.text.batching import (
    Batch,
    Plan,
    Rows,
    Sizes,
    make_loader,
    measure,
    padding_share,
    plan_epoch,
)
from transformer.text.dataset import EncodedSplit
from transformer.training.distributed import Processes
from transformer.training.loading import Upload, ahead, wait_for_closing

GPU_PREFETCH = 4  # updates, where data.prefetch is null


class Leg(NamedTuple):
    """A stretch of an epoch under one budget of tokens."""

    batch_tokens: int
    batches: int  # done


@dataclass(frozen=True)
class Position:
    """Where a run stands in its data; with the seed and the settings it says what comes next.

    Neither the number of processes nor training.accumulate is part of it, so they may change.
    """

    update: int = 0  # updates done
    epoch: int = 0  # epochs finished
    legs: tuple[Leg, ...] = ()  # of the epoch under way; a new one where the budget changes

    def state(self) -> dict[str, Any]:
        """The position as plain numbers."""
        return {"update": self.update, "epoch": self.epoch, "legs": [list(x) for x in self.legs]}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The position that gave `state`."""
        return cls(state["update"], state["epoch"], tuple(Leg(*leg) for leg in state["legs"]))


@dataclass(frozen=True)
class Work:
    """A batch of an update."""

    batch: Batch
    rows: Rows  # its pairs, by their numbers in the training split
    seed: int  # of its dropout
    counts: bool = True  # False: computed for company only, where all processes must compute


@dataclass(frozen=True)
class UpdateBatches:
    """One update: this process's share of it, and where the run stands when it is done."""

    work: Sequence[Work]
    n_source_tokens: int  # of all processes, like the two below; without padding, EOS counted
    n_target_tokens: int
    n_padded_tokens: int  # of both sides, padding included
    position: Position
    epochs: float  # epochs done then, as a fraction


class Share(NamedTuple):
    """What a process computes of an update: one batch."""

    rows: Rows
    seed: int
    counts: bool


class Outline(NamedTuple):
    """An update before its batches are made; for the rest see UpdateBatches."""

    shares: list[Share]
    n_source_tokens: int
    n_target_tokens: int
    n_padded_tokens: int
    position: Position
    epochs: float


class PlannedEpoch(NamedTuple):
    """What is left of an epoch."""

    number: int
    legs: tuple[Leg, ...]
    plan: Plan  # of the last leg
    sizes: Sizes


class UpdateStream:
    """All updates of a run, endlessly.

    The order of epoch e is a pure function of the data, the seed, e and the budgets of its legs.
    """

    def __init__(
        self,
        split: EncodedSplit,
        settings: TrainSettings,
        batch_tokens: int,
        *,
        on_gpu: bool,
        processes: Processes,
    ) -> None:
        self.split = split
        self.batch_tokens = batch_tokens
        self.accumulate = settings.training.accumulate
        self.in_step = settings.training.parallel.shard
        self.seed = settings.seed
        self.on_gpu = on_gpu
        self.processes = processes
        self.workers = settings.data.workers
        prefetch = settings.data.prefetch
        self.prefetch = (GPU_PREFETCH if on_gpu else 0) if prefetch is None else prefetch

    def plan(self, epoch: int, legs: Sequence[Leg] = ()) -> Plan:
        """The rows of each batch of the last of `legs`; without legs, of the whole epoch."""
        rows = None
        plan: Plan = []
        for number, leg in enumerate(legs or [Leg(self.batch_tokens, 0)]):
            if plan:
                rows = np.concatenate(plan[legs[number - 1].batches :])
            plan = plan_epoch(
                self.split.source_lengths,
                self.split.target_lengths,
                leg.batch_tokens,
                self.seed,
                epoch,
                rows=rows,
                leg=number,
            )
        return plan

    def padding_share(self) -> float:
        """The share of padding in the first epoch's batches, over both sides."""
        lengths = self.split.source_lengths, self.split.target_lengths
        return padding_share(self.plan(0), *lengths)

    def updates(self, position: Position) -> Generator[UpdateBatches]:
        """The updates after `position`; the last one of an epoch may have fewer batches.

        A thread makes `prefetch` of them before they are asked for, and another one plans the next
        epoch; closing the generator ends both, after what they make just then. Workers are started
        here, before these threads and after those of generators closed before have ended, since a
        process with several threads should not be forked.
        """
        if self.workers:
            wait_for_closing()
        plans = ahead(self._epochs(position), min(1, self.prefetch))
        outlines, coming = tee(self._outlines(plans, position.update))
        loader = make_loader(
            self.split,
            (share.rows for outline in coming for share in outline.shares),
            workers=self.workers,
            pin_memory=self.on_gpu,
        )
        batches = iter(loader)
        if not (self.on_gpu and self.prefetch):
            return ahead(self._fill(outlines, batches, plans), self.prefetch)
        upload = Upload(torch.device("cuda", torch.cuda.current_device()))
        sent = upload.send(batches)
        return _received(upload, ahead(self._fill(outlines, sent, plans), self.prefetch))

    def _epochs(self, position: Position) -> Generator[PlannedEpoch]:
        """The epoch of `position` and all that follow."""
        legs = position.legs
        if not legs or legs[-1].batch_tokens != self.batch_tokens:
            legs = (*legs, Leg(self.batch_tokens, 0))
        for epoch in count(position.epoch):
            plan = self.plan(epoch, legs)
            sizes = measure(plan, self.split.source_lengths, self.split.target_lengths)
            yield PlannedEpoch(epoch, legs, plan, sizes)
            legs = (Leg(self.batch_tokens, 0),)

    def _outlines(self, epochs: Iterable[PlannedEpoch], update: int) -> Iterator[Outline]:
        """All updates of `epochs`, numbered from `update` + 1."""
        for epoch in epochs:
            for outline in self._outlines_of(epoch, update):
                update = outline.position.update
                yield outline

    def _outlines_of(self, planned: PlannedEpoch, update: int) -> Iterator[Outline]:
        epoch, (*earlier, leg), plan, sizes = planned
        counts = sizes.source_tokens, sizes.target_tokens, sizes.padded_tokens
        n_left = np.append(np.cumsum(sizes.rows[::-1])[::-1], 0)
        size = self.accumulate * self.processes.count
        for start in range(leg.batches, len(plan), size):
            update += 1
            stop = min(start + size, len(plan))
            after = Position(update, epoch, (*earlier, Leg(leg.batch_tokens, stop)))
            if stop == len(plan):
                after = Position(update, epoch + 1)
            shares = [
                Share(plan[i], dropout_seed(self.seed, epoch, len(earlier), i), own)
                for i, own in self._share(range(start, stop))
            ]
            done = 1 - float(n_left[stop]) / len(self.split)
            source, target, padded = (int(column[start:stop].sum()) for column in counts)
            yield Outline(shares, source, target, padded, after, epoch + done)

    @staticmethod
    def _fill(
        outlines: Iterable[Outline], batches: Iterator[Batch], plans: Generator[PlannedEpoch]
    ) -> Generator[UpdateBatches]:
        """The updates of `outlines`, with their batches; at the end, `plans` are closed."""
        with closing(plans):
            for outline in outlines:
                work = [Work(next(batches), *share) for share in outline.shares]
                yield UpdateBatches(work, *outline[1:])

    def _share(self, group: range) -> list[tuple[int, bool]]:
        """This process's batches of `group`, by number, and whether each counts.

        Where all must compute in step, those that have one fewer compute the first in its place.
        """
        own = [(i, True) for i in group[self.processes.rank :: self.processes.count]]
        n_rounds = -(-len(group) // self.processes.count)
        if self.in_step and len(own) < n_rounds:
            own.append((group[0], False))
        return own


def _received(upload: Upload, updates: Generator[UpdateBatches]) -> Generator[UpdateBatches]:
    """`updates`, to be computed with by whoever asks for them."""
    with closing(updates):
        for update in updates:
            for work in update.work:
                upload.receive(work.batch)
            yield update


def dropout_seed(seed: int, epoch: int, leg: int, batch: int) -> int:
    """The seed of a batch's dropout: it depends on where the batch stands in the data alone."""
    sequence = np.random.SeedSequence([seed, epoch, leg, batch])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
