"""The learning rate as a pure function of the update's number, and what validations make of it."""

import math
from collections.abc import Callable

from transformer.config import ENDING, OptimConfig, Schedule
from transformer.errors import require


def inverse_sqrt(update: int, warmup: int) -> float:
    """Learning-rate factor of the 1-based `update`: up linearly to 1, then 1/sqrt.

    Vaswani et al., 2017, section 5.3, rescaled so that the peak is 1 at `warmup`.
    """
    return min(update / max(1, warmup), math.sqrt(max(1, warmup) / update))


def cosine(update: int, warmup: int, end: int) -> float:
    """Learning-rate factor of the 1-based `update`: up linearly to 1, then a half cosine to 0.

    Loshchilov and Hutter, 2017, equation 5, without restarts.
    """
    if update <= warmup:
        return update / warmup
    return (1 + math.cos(math.pi * progress(update, warmup, end))) / 2


def linear(update: int, warmup: int, end: int) -> float:
    """Learning-rate factor of the 1-based `update`: up linearly to 1, then linearly to 0.

    Devlin et al., 2019, appendix A.2.
    """
    if update <= warmup:
        return update / warmup
    return 1 - progress(update, warmup, end)


def wsd(update: int, warmup: int, start: int, end: int) -> float:
    """Learning-rate factor of the 1-based `update`: up linearly to 1, 1, then linearly to 0.

    Hu et al., 2024, section 4 (warmup-stable-decay); this decay, from `start` to `end`, is linear
    where theirs is exponential.
    """
    if update <= warmup:
        return update / warmup
    return 1 - progress(update, start, end)


def constant(update: int, warmup: int) -> float:
    """Learning-rate factor of the 1-based `update`: up linearly to 1, then 1."""
    return min(1.0, update / max(1, warmup))


def progress(update: int, start: int, end: int) -> float:
    """How far `update` lies on the way from `start` to `end`, in [0, 1]."""
    return min(1.0, max(0, update - start) / max(1, end - start))


def build_schedule(config: OptimConfig, max_updates: int) -> Callable[[int], float]:
    """The learning rate of the 1-based number of an update.

    For Schedule.plateau that is without the factor of `Plateau`. Raises InputError where the
    warm-up leaves less of `max_updates` than a schedule needs that ends there.
    """
    warmup, decay_updates = config.warmup, config.decay_updates
    require(
        config.schedule not in ENDING or warmup < max_updates,
        f"optim.warmup={warmup} leaves nothing of training.max_updates={max_updates}, over which "
        f"optim.schedule={config.schedule.name} falls; lower the one or raise the other",
    )
    require(
        config.schedule is not Schedule.wsd or decay_updates <= max_updates - warmup,
        f"optim.decay_updates={decay_updates} and optim.warmup={warmup} are together more than "
        f"training.max_updates={max_updates}, within which optim.schedule=wsd has both",
    )

    end = max_updates + 1  # where the rate is 0; the last update would else change nothing

    def rate(update: int) -> float:
        match config.schedule:
            case Schedule.inverse_sqrt:
                factor = inverse_sqrt(update, warmup)
            case Schedule.cosine:
                factor = cosine(update, warmup, end)
            case Schedule.linear:
                factor = linear(update, warmup, end)
            case Schedule.wsd:
                factor = wsd(update, warmup, max_updates - decay_updates, end)
            case Schedule.constant | Schedule.plateau:
                factor = constant(update, warmup)
        return config.lr * factor

    return rate


class Plateau:
    """What the learning rate is multiplied by because validations stopped getting better.

    It is 1 for all schedules but Schedule.plateau.
    """

    def __init__(self, config: OptimConfig) -> None:
        self.is_on = config.schedule is Schedule.plateau
        self.reduction = config.plateau_factor
        self.patience = config.plateau_patience
        self.factor = 1.0  # in (0, 1]

    def validated(self, stale: int) -> None:
        """Count a validation; the best one so far is `stale` validations ago (0: it is this)."""
        if self.is_on and stale > 0 and stale % self.patience == 0:
            self.factor *= self.reduction

    def state(self) -> dict[str, float]:
        """What `load_state` takes up in a resumed run."""
        return {"factor": self.factor}

    def load_state(self, state: dict[str, float]) -> None:
        """Take up the state that `state` gave."""
        self.factor = state["factor"]
