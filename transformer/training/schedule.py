"""The learning rate as a pure function of the update's number."""

import math
from collections.abc import Callable

from transformer.config import OptimConfig, Schedule


def inverse_sqrt(update: int, warmup: int) -> float:
    """Learning-rate factor of the 1-based `update`: up linearly to 1, then 1/sqrt.

    Vaswani et al., 2017, section 5.3, rescaled so that the peak is 1 at `warmup`.
    """
    return min(update / max(1, warmup), math.sqrt(max(1, warmup) / update))


def cosine(update: int, warmup: int, max_updates: int) -> float:
    """Learning-rate factor of the 1-based `update`: up linearly to 1, then a half cosine to 0.

    Loshchilov and Hutter, 2017, equation 5, without restarts.
    """
    if update <= warmup:
        return update / warmup
    progress = min(1.0, (update - warmup) / max(1, max_updates - warmup))
    return (1 + math.cos(math.pi * progress)) / 2


def constant(update: int, warmup: int) -> float:
    """Learning-rate factor of the 1-based `update`: up linearly to 1, then 1."""
    return min(1.0, update / max(1, warmup))


def build_schedule(config: OptimConfig, max_updates: int) -> Callable[[int], float]:
    """The learning rate of the 1-based number of an update."""

    def rate(update: int) -> float:
        match config.schedule:
            case Schedule.inverse_sqrt:
                factor = inverse_sqrt(update, config.warmup)
            case Schedule.cosine:
                factor = cosine(update, config.warmup, max_updates)
            case Schedule.constant:
                factor = constant(update, config.warmup)
        return config.lr * factor

    return rate
