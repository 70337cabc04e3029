"""Scores of a checkpoint, or of what any system wrote."""

from transformer.evaluation.report import Evaluation
from transformer.evaluation.run import evaluate_run
from transformer.evaluation.system import evaluate

__all__ = ["Evaluation", "evaluate", "evaluate_run"]
