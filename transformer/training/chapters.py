"""An epoch in chapters: each is planned on its own, in memory that its size bounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from transformer.text.batching import Plan, Rows, SizedSplit, Sizes, measure, plan_epoch
from transformer.text.mixing import CHAPTER, Mix, Part

# Pairs of a chapter whose pieces are drawn: before it is planned, they have to be.
SAMPLED_CHAPTER = 2**16


class Corpora(Protocol):
    """What is trained on."""

    @property
    def train(self) -> SizedSplit: ...

    @property
    def parts(self) -> Sequence[Part]:
        """The rows of each corpus in `train`."""


class Leg(NamedTuple):
    """A stretch of a chapter under one budget of tokens."""

    batch_tokens: int
    batches: int  # done


@dataclass(frozen=True)
class Chapter:
    """What is left of a chapter."""

    epoch: int
    number: int
    legs: tuple[Leg, ...]
    rows: Rows  # all of it, one part after another
    stops: Rows  # where in `rows` each part ends
    plan: Plan  # of the last leg: places in `rows`
    sizes: Sizes


class Chapters:
    """The chapters of all epochs: a pure function of the data, their mix, the seed and budgets."""

    def __init__(self, data: Corpora, temperature: float, seed: int) -> None:
        self.split = data.train
        size = SAMPLED_CHAPTER if data.train.sampled else CHAPTER
        self.mix = Mix(data.parts, temperature, seed, size)
        assert self.mix.size == len(self.split)
        self.seed = seed

    def plan(self, epoch: int, chapter: int, legs: Sequence[Leg]) -> Chapter:
        """A chapter of an epoch as the last of `legs` has it."""
        parts = self.mix.rows(epoch, chapter)
        rows = np.concatenate(parts)
        lengths = self.split.lengths(rows, epoch)
        left = None
        plan: Plan = []
        for number, leg in enumerate(legs):
            if plan:
                left = np.concatenate(plan[legs[number - 1].batches :])
            plan = plan_epoch(
                *lengths,
                leg.batch_tokens,
                self.seed,
                epoch,
                rows=left,
                leg=number,
                chapter=chapter,
            )
        stops = np.cumsum([len(part) for part in parts])
        return Chapter(epoch, chapter, tuple(legs), rows, stops, plan, measure(plan, *lengths))

    def n_left(self, planned: Chapter) -> Rows:
        """Pairs of the epoch that are left before each batch of `planned`, and at its end."""
        n_left = np.append(np.cumsum(planned.sizes.rows[::-1])[::-1], 0)
        return n_left + self.mix.size - self.mix.n_before(planned.number + 1)

    def pairs(self, planned: Chapter, batches: range) -> dict[str, int]:
        """How many pairs of each corpus are in `batches`; empty where there is one corpus."""
        parts = self.mix.parts
        if len(parts) == 1:
            return {}
        places = np.concatenate(planned.plan[batches.start : batches.stop])
        owners = np.searchsorted(planned.stops, places, side="right")
        counts = np.bincount(owners, minlength=len(parts)).tolist()
        return {part.name: n for part, n in zip(parts, counts, strict=True)}
