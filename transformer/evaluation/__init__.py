"""Scores of a checkpoint, or of what any system wrote."""

from transformer.evaluation.report import Evaluation, Report
from transformer.evaluation.run import evaluate_run
from transformer.evaluation.system import evaluate

__all__ = ["Evaluation", "Report", "evaluate", "evaluate_run"]
