"""Scores of samples of a corpus, drawn as sacreBLEU draws them.

SacreBLEU's own functions hold all samples at once: 7 GB for chrF of 100,000 lines and 1,000
samples. Here they are drawn one or a few at a time from the same generator, which gives the same.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray
from sacrebleu.metrics.base import Metric

Statistics = Sequence[Sequence[float]]  # of a metric, line by line

_DRAWN_AT_ONCE = 2**22  # lines, of several samples
_BITS = 32  # as many booleans come of one number, so that samples are drawn in multiples of it


def bootstrap(metric: Metric, statistics: Statistics, n_samples: int, seed: int) -> list[Any]:
    """The scores of samples of as many lines, drawn with replacement (Koehn, 2004, section 3).

    Numbers of NumPy or of Python, as the metric gives them.
    """
    generator, n = default_rng(seed), len(statistics)
    # SacreBLEU's precision, on which the last digits depend.
    table = np.array(statistics, dtype=np.float32)
    return [
        metric._compute_score_from_stats(table[generator.choice(n, size=n)].sum(0)).score
        for _ in range(n_samples)
    ]


def shuffled_differences(
    metric: Metric, one: Statistics, other: Statistics, n_samples: int, seed: int
) -> NDArray[np.float64]:
    """How far two systems are apart that have swapped lines at random, of each sample.

    Approximate randomisation (Riezler and Maxwell, 2005, section 4.3).
    """
    generator, n = default_rng(seed), len(one)
    tables = np.array(one), np.array(other)
    kind = np.result_type(*tables)
    # Sums of whole numbers are exact, and products of floats far faster.
    ours, theirs = (table.astype(np.float64) for table in tables)
    at_once = max(1, _DRAWN_AT_ONCE // n // _BITS) * _BITS
    found: list[float] = []
    for first in range(0, n_samples, at_once):
        size = (min(at_once, n_samples - first), n)
        kept = generator.integers(2, size=size, dtype=bool)
        stays, goes = kept.astype(np.float64), (~kept).astype(np.float64)
        sums = (stays @ ours + goes @ theirs, goes @ ours + stays @ theirs)
        pairs = zip(*(each.astype(kind)[:, None] for each in sums), strict=True)
        found += [abs(_score(metric, a) - _score(metric, b)) for a, b in pairs]
    return np.array(found)


def _score(metric: Metric, statistics: NDArray[Any]) -> float:
    return float(metric._aggregate_and_compute(statistics).score)  # type: ignore[arg-type]
