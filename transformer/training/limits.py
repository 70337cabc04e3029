"""When training ends."""

from transformer.config import TrainingConfig
from transformer.training.stream import Position


def reached(config: TrainingConfig, position: Position, elapsed_s: float, stale: int) -> str | None:
    """Why training ends at `position`, or None.

    `stale` counts the validations since the best one.
    """
    if position.update >= config.max_updates:
        return f"training.max_updates={config.max_updates} reached"
    if config.max_epochs is not None and position.epoch >= config.max_epochs:
        return f"training.max_epochs={config.max_epochs} reached"
    if config.max_minutes is not None and elapsed_s >= 60 * config.max_minutes:
        return f"training.max_minutes={config.max_minutes:g} reached"
    if config.patience is not None and stale >= config.patience:
        return f"no better {config.metric.name} in training.patience={config.patience} validations"
    return None


def share_done(config: TrainingConfig, update: int, epochs: float, elapsed_s: float) -> float:
    """How much of the training is done, from 0 to 1, by the limit that is nearest."""
    shares = [update / config.max_updates]
    if config.max_epochs is not None:
        shares.append(epochs / config.max_epochs)
    if config.max_minutes is not None:
        shares.append(elapsed_s / (60 * config.max_minutes))
    return min(1.0, max(shares))
