"""The project itself as a contender: what `transformer train` does at each update."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import measuring
import numpy as np
from baselines.loop import Pairs, System, Task, compete, n_parameters
from measuring import write_split

from transformer.cli.compose import Composer
from transformer.config import TrainSettings
from transformer.device import choose_device, choose_precision, set_deterministic
from transformer.signals import Signals
from transformer.text.dataset import PreparedData
from transformer.text.encoded import EncodedSplit
from transformer.training.distributed import Processes
from transformer.training.run import RunFolder
from transformer.training.start import Place, build_state
from transformer.training.stream import Position, UpdateBatches, Work
from transformer.training.update import padded_size


def build(task: Task, overrides: Sequence[str], folder: Path) -> System:
    """The project at `task`, with the settings of `overrides`."""
    settings: TrainSettings = Composer("train", TrainSettings).settings(overrides)
    device = choose_device(settings.device)
    place = Place(device, choose_precision(settings.precision, device), Processes(), Signals())
    set_deterministic(settings.deterministic)
    data = data_of(task, folder)
    state = build_state(settings, RunFolder(settings), data, place, begins=True)
    prepare = Preparation(data.train, task, on_gpu=device.type == "cuda")

    def n_padded(update: UpdateBatches) -> int:
        if settings.training.packing:
            return update.n_source_tokens + update.n_target_tokens
        return update.n_padded_tokens

    def step(update: UpdateBatches) -> None:
        state.updater.update(update)

    return System(prepare, n_padded, step, {"parameters": n_parameters(state.model)})


def data_of(task: Task, folder: Path) -> PreparedData:
    """All pairs of `task` as the trainer reads them."""
    sides = [[row[:-1] for batch in task.batches for row in batch[i]] for i in range(2)]
    split = write_split(folder, *sides)
    return measuring.data_of(folder, split, task.vocab_size)


class Preparation:
    """Makes updates of batches, as the trainer makes them."""

    def __init__(self, split: EncodedSplit, task: Task, *, on_gpu: bool) -> None:
        self.split = split
        self.on_gpu = on_gpu
        self.n_made = 0
        bounds = np.cumsum([0, *(len(batch.source) for batch in task.batches)])
        self.rows = {
            id(batch): np.arange(start, stop)
            for batch, start, stop in zip(task.batches, bounds, bounds[1:], strict=False)
        }

    def __call__(self, pairs: Pairs) -> UpdateBatches:
        """The update by `pairs`, one of the task's batches."""
        rows = self.rows[id(pairs)]
        batch = self.split.batch(rows)
        self.n_made += 1
        if self.on_gpu:
            batch = batch.pin_memory()
        work = [Work(batch, rows, seed=self.n_made)]
        return UpdateBatches(
            work=work,
            n_source_tokens=batch.n_source_tokens,
            n_target_tokens=batch.n_target_tokens,
            n_padded_tokens=padded_size(batch),
            position=Position(self.n_made),
            epochs=0.0,
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as path:
        compete(Task.read(Path(sys.argv[1])), lambda task: build(task, sys.argv[2:], Path(path)))
