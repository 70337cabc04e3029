"""Minimum-Bayes-risk decoding: of many outputs, those that are most like all the others."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from transformer.config import Utility
from transformer.metrics import pairwise
from transformer.translation.request import Output

# Decimals of the expected utility that outputs are ranked by: behind them lies rounding.
DECIMALS = 9


def choose(outputs: Sequence[Output], utility: Utility, language: str, n_best: int) -> list[Output]:
    """The `n_best` of the `outputs` with the highest expected utility, best first.

    The expectation, 0 to 100, is the mean over all outputs as references, each counted as often as
    it occurs, the one that is scored included; it becomes their score. This is the decision rule
    of Kumar and Byrne, 2004, and, over samples, the estimate of Eikema and Aziz, 2022. Of outputs
    with one text the most probable stands for all: there are fewer than `n_best` where there are
    not so many texts. Equal ones are ranked by log-probability. InputError where the tokenizer for
    `language` is not installed.
    """
    candidates: dict[str, Output] = {}
    for output in sorted(outputs, key=lambda output: -output.log_probability):
        candidates.setdefault(output.text, output)
    counts = Counter(output.text for output in outputs)
    shares = np.array([counts[text] for text in candidates]) / len(outputs)
    expected = (pairwise(utility, list(candidates), language) @ shares).tolist()
    scored = [
        replace(output, score=score)
        for output, score in zip(candidates.values(), expected, strict=True)
    ]
    # The candidates come by log-probability, and sorting keeps the order of equal ones.
    return sorted(scored, key=lambda output: -round(output.score, DECIMALS))[:n_best]
