"""What training left in a run's folder."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

from transformer.checkpoint import WEIGHTS, find_checkpoint, list_checkpoints
from transformer.checkpoint.folder import metrics_or_empty
from transformer.config import TrainSettings, load_settings
from transformer.errors import InputError, require
from transformer.evaluation.page.scalars import Scalars, read_scalars
from transformer.evaluation.page.translated import Outputs, test_outputs, valid_outputs

# Of training/start.py: the log's line at the end, and at each beginning.
_ENDED = re.compile(r" INFO (?:training ends|the run in .* is finished): ?(?P<reason>.*)")
_BEGUN = re.compile(r" INFO (?:training from the beginning|going on after update) ")


@dataclass(frozen=True)
class Run:
    """A run's folder, of which everything but the settings may be missing."""

    path: Path
    name: str
    settings: TrainSettings

    @cached_property
    def scalars(self) -> Scalars:
        """The curves."""
        return read_scalars(self.path / "tensorboard")

    @cached_property
    def tests(self) -> Outputs:
        """The test sets with their translations."""
        return test_outputs(self.path, self.settings.data)

    @cached_property
    def valids(self) -> Outputs:
        """The validation sets with their newest translations."""
        return valid_outputs(self.path, self.settings.data)

    @property
    def outputs(self) -> Outputs:
        """The test sets where any was translated, else the validation sets."""
        if self.tests.sets:
            return self.tests
        return Outputs(self.valids.sets, [*self.tests.notes, *self.valids.notes])

    @property
    def languages(self) -> str:
        """The directions, as in en-de, en-fr; a few of many."""
        directions = [f"{source}-{target}" for source, target in self.settings.data.directions]
        more = f" and {len(directions) - 4} more" if len(directions) > 4 else ""
        return ", ".join(directions[:4]) + more

    @cached_property
    def checkpoint(self) -> Path | None:
        """The best checkpoint, else the last; None where there is none."""
        try:
            return find_checkpoint(self.path)
        except InputError:
            return None

    @cached_property
    def n_parameters(self) -> int | None:
        """Of the best checkpoint; None where there is none, or it is damaged."""
        from safetensors import SafetensorError, safe_open  # noqa: PLC0415

        if self.checkpoint is None:
            return None
        try:
            with safe_open(self.checkpoint / WEIGHTS, "numpy") as weights:
                shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
        except (OSError, SafetensorError):
            return None
        return sum(map(prod, shapes))

    @cached_property
    def update(self) -> int | None:
        """The last update that anything is known of; None before the first."""
        checkpoints = [int(path.name) for path in list_checkpoints(self.path / "checkpoints")]
        return max([*checkpoints, *self.scalars.last_updates()], default=None)

    @cached_property
    def minutes(self) -> float | None:
        """Minutes of training, validation included; None where nothing tells."""
        counted = self.scalars.last("time/minutes")
        if counted is not None:
            return counted
        found = reversed(list_checkpoints(self.path / "checkpoints"))
        told = (metrics_or_empty(path).get("minutes") for path in found)
        minutes: float | None = next((each for each in told if each is not None), None)
        return self.scalars.minutes if minutes is None else minutes

    @cached_property
    def end(self) -> str | None:
        """Why training ended; None where it goes on, was interrupted, or nothing tells."""
        result = self.json(self.path / "result.json")
        if result is not None and result.get("update") == self.update:
            return str(result.get("reason"))
        reason = None  # of a version that left no result.json
        for line in self._log():
            if found := _ENDED.search(line):
                reason = found["reason"]
            elif _BEGUN.search(line):
                reason = None
        return reason

    def _log(self) -> list[str]:
        try:
            return (self.path / "train.log").read_text("utf-8", "replace").splitlines()
        except OSError:
            return []

    @property
    def data_file(self) -> Path:
        """What preparing the text left."""
        return self.path / "data.json"

    def json(self, file: Path) -> dict[str, Any] | None:
        """The mapping in `file`; None where there is none that can be read."""
        try:
            values = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return values if isinstance(values, dict) else None


def read_run(key: str, path: str) -> Run:
    """The run in the folder `path`, which the setting `key` gave; InputError where it is none."""
    folder = Path(path)
    require(folder.exists(), f"{key}={path} does not exist; give a run's folder")
    require(folder.is_dir(), f"{key}={path} is a file; give a run's folder")
    file = folder / "config.yaml"
    require(
        file.is_file(),
        f"{key}={path} holds no run: there is no config.yaml in it; give a folder that "
        "transformer train wrote, as in runs/NAME",
    )
    settings = load_settings(TrainSettings, file)
    return Run(folder, folder.resolve().name or str(folder), settings)


def with_names(runs: Iterable[Run]) -> list[Run]:
    """The runs with names that differ: where two share one, they are called by their paths."""
    runs = list(runs)
    names = [run.name for run in runs]
    return [
        Run(run.path, str(run.path), run.settings) if names.count(run.name) > 1 else run
        for run in runs
    ]
