"""The order of the data: batches grouped into updates, from any position on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np

from transformer.config import TrainSettings
from transformer.text.batching import (
    Batch,
    Plan,
    Rows,
    grid_length,
    make_loader,
    padding_share,
    plan_epoch,
)
from transformer.text.dataset import EncodedSplit
from transformer.training.distributed import Processes


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

    def updates(self, position: Position) -> Iterator[UpdateBatches]:
        """The updates after `position`; the last one of an epoch may have fewer batches."""
        while True:
            legs = position.legs
            if not legs or legs[-1].batch_tokens != self.batch_tokens:
                legs = (*legs, Leg(self.batch_tokens, 0))
            for update in self._epoch(replace(position, legs=legs)):
                yield update
                position = update.position

    def _epoch(self, position: Position) -> Iterator[UpdateBatches]:
        *earlier, leg = position.legs
        plan = self.plan(position.epoch, position.legs)
        size = self.accumulate * self.processes.count
        groups = [range(i, min(i + size, len(plan))) for i in range(leg.batches, len(plan), size)]
        shares = [self._share(group) for group in groups]
        loader = iter(
            make_loader(
                self.split,
                [plan[i] for share in shares for i, _ in share],
                workers=self.workers,
                pin_memory=self.on_gpu,
            )
        )
        n_left = np.cumsum([0, *(len(rows) for rows in reversed(plan))])[::-1]
        number = len(earlier)
        for update, (group, share) in enumerate(zip(groups, shares, strict=True), position.update):
            seeds = [dropout_seed(self.seed, position.epoch, number, i) for i, _ in share]
            work = [
                Work(next(loader), plan[i], seed, counts)
                for (i, counts), seed in zip(share, seeds, strict=True)
            ]
            after = Position(update + 1, position.epoch, (*earlier, Leg(leg[0], group.stop)))
            if group.stop == len(plan):
                after = Position(update + 1, position.epoch + 1)
            done = 1 - float(n_left[group.stop]) / len(self.split)
            yield UpdateBatches(
                work, *self._counts([plan[i] for i in group]), after, position.epoch + done
            )

    def _share(self, group: range) -> list[tuple[int, bool]]:
        """This process's batches of `group`, by number, and whether each counts.

        Where all must compute in step, those that have one fewer compute the first in its place.
        """
        own = [(i, True) for i in group[self.processes.rank :: self.processes.count]]
        n_rounds = -(-len(group) // self.processes.count)
        if self.in_step and len(own) < n_rounds:
            own.append((group[0], False))
        return own

    def _counts(self, plan: Plan) -> tuple[int, int, int]:
        """Real source tokens, real target tokens and tokens with padding of some batches."""
        sides = [self.split.source_lengths, self.split.target_lengths]
        real = [sum(int(lengths[rows].sum()) for rows in plan) for lengths in sides]
        padded = sum(
            len(rows) * grid_length(int(lengths[rows].max())) for rows in plan for lengths in sides
        )
        return real[0], real[1], padded


def dropout_seed(seed: int, epoch: int, leg: int, batch: int) -> int:
    """The seed of a batch's dropout: it depends on where the batch stands in the data alone."""
    sequence = np.random.SeedSequence([seed, epoch, leg, batch])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
