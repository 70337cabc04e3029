"""Minimum-Bayes-risk decoding: of many outputs, those that are most like all the others."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from transformer.config import Utility
from transformer.metrics import pairwise
from transformer.translation.request import Output

# Decimals of the expected utility that outputs are ranked by: behind them lies rounding.
DECIMALS = 9


def choose(
    outputs: Sequence[Output], utility: Utility, language: str, n_best: int, *, drawn: bool
) -> list[Output]:
    """The `n_best` of the `outputs` with the highest expected utility, best first.

    The expectation, 0 to 100, is over all outputs as references, the one that is scored included;
    it becomes their score. Outputs that were `drawn` weigh the same, as often as they occur (Eikema
    and Aziz, 2022); those of a beam weigh what the model gives them (Kumar and Byrne, 2004). Of
    outputs with one text the most probable stands for all: there are fewer than `n_best` where
    there are not so many texts. Equal ones are ranked by log-probability. InputError where the
    tokenizer for `language` is not installed.
    """
    candidates: dict[str, Output] = {}
    for output in sorted(outputs, key=lambda output: -output.log_probability):
        candidates.setdefault(output.text, output)
    highest = max(output.log_probability for output in outputs)
    weights: dict[str, float] = defaultdict(float)
    for output in outputs:
        weights[output.text] += 1 if drawn else math.exp(output.log_probability - highest)
    shares = np.array([weights[text] for text in candidates]) / sum(weights.values())
    expected = (pairwise(utility, list(candidates), language) @ shares).tolist()
    scored = [
        replace(output, score=score)
        for output, score in zip(candidates.values(), expected, strict=True)
    ]
    # The candidates come by log-probability, and sorting keeps the order of equal ones.
    return sorted(scored, key=lambda output: -round(output.score, DECIMALS))[:n_best]
