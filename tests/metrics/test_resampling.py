"""Samples are those of sacreBLEU's own functions, however few are drawn at a time."""

import random
import tracemalloc

import numpy as np
import pytest
from numpy.random import SeedSequence
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest, _bootstrap_resample, _compute_p_value

from transformer.metrics import resampling
from transformer.metrics.resampling import bootstrap, shuffled_differences

N = 37  # lines: no multiple of the bits of a number


def lines(seed: int) -> list[str]:
    generator = random.Random(seed)
    words = ["the", "old", "dog", "sees", "a", "red", "house", "."]
    return [" ".join(generator.choices(words, k=generator.randint(1, 9))) for _ in range(N)]


@pytest.fixture(params=[BLEU, CHRF, TER], ids=["bleu", "chrf", "ter"])
def metric(request: pytest.FixtureRequest) -> Metric:
    found: Metric = request.param(references=[lines(1), lines(2), lines(3)])
    return found


def test_bootstrapped_scores_are_sacrebleus(
    metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SACREBLEU_SEED", "7")
    statistics = metric._extract_corpus_statistics(lines(4), None)
    _, expected = _bootstrap_resample(statistics, metric, 50)
    assert bootstrap(metric, statistics, 50, 7) == [score.score for score in expected]


@pytest.mark.parametrize("at_once", [1, 64 * N, 2**22])
def test_shuffled_systems_are_as_far_apart_as_sacrebleus(
    metric: Metric, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resampling, "_DRAWN_AT_ONCE", at_once)
    systems: list[tuple[str, list[str]]] = [("one", lines(4)), ("other", lines(5))]
    test = PairedTest(systems, {"": metric}, None, test_type="ar", n_samples=150)  # type: ignore[arg-type]
    test._seed = SeedSequence(7)  # type: ignore[assignment]
    one, other = (metric._extract_corpus_statistics(each, None) for _, each in systems)
    apart = shuffled_differences(metric, one, other, 150, 7)
    (result,) = (found[1] for name, found in test()[1].items() if name != "System")
    real = abs(
        metric._aggregate_and_compute(one).score - metric._aggregate_and_compute(other).score
    )
    assert _compute_p_value(apart, real) == result.p_value  # type: ignore[union-attr]
    assert len(apart) == 150


def test_memory_does_not_grow_with_the_number_of_samples() -> None:
    """Twenty samples at once would be twenty tables."""
    metric = BLEU(references=[["a b c d e"] * 1000])
    statistics = np.ones((40_000, 10)).tolist()
    tracemalloc.start()
    bootstrap(metric, statistics, 20, 7)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    table = 40_000 * 10 * 4
    assert most < 4 * table
