"""Scores of a checkpoint, or of what any system wrote."""

from transformer.evaluation.results import Evaluation, Results
from transformer.evaluation.run import evaluate_run
from transformer.evaluation.system import evaluate

__all__ = ["Evaluation", "Results", "evaluate", "evaluate_run"]
