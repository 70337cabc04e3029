"""From settings to a trained model in a run's folder."""

from transformer.training.curves import add_final_metrics
from transformer.training.outcome import Outcome, RunStatus, outcome_of
from transformer.training.start import train
from transformer.training.trainer import TrainingResult, Watch

__all__ = [
    "Outcome",
    "RunStatus",
    "TrainingResult",
    "Watch",
    "add_final_metrics",
    "outcome_of",
    "train",
]
