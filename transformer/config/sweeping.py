"""How a study looks for good settings: `train --multirun hydra/sweeper=optuna`."""

from dataclasses import dataclass
from enum import Enum

from transformer.errors import require


class Sampler(Enum):
    """What suggests the settings of the next trial."""

    tpe = "tpe"  # tree-structured Parzen estimators (Bergstra et al., 2011)
    random = "random"
    grid = "grid"  # every combination, in the order of a sweep without a study


class Pruner(Enum):
    """What ends a trial early, by the scores of its validations."""

    none = "none"
    median = "median"  # worse than the median of the earlier trials at the same update
    hyperband = "hyperband"  # Li et al., 2018


class Direction(Enum):
    """Whether less or more of training.metric is better."""

    minimize = "minimize"
    maximize = "maximize"


@dataclass(kw_only=True)
class StudyConfig:
    """The settings of a study, which are given as hydra.sweeper.KEY=VALUE."""

    n_trials: int = 20  # in all, those of earlier starts included
    direction: Direction | None = None  # null: that of training.metric, and no other can be
    storage: str | None = None  # journal file, or URL of a database; null: study.log in run_dir
    study_name: str | None = None  # in `storage`; null: run_dir
    sampler: Sampler = Sampler.tpe
    seed: int = 1
    n_startup_trials: int = 10  # that tpe draws at random before it learns from them
    pruner: Pruner = Pruner.median
    n_trials_before_pruning: int = 5  # finished ones, before median prunes
    n_updates_before_pruning: int = 0  # of each trial

    def __post_init__(self) -> None:
        least = {"n_trials": 1, "seed": 0, "n_startup_trials": 0}
        least |= {"n_trials_before_pruning": 1, "n_updates_before_pruning": 0}
        for name, low in least.items():
            value = getattr(self, name)
            require(value >= low, f"hydra.sweeper.{name}={value} must be at least {low}")
        owners = {
            "n_startup_trials": ("sampler", Sampler.tpe),
            "n_trials_before_pruning": ("pruner", Pruner.median),
        }
        for name, (key, owner) in owners.items():
            chosen, value = getattr(self, key), getattr(self, name)
            require(
                chosen is owner or value == getattr(StudyConfig, name),
                f"hydra.sweeper.{name}={value} goes with hydra.sweeper.{key}={owner.name}, not "
                f"{chosen.name}",
            )
        require(
            self.pruner is not Pruner.none or not self.n_updates_before_pruning,
            f"hydra.sweeper.n_updates_before_pruning={self.n_updates_before_pruning} has no effect "
            "at hydra.sweeper.pruner=none",
        )
