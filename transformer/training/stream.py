"""The order of the data: batches grouped into updates, from any position on."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count, tee
from typing import Any, NamedTuple, Self

import numpy as np
import torch

from transformer.config import TrainSettings
from transformer.text.batching import Batch, Drawn, Rows, make_loader
from transformer.training.chapters import Chapter, Chapters, Corpora, Leg
from transformer.training.distributed import Processes
from transformer.training.loading import Upload, ahead, wait_for_closing

GPU_PREFETCH = 4  # updates, where data.prefetch is null


@dataclass(frozen=True)
class Position:
    """Where a run stands in its data; with the seed and the settings it says what comes next.

    Neither the number of processes nor training.accumulate is part of it, so they may change.
    """

    update: int = 0  # updates done
    epoch: int = 0  # epochs finished
    chapter: int = 0  # chapters finished of the epoch under way
    legs: tuple[Leg, ...] = ()  # of the chapter under way; a new one where the budget changes

    def state(self) -> dict[str, Any]:
        """The position as plain numbers."""
        return {**vars(self), "legs": [list(leg) for leg in self.legs]}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The position that gave `state`; one from before there were chapters is in the first."""
        legs = tuple(Leg(*leg) for leg in state["legs"])
        return cls(state["update"], state["epoch"], state.get("chapter", 0), legs)


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
    # Of all processes, by the name of the corpus; empty where there is one.
    n_pairs: Mapping[str, int] = field(default_factory=dict)


class Share(NamedTuple):
    """What a process computes of an update: one batch."""

    rows: Rows
    epoch: int
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
    n_pairs: dict[str, int]


class UpdateStream:
    """All updates of a run, endlessly.

    The order of epoch e is a pure function of the data, their mix, the seed, e and the budgets of
    its legs. It is planned a chapter at a time, in memory that does not grow with the corpus. No
    update spans two chapters, so that the last of each may have fewer batches.
    """

    def __init__(
        self,
        data: Corpora,
        settings: TrainSettings,
        batch_tokens: int,
        *,
        on_gpu: bool,
        processes: Processes,
    ) -> None:
        self.split = data.train
        self.chapters = Chapters(data, settings.data.temperature, settings.seed)
        self.batch_tokens = batch_tokens
        self.accumulate = settings.training.accumulate
        self.in_step = settings.training.parallel.shard
        self.seed = settings.seed
        self.on_gpu = on_gpu
        self.processes = processes
        self.workers = settings.data.workers
        prefetch = settings.data.prefetch
        self.prefetch = (GPU_PREFETCH if on_gpu else 0) if prefetch is None else prefetch

    def estimate(self) -> tuple[int, float]:
        """How many batches an epoch has, and the share of padding in them, over both sides.

        Where it has several chapters, the first stands for all.
        """
        mix = self.chapters.mix
        first = self.chapters.plan(0, 0, [Leg(self.batch_tokens, 0)])
        n_batches = round(len(first.plan) * mix.size / len(first.rows))
        return n_batches, first.sizes.padding_share

    def updates(self, position: Position) -> Generator[UpdateBatches]:
        """The updates after `position`; the last one of a chapter may have fewer batches.

        A thread makes `prefetch` of them before they are asked for, and another one plans the next
        chapter; closing the generator ends both, after what they make just then. Workers are
        started here, before these threads and after those of generators closed before have ended,
        since a process with several threads should not be forked.
        """
        if self.workers:
            wait_for_closing()
        plans = ahead(self._chapters(position), min(1, self.prefetch))
        outlines, coming = tee(self._outlines(plans, position.update))
        loader = make_loader(
            self.split,
            _drawn(coming),
            workers=self.workers,
            pin_memory=self.on_gpu,
        )
        batches = iter(loader)
        if not (self.on_gpu and self.prefetch):
            return ahead(self._fill(outlines, batches, plans), self.prefetch)
        upload = Upload(torch.device("cuda", torch.cuda.current_device()))
        sent = upload.send(batches)
        return _received(upload, ahead(self._fill(outlines, sent, plans), self.prefetch))

    def _chapters(self, position: Position) -> Generator[Chapter]:
        """The chapter of `position` and all that follow."""
        fresh = Leg(self.batch_tokens, 0)
        legs, first = position.legs, position.chapter
        if not legs or legs[-1].batch_tokens != self.batch_tokens:
            legs = (*legs, fresh)
        for epoch in count(position.epoch):
            for chapter in range(first, self.chapters.mix.n_chapters):
                yield self.chapters.plan(epoch, chapter, legs)
                legs = (fresh,)
            first = 0

    def _outlines(self, chapters: Iterable[Chapter], update: int) -> Iterator[Outline]:
        """All updates of `chapters`, numbered from `update` + 1."""
        for chapter in chapters:
            for outline in self._outlines_of(chapter, update):
                update = outline.position.update
                yield outline

    def _outlines_of(self, planned: Chapter, update: int) -> Iterator[Outline]:
        plan, sizes, epoch = planned.plan, planned.sizes, planned.epoch
        place = epoch, planned.number, len(planned.legs) - 1
        counts = sizes.source_tokens, sizes.target_tokens, sizes.padded_tokens
        n_left = self.chapters.n_left(planned)
        size = self.accumulate * self.processes.count
        for start in range(planned.legs[-1].batches, len(plan), size):
            update += 1
            stop = min(start + size, len(plan))
            shares = [
                Share(planned.rows[plan[i]], epoch, dropout_seed(self.seed, *place, i), own)
                for i, own in self._share(range(start, stop))
            ]
            source, target, padded = (int(column[start:stop].sum()) for column in counts)
            yield Outline(
                shares,
                source,
                target,
                padded,
                self._after(planned, update, stop),
                epoch + (1 - float(n_left[stop]) / len(self.split)),
                self.chapters.pairs(planned, range(start, stop)),
            )

    def _after(self, planned: Chapter, update: int, stop: int) -> Position:
        """Where the run stands after `update`, which ends with batch `stop` - 1 of `planned`."""
        if stop < len(planned.plan):
            *earlier, leg = planned.legs
            legs = (*earlier, leg._replace(batches=stop))
            return Position(update, planned.epoch, planned.number, legs)
        if planned.number + 1 < self.chapters.mix.n_chapters:
            return Position(update, planned.epoch, planned.number + 1)
        return Position(update, planned.epoch + 1)

    @staticmethod
    def _fill(
        outlines: Iterable[Outline],
        batches: Iterator[Batch],
        plans: Generator[Chapter],
    ) -> Generator[UpdateBatches]:
        """The updates of `outlines`, with their batches; at the end, `plans` are closed."""
        with closing(plans):
            for outline in outlines:
                work = [
                    Work(next(batches), share.rows, share.seed, share.counts)
                    for share in outline.shares
                ]
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


def _drawn(outlines: Iterable[Outline]) -> Iterator[Drawn]:
    return ((share.rows, share.epoch) for outline in outlines for share in outline.shares)


def dropout_seed(seed: int, epoch: int, chapter: int, leg: int, batch: int) -> int:
    """The seed of a batch's dropout: it depends on where the batch stands in the data alone."""
    entropy = [seed, epoch, leg, batch] + ([chapter] if chapter else [])
    sequence = np.random.SeedSequence(entropy)
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
