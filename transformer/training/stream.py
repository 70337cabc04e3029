"""The order of the data: batches grouped into updates, from any position on."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from transformer.config import TrainSettings
from transformer.text.batching import Batch, make_loader, padding_share, plan_epoch
from transformer.text.dataset import EncodedSplit


@dataclass(frozen=True)
class Position:
    """Where a run stands in its data; with the seed and the settings it says what comes next."""

    update: int = 0  # updates done
    epoch: int = 0  # epochs finished
    batch: int = 0  # batches done in the epoch under way

    def state(self) -> dict[str, Any]:
        """The position as plain numbers."""
        return asdict(self)


@dataclass(frozen=True)
class UpdateBatches:
    """The batches of one update, and where the run stands when it is done."""

    batches: Sequence[Batch]
    position: Position
    epochs: float  # epochs done then, as a fraction


class UpdateStream:
    """All updates of a run, endlessly.

    The order of epoch e is a pure function of the data, the seed, e and data.batch_tokens.
    """

    def __init__(self, split: EncodedSplit, settings: TrainSettings, *, on_gpu: bool) -> None:
        self.split = split
        self.batch_tokens = settings.data.batch_tokens
        self.accumulate = settings.training.accumulate
        self.seed = settings.seed
        self.on_gpu = on_gpu
        workers = settings.data.workers
        self.workers = (2 if on_gpu else 0) if workers is None else workers

    def plan(self, epoch: int) -> list[np.ndarray]:
        """The rows of each batch of `epoch`, in order."""
        lengths = self.split.source_lengths, self.split.target_lengths
        return plan_epoch(*lengths, self.batch_tokens, self.seed, epoch)

    def padding_share(self) -> float:
        """The share of padding in the first epoch's batches, over both sides."""
        lengths = self.split.source_lengths, self.split.target_lengths
        return padding_share(self.plan(0), *lengths)

    def updates(self, position: Position) -> Iterator[UpdateBatches]:
        """The updates after `position`; the last one of an epoch may have fewer batches."""
        while True:
            plan = self.plan(position.epoch)
            for update in self._epoch(plan, position):
                yield update
                position = update.position

    def _epoch(self, plan: list[np.ndarray], position: Position) -> Iterator[UpdateBatches]:
        loader = make_loader(
            self.split, plan, start=position.batch, workers=self.workers, pin_memory=self.on_gpu
        )
        update, done = position.update, position.batch
        held: list[Batch] = []
        for batch in loader:
            held.append(batch)
            done += 1
            if len(held) == self.accumulate or done == len(plan):
                update += 1
                after = Position(update, position.epoch, done)
                if done == len(plan):
                    after = Position(update, position.epoch + 1, 0)
                yield UpdateBatches(held, after, position.epoch + done / len(plan))
                held = []
