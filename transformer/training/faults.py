"""Watching the numbers of a run: losses and gradients that are not finite, a loss that diverges."""

import copy
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from transformer.config import FaultsConfig
from transformer.text.batching import Rows
from transformer.text.dataset import PreparedData
from transformer.training.distributed import Processes
from transformer.training.stream import UpdateBatches
from transformer.training.update import UpdateResult

logger = logging.getLogger(__name__)

CHECK_EVERY = 10  # updates; what happened shows no sooner, so that a GPU need not be waited for
MOST_FILES = 100  # of sentence pairs to blame, that a process writes
HORIZON = 50  # updates that the running mean of the loss reaches back


class Trouble(NamedTuple):
    """What is wrong with a run."""

    text: str
    lasting: bool  # it has come into the weights


@dataclass
class Seen:
    """An update that has not been looked at; its tensors stay on their device until then."""

    number: int
    n_labels: int
    nll: Tensor
    skipped: Tensor
    rows: Sequence[Rows]  # of each batch of this process
    losses: Sequence[Tensor]  # the same, their NLL


class Monitor:
    """Looks at all updates, CHECK_EVERY at a time; what it says depends on them alone."""

    def __init__(self, config: FaultsConfig, report: Callable[[Seen], None]) -> None:
        self.config = config
        self.report = report  # called for each update that was skipped
        self.waiting: list[Seen] = []
        self.n_seen = 0  # updates that were not skipped
        self.in_a_row = 0  # skipped updates up to the latest
        self.mean = 0.0  # running mean of the loss, in nats a token
        self.lowest = math.inf  # that it has been

    def add(self, update: UpdateBatches, result: UpdateResult) -> None:
        """Take note of an update."""
        seen = Seen(
            update.position.update,
            update.n_target_tokens,
            result.nll,
            result.skipped,
            [work.rows for work in update.work if work.counts],
            result.losses,
        )
        self.waiting.append(seen)

    def check(self) -> Trouble | None:
        """What is wrong, or None; looks only when enough updates have been added."""
        if not self.waiting or self.waiting[-1].number % CHECK_EVERY:
            return None
        waiting, self.waiting = self.waiting, []
        found = None
        for seen, nll, skipped in zip(waiting, *numbers(waiting), strict=True):
            if skipped:
                self.report(seen)
            trouble = self._look(nll / seen.n_labels, bool(skipped))
            if trouble is not None and found is None:
                found = trouble._replace(text=f"{trouble.text}, at update {seen.number}")
        return found

    def _look(self, loss: float, skipped: bool) -> Trouble | None:
        return self._skipped() if skipped else self._made(loss)

    def _skipped(self) -> Trouble | None:
        self.in_a_row += 1
        if self.in_a_row < self.config.max_skipped:
            return None
        text = f"{self.in_a_row} updates in a row had a loss or gradient that is not finite"
        return Trouble(text, lasting=False)

    def _made(self, loss: float) -> Trouble | None:
        self.in_a_row = 0
        self.n_seen += 1
        self.mean += (loss - self.mean) / min(self.n_seen, HORIZON)
        if self.n_seen < HORIZON:
            return None
        self.lowest = min(self.lowest, self.mean)
        margin = self.config.divergence
        if margin is not None and self.mean > self.lowest + margin:
            text = (
                f"the loss diverges: {self.mean:.2f} nats a token, after {self.lowest:.2f} "
                f"(training.faults.divergence={margin:g})"
            )
            return Trouble(text, lasting=True)
        return None

    def _is_calm(self) -> bool:
        margin = math.inf if self.config.divergence is None else self.config.divergence
        return self.in_a_row == 0 and not self.mean > self.lowest + margin / 4

    def forgive(self) -> None:
        """Count skipped updates from zero again, since something was done about them."""
        self.in_a_row = 0

    def state(self) -> dict[str, Any]:
        """What a fresh process needs, as plain numbers; `calm`: whether nothing is wrong."""
        waiting: list[list[Any]] = [
            [
                *(seen.number, seen.n_labels, nll, skipped),
                [rows.tolist() for rows in seen.rows] if skipped else [],
                [float(loss) for loss in seen.losses] if skipped else [],
            ]
            for seen, nll, skipped in zip(self.waiting, *numbers(self.waiting), strict=True)
        ]
        ahead = copy.copy(self)  # as it will be when it has looked at those that wait
        for _, n_labels, nll, skipped, *_ in waiting:
            ahead._look(nll / n_labels, bool(skipped))
        return {
            "waiting": waiting,
            "n_seen": self.n_seen,
            "in_a_row": self.in_a_row,
            "mean": self.mean,
            "lowest": self.lowest,
            "calm": ahead._is_calm(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up the state that `state` gave."""
        self.waiting = [
            Seen(
                *(number, n_labels, torch.tensor(nll, dtype=torch.float64), torch.tensor(skipped)),
                [np.array(each) for each in rows],
                [torch.tensor(loss) for loss in losses],
            )
            for number, n_labels, nll, skipped, rows, losses in state["waiting"]
        ]
        self.n_seen, self.in_a_row = state["n_seen"], state["in_a_row"]
        self.mean, self.lowest = state["mean"], state["lowest"]


def numbers(waiting: Sequence[Seen]) -> tuple[list[float], list[float]]:
    """The loss sums and the marks of having been skipped, fetched from the device at once."""
    if not waiting:
        return [], []
    device = waiting[-1].nll.device
    both = [torch.stack([seen.nll.to(device), seen.skipped.to(device)]) for seen in waiting]
    nll, skipped = torch.stack([pair.double() for pair in both], dim=1).tolist()
    return nll, skipped


class Reports:
    """Writes down which sentence pairs an update was skipped for."""

    def __init__(
        self,
        folder: Path,
        data: PreparedData,
        processes: Processes,
        loss_scaled: Callable[[], bool],
    ) -> None:
        self.folder = folder
        self.data = data
        self.processes = processes
        self.n_written = 0
        self.loss_scaled = loss_scaled  # whether overflows are part of finding the scale of fp16

    def write(self, seen: Seen) -> None:
        """Log a skipped update; its pairs go to a file of the folder, unless fp16 overflowed.

        Where single losses are not finite, these processes' batches are blamed, else all.
        """
        finite = math.isfinite(float(seen.nll))
        if self.loss_scaled() and finite:
            logger.info("update %d skipped: its gradient overflows fp16", seen.number)
            return
        blamed = [
            rows
            for rows, loss in zip(seen.rows, seen.losses, strict=True)
            if finite or not math.isfinite(float(loss))
        ]
        if not blamed and not self.processes.is_first:
            return
        cause = "its gradient is" if finite else f"its loss is {float(seen.nll)}, which is"
        logger.warning(
            "update %d skipped: %s not finite%s",
            *(seen.number, cause),
            f"; its sentence pairs are in {self._save(seen.number, blamed)}"
            if blamed and self.n_written < MOST_FILES
            else "",
        )

    def _save(self, number: int, blamed: Sequence[Rows]) -> Path:
        self.n_written += 1
        file = self.folder / f"{number:08d}.{self.processes.rank}.tsv"
        lines = [line for rows in blamed for line in self._lines(rows)]
        try:
            self.folder.mkdir(exist_ok=True)
            file.write_text("".join(lines), encoding="utf-8", newline="\n")
        except OSError as error:
            logger.warning("%s cannot be written: %s", file, error.strerror)
        return file

    def _lines(self, rows: Rows) -> list[str]:
        """The number of each pair in the training split, its source and its target."""
        tokenizers = self.data.tokenizers
        batch = self.data.train.batch(rows)
        sources = tokenizers.source.decode(batch.source.tolist())
        targets = tokenizers.target.decode(batch.labels.tolist())
        return [
            f"{row}\t{source}\t{target}\n"
            for row, source, target in zip(rows, sources, targets, strict=True)
        ]
