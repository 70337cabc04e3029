"""The page that shows a run."""

from transformer.evaluation.page.report import report

__all__ = ["report"]
