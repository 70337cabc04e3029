"""Search for the best output of a model that offers `start`, `step` and `select`."""

from transformer.search.beam import search
from transformer.search.hypothesis import Hypothesis
from transformer.search.protocol import Model, State

__all__ = ["Hypothesis", "Model", "State", "search"]
