"""From settings to a trained model in a run's folder."""

from transformer.training.start import train
from transformer.training.trainer import TrainingResult

__all__ = ["TrainingResult", "train"]
