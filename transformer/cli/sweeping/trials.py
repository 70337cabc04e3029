"""The trials of a study, as Optuna keeps them: suggested, reported, pruned, gone on with."""

import itertools
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transformer.cli.sweeping.space import Dimension
from transformer.config import Pruner, Sampler, StudyConfig
from transformer.errors import InputError

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial, Trial

logger = logging.getLogger(__name__)

JOURNAL = "study.log"


class Trials:
    """The trials of one study.

    What is suggested to a trial is a function of hydra.sweeper.seed, the trial's number and the
    trials before it, so a study that was interrupted goes on as it would have.
    """

    def __init__(
        self, study: "optuna.Study", config: StudyConfig, space: Sequence[Dimension]
    ) -> None:
        self.study = study
        self.config = config
        self.space = space
        # The combinations of a grid, in the order of a sweep without a study.
        values = [dimension.values for dimension in space]
        grid = config.sampler is Sampler.grid
        self.grid = list(itertools.product(*values)) if grid else None
        if self.grid and len(self.grid) > config.n_trials:
            logger.warning(
                "the grid has %d combinations; hydra.sweeper.n_trials=%d leaves out the last",
                len(self.grid),
                config.n_trials,
            )

    def known(self) -> "list[FrozenTrial]":
        """All trials so far, in order."""
        return self.study.get_trials(deepcopy=False)

    def next(self) -> "Trial | None":
        """The trial that was interrupted, or else another; None: there have been enough."""
        from optuna.trial import Trial, TrialState

        trials = self.known()
        n = sum(trial.state.is_finished() for trial in trials)
        self.study.sampler = self._sampler(n)
        for trial in trials:
            if trial.state is TrialState.RUNNING:
                return Trial(self.study, trial._trial_id)
        if n >= self.total:
            return None
        waiting = any(trial.state is TrialState.WAITING for trial in trials)
        if self.grid is not None and not waiting:
            keys = [dimension.key for dimension in self.space]
            self.study.enqueue_trial(dict(zip(keys, self.grid[n], strict=True)))
        return self.study.ask()

    @property
    def total(self) -> int:
        """How many trials there shall be."""
        n = self.config.n_trials
        return n if self.grid is None else min(n, len(self.grid))

    def _sampler(self, number: int) -> "optuna.samplers.BaseSampler":
        from optuna import samplers

        # Of the generator's own state nothing need be kept: each trial has a fresh one.
        (seed,) = np.random.SeedSequence([self.config.seed, number]).generate_state(1)
        if self.config.sampler is not Sampler.tpe:
            return samplers.RandomSampler(int(seed))
        with _no_experiments():
            return samplers.TPESampler(
                seed=int(seed),
                n_startup_trials=self.config.n_startup_trials,
                multivariate=True,
                constant_liar=False,  # no trial runs beside another
            )


@contextmanager
def _no_experiments() -> Iterator[None]:
    """Keeps Optuna from telling users which of its parts may yet change."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def build_pruner(config: StudyConfig, first: int, last: int) -> "optuna.pruners.BasePruner":
    """The pruner of runs that are validated from update `first` on and end at `last`."""
    from optuna import pruners

    if config.pruner is Pruner.none:
        return pruners.NopPruner()
    if config.pruner is Pruner.median:
        return pruners.MedianPruner(config.n_trials_before_pruning, config.n_updates_before_pruning)
    with _no_experiments():
        return pruners.HyperbandPruner(max(first, config.n_updates_before_pruning), last)


def open_study(
    config: StudyConfig, folder: Path, direction: Any, pruner: "optuna.pruners.BasePruner"
) -> "optuna.Study":
    """The study that `folder` or the storage holds, or a new one.

    One of failures alone begins anew: what made all of them fail was no matter of the settings
    that vary.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name = config.study_name or ("sweep" if config.storage is None else str(folder))
    with _readable(config, folder):
        storage = _storage(config, folder)
        study = _create(storage, name, direction, pruner)
        trials = study.get_trials(deepcopy=False)
        if trials and all(trial.state is optuna.trial.TrialState.FAIL for trial in trials):
            optuna.delete_study(study_name=name, storage=storage)
            study = _create(storage, name, direction, pruner)
    return study


def _create(storage: Any, name: str, direction: Any, pruner: Any) -> "optuna.Study":
    import optuna

    return optuna.create_study(
        storage=storage,
        study_name=name,
        direction=direction,
        pruner=pruner,
        # Optuna would make one of its own, and warn of it.
        sampler=optuna.samplers.RandomSampler(),
        load_if_exists=True,
    )


@contextmanager
def _readable(config: StudyConfig, folder: Path) -> Iterator[None]:
    """Turns what is wrong with the storage into InputError."""
    from optuna.exceptions import OptunaError

    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, OptunaError) as error:
        where = config.storage or folder / JOURNAL
        reason = " ".join(str(error).split())
        raise InputError(f"hydra.sweeper.storage={where} cannot be used: {reason}") from error


def _storage(config: StudyConfig, folder: Path) -> Any:
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    if config.storage is not None and "://" in config.storage:
        from optuna.storages import RDBStorage
        from sqlalchemy.exc import SQLAlchemyError

        try:
            return RDBStorage(config.storage)
        except SQLAlchemyError as error:
            raise ValueError(str(error)) from error
    file = folder / JOURNAL if config.storage is None else Path(config.storage)
    if config.storage is None and file.exists():
        _mend(file)
    return JournalStorage(JournalFileBackend(str(file)))


def _mend(journal: Path) -> None:
    """Take away what a killed process left: its lock, and the line that it had not ended.

    Nobody else can be writing, since the folder of the study is locked.
    """
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
    whole = journal.read_bytes().rfind(b"\n") + 1
    if whole < journal.stat().st_size:
        os.truncate(journal, whole)
