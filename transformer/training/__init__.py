"""From settings to a trained model in a run's folder."""

from transformer.training.trainer import TrainingResult, train

__all__ = ["TrainingResult", "train"]
