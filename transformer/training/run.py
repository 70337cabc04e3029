"""The folder of a run."""

import itertools
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from transformer.checkpoint import (
    MANIFEST,
    Checkpoint,
    Contents,
    DamagedError,
    keep_checkpoints,
    list_checkpoints,
    save_checkpoint,
)
from transformer.checkpoint.folder import mend_links, numbered, set_aside
from transformer.checkpoint.save import reason, recover
from transformer.config import (
    Resume,
    TrainSettings,
    WriteErrorAction,
    load_settings,
    save_settings,
)
from transformer.errors import InputError, require
from transformer.text.dataset import PreparedData
from transformer.text.tokenizer import Tokenizers
from transformer.training.differences import differences
from transformer.training.retention import kept_checkpoints

logger = logging.getLogger(__name__)

BEGIN_ANEW = "training.resume=never or another run_dir"


class RunFolder:
    """Where a run keeps its settings, checkpoints, logs and translations."""

    def __init__(self, settings: TrainSettings) -> None:
        self.settings = settings
        self.path = Path(settings.run_dir)
        self.file = self.path / "config.yaml"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self.translations = self.path / "translations"
        self.log = self.path / "train.log"
        self._lock: FileLock | None = None

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
        if not self.file.exists():
            require(
                not self.path.is_dir() or all(p.name.startswith(".") for p in self.path.iterdir()),
                f"run_dir={self.path} holds other files and no run; give a new folder",
            )
            return
        before = self.settings_before()
        if before is None:
            return
        different = differences(before, self.settings)
        require(
            not different,
            f"run_dir={self.path} holds a run with other settings ({'; '.join(different)}); "
            f"set them back, or give {BEGIN_ANEW}",
        )

    def settings_before(self) -> TrainSettings | None:
        """The settings of the run that goes on in the folder; None where one begins.

        A run without a checkpoint has nothing to go on from, so it begins, with whatever settings.
        """
        if self.settings.training.resume is Resume.never or not numbered(self.checkpoints):
            return None
        return load_settings(TrainSettings, self.file)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from training in the folder, which is made where it is missing.

        InputError where another one does, or the folder cannot be made.
        """
        self._lock = self._acquire()
        try:
            yield
        finally:
            self._lock.release()

    def _acquire(self) -> FileLock:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / ".lock")
            lock.acquire(timeout=0)
        except OSError as error:  # of which Timeout is one
            why = "another process trains in it"
            if not isinstance(error, Timeout):
                why = f"it cannot be written: {error.strerror}"
            raise InputError(f"run_dir={self.path}: {why}") from error
        return lock

    def move_aside(self) -> None:
        """Rename the folder, where it holds a run, to the first free run_dir.1, run_dir.2 …

        To be called while it is `locked`, as which it leaves the new and empty one.
        """
        assert self._lock is not None, "another process may be training in it"
        if not self.file.exists():
            return
        names = (self.path.parent / f"{self.path.name}.{n}" for n in itertools.count(1))
        aside = next(path for path in names if not path.exists() and not path.is_symlink())
        try:
            self.path.rename(aside)
        except OSError as error:
            raise InputError(
                f"run_dir={self.path} cannot be moved aside to {aside}: {reason(error)}; "
                "give another run_dir"
            ) from error
        # The old lock went along. Until the new one is held, no other run can begin there unseen.
        older, self._lock = self._lock, self._acquire()
        older.release()
        logger.info("training.resume=never: the run in %s was moved to %s", self.path, aside)

    def create(self, tokenizers: Tokenizers) -> None:
        """Make the folder, with the settings and the tokenizer."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # The settings first: what a killed process leaves is then known to be a run.
            aside = self.path / ".config.yaml"
            save_settings(self.settings, aside)
            aside.replace(self.file)
            for folder in (self.checkpoints, self.tensorboard, self.translations):
                folder.mkdir(exist_ok=True)
            tokenizers.save(self.path / "tokenizer")
        except OSError as error:
            raise InputError(f"run_dir={self.path} cannot be written: {error.strerror}") from error

    def save_data(self, data: PreparedData) -> None:
        """Write what the run trains on to data.json, unless it goes on and the file is there."""
        file = self.path / "data.json"
        if file.exists() and self.settings_before() is not None:
            return
        values = {
            "report": data.report.to_dict(),
            "leaks": data.leaks,
            "pairs": len(data.train),
            "valid": {each.name: len(each.encoded) for each in data.valid},
            "tokenizer": {
                "source_size": data.tokenizers.source.vocab_size,
                "target_size": data.tokenizers.target.vocab_size,
            },
        }
        try:
            aside = self.path / ".data.json"
            aside.write_text(json.dumps(values, indent=2, ensure_ascii=False), encoding="utf-8")
            aside.replace(file)
        except OSError as error:
            raise InputError(f"run_dir={self.path} cannot be written: {error.strerror}") from error

    def last(self) -> Checkpoint | None:
        """The newest checkpoint that is whole and can be resumed from; None where there is none.

        Damaged newer ones are renamed to NNNNNNNN.damaged, with a warning, and the links mended.
        InputError where there are checkpoints, but all are damaged.
        """
        with self._writing():
            recover(self.checkpoints)
        found = numbered(self.checkpoints)
        if not found:
            return None
        damaged: dict[Path, str] = {}
        checkpoint = _first_whole(reversed(found), damaged)
        if checkpoint is None:
            raise InputError(
                f"none of the {len(found)} checkpoints in {self.checkpoints} is whole "
                f"({damaged[found[-1]]}); give {BEGIN_ANEW}"
            )
        with self._writing():
            for folder, why in damaged.items():
                aside = set_aside(folder)
                number = int(checkpoint.folder.name)
                logger.warning(
                    "%s; it is set aside as %s, and update %d used instead", why, aside.name, number
                )
            self._mend()
        return checkpoint

    def whole_checkpoints(self) -> Iterator[Checkpoint]:
        """The checkpoints that are whole and can be resumed from, newest first; no other is met."""
        for folder in reversed(list_checkpoints(self.checkpoints)):
            checkpoint = _first_whole(iter([folder]), {})
            if checkpoint is not None:
                yield checkpoint

    def discard_after(self, update: int) -> None:
        """Delete the checkpoints of later updates than `update`, and mend the links."""
        found = list_checkpoints(self.checkpoints)
        with self._writing():
            keep_checkpoints(self.checkpoints, [path for path in found if int(path.name) <= update])
            self._mend()

    def _mend(self) -> None:
        mend_links(self.checkpoints, self.settings.training.metric)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turns what the system says of a failed write into InputError."""
        try:
            yield
        except OSError as error:
            raise InputError(f"{self.checkpoints} cannot be written: {reason(error)}") from error

    def check_data(self, before: str, after: str) -> None:
        """Raise InputError where the prepared corpus is another than the run began with."""
        require(
            before == after,
            f"run_dir={self.path} was trained on another text, or on other pieces, than are "
            f"there now; restore them, or give {BEGIN_ANEW}",
        )

    def save(self, update: int, contents: Contents) -> None:
        """Save the checkpoint of `update`, set the links, delete what is no longer to be kept.

        InputError where that fails: the earlier checkpoints and the links are then as they were.
        """
        folder = self.checkpoints / f"{update:08d}"
        require(
            self.file.is_file(),
            f"cannot write the checkpoint {folder}: run_dir={self.path} has vanished; "
            "it was moved or deleted",
        )
        with self._writing():
            self.checkpoints.mkdir(exist_ok=True)
        save_checkpoint(folder, contents)
        with self._writing():
            self._mend()
            found = list_checkpoints(self.checkpoints)
            keep_checkpoints(self.checkpoints, kept_checkpoints(found, self.settings.training))

    def save_translations(self, name: str, lines: list[str]) -> None:
        """Write `lines` to translations/`name`.

        Where that fails: by training.faults.on_write_error a warning or InputError.
        """
        text = "".join(line + "\n" for line in lines)
        file = self.translations / name
        try:
            file.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            message = f"{file} cannot be written: {reason(error)}"
            if self.settings.training.faults.on_write_error is WriteErrorAction.stop:
                raise InputError(message) from error
            logger.warning("%s", message)


def _first_whole(folders: Iterator[Path], damaged: dict[Path, str]) -> Checkpoint | None:
    """The first of `folders` that is whole and has its training state.

    Why the ones before it are not, goes into `damaged`.
    """
    for folder in folders:
        try:
            checkpoint = Checkpoint(folder)
            checkpoint.training()
        except DamagedError as error:
            damaged[folder] = str(error)
        else:
            return checkpoint
    return None
