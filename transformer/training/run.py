"""The folder of a run."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from transformer.checkpoint import (
    MANIFEST,
    Checkpoint,
    Contents,
    keep_checkpoints,
    link_checkpoint,
    list_checkpoints,
    read_metrics,
    save_checkpoint,
)
from transformer.config import (
    Metric,
    Schedule,
    TrainSettings,
    load_settings,
    save_settings,
    to_mapping,
)
from transformer.errors import InputError, require
from transformer.text.tokenizer import Tokenizers

# What may change when a run goes on: it does not alter what the updates compute, only how many
# there are, where, and what is measured beside them.
FREE = (
    "run_dir",
    "device",
    "threads",
    "search",
    "data.workers",
    "data.cache_dir",
    "training.max_updates",
    "training.max_epochs",
    "training.max_minutes",
    "training.validate_every",
    "training.checkpoint_every",
    "training.keep_last",
    "training.keep_best",
    "training.patience",
    "training.validation_beam_size",
    "training.n_samples",
    "training.log_every",
)

# The cosine schedule ends there, so under it this one is not free.
COSINE_END = "training.max_updates"


class RunFolder:
    """Where a run keeps its settings, checkpoints, logs and translations."""

    def __init__(self, settings: TrainSettings) -> None:
        self.settings = settings
        self.path = Path(settings.run_dir)
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self.translations = self.path / "translations"
        self.log = self.path / "train.log"

    def check(self) -> None:
        """Raise InputError where the folder is not one to train in with these settings."""
        require(
            not self.path.exists() or self.path.is_dir(),
            f"run_dir={self.path} is a file; give a folder",
        )
        require(
            not (self.path / MANIFEST).exists(),
            f"run_dir={self.path} is a checkpoint; give a run's own folder",
        )
        file = self.path / "config.yaml"
        if not file.exists():
            require(
                not self.path.is_dir() or all(p.name.startswith(".") for p in self.path.iterdir()),
                f"run_dir={self.path} holds other files and no run; give a new folder",
            )
            return
        different = differences(load_settings(TrainSettings, file), self.settings)
        require(
            not different,
            f"run_dir={self.path} holds a run with other settings ({'; '.join(different)}); "
            "set them back or give another run_dir",
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from training in the folder, which is made where it is missing.

        InputError where another one does, or the folder cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / ".lock")
            lock.acquire(timeout=0)
        except OSError as error:  # of which Timeout is one
            reason = "another process trains in it"
            if not isinstance(error, Timeout):
                reason = f"it cannot be written: {error.strerror}"
            raise InputError(f"run_dir={self.path}: {reason}") from error
        try:
            yield
        finally:
            lock.release()

    def create(self, tokenizers: Tokenizers) -> None:
        """Make the folder, with the settings and the tokenizer."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # The settings first: what a killed process leaves is then known to be a run.
            aside = self.path / ".config.yaml"
            save_settings(self.settings, aside)
            aside.replace(self.path / "config.yaml")
            for folder in (self.checkpoints, self.tensorboard, self.translations):
                folder.mkdir(exist_ok=True)
            tokenizers.save(self.path / "tokenizer")
        except OSError as error:
            raise InputError(f"run_dir={self.path} cannot be written: {error.strerror}") from error

    def last(self) -> Checkpoint | None:
        """The newest checkpoint, or None."""
        found = list_checkpoints(self.checkpoints)
        return Checkpoint(found[-1]) if found else None

    def check_data(self, before: str, after: str) -> None:
        """Raise InputError where the prepared corpus is another than the run began with."""
        require(
            before == after,
            f"run_dir={self.path} was trained on another text than data names now; "
            "restore the text or give another run_dir",
        )

    def save(self, update: int, contents: Contents) -> None:
        """Save the checkpoint of `update`, set the links, delete what is no longer to be kept."""
        folder = self.checkpoints / f"{update:08d}"
        save_checkpoint(folder, contents)
        found = list_checkpoints(self.checkpoints)
        best = best_first(found, self.settings.training.metric)
        link_checkpoint("last", folder)
        if best:
            link_checkpoint("best", best[0])
        config = self.settings.training
        keep_checkpoints(self.checkpoints, [*found[-config.keep_last :], *best[: config.keep_best]])

    def save_translations(self, name: str, lines: list[str]) -> None:
        """Write `lines` to translations/`name`."""
        text = "".join(line + "\n" for line in lines)
        (self.translations / name).write_text(text, encoding="utf-8", newline="\n")


def best_first(checkpoints: list[Path], metric: Metric) -> list[Path]:
    """Those of `checkpoints` that were validated, best first; of equal ones, the oldest first."""
    sign = -1 if metric is Metric.bleu else 1
    found = [(path, read_metrics(path).get(metric.name)) for path in checkpoints]
    validated = [(path, sign * float(value)) for path, value in found if value is not None]
    # NaN last: it is neither more nor less than another.
    validated.sort(key=lambda pair: (math.isnan(pair[1]), pair[1]))
    return [path for path, _ in validated]


def differences(before: TrainSettings, after: TrainSettings) -> list[str]:
    """The settings, but for FREE ones, in which two runs differ, as `key: before, not after`."""
    old, new = flatten(to_mapping(before)), flatten(to_mapping(after))
    free = [key for key in FREE if after.optim.schedule is not Schedule.cosine or key != COSINE_END]
    return [
        f"{key} was {old.get(key)}, now {new.get(key)}"
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
        and not any(key == name or key.startswith(name + ".") for name in free)
    ]


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one mapping with dotted keys."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
