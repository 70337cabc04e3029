"""Search for the best output of a model that offers `start`, `step` and `select`."""

from transformer.search.decode import search
from transformer.search.ensemble import Ensemble
from transformer.search.hypothesis import Hypothesis
from transformer.search.protocol import AttendingModel, Model, SpecialIds, State, Task, Vocabulary

__all__ = [
    "AttendingModel",
    "Ensemble",
    "Hypothesis",
    "Model",
    "SpecialIds",
    "State",
    "Task",
    "Vocabulary",
    "search",
]
