"""Properties of minimum-Bayes-risk decoding."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from transformer.config import Utility
from transformer.translation.mbr import choose
from transformer.translation.request import Output

WORDS = ["the", "old", "dog", "cat", "sees", "a", "house", "houses", "."]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=7).map(" ".join)


def output_of(text: str, log_probability: float = -1.0) -> Output:
    return Output(
        text=text,
        score=log_probability,
        log_probability=log_probability,
        tokens=text.split(),
        token_log_probabilities=[],
    )


OUTPUTS = st.lists(
    st.builds(output_of, TEXTS, st.floats(-50, 0, allow_nan=False)), min_size=1, max_size=9
)


def expected_utility(
    text: str, outputs: Sequence[Output], utility: Utility, *, drawn: bool
) -> float:
    metric = CHRF() if utility is Utility.chrf else BLEU(effective_order=True)
    scores = [metric.sentence_score(text, [other.text]).score for other in outputs]
    weights = [1 if drawn else math.exp(other.log_probability) for other in outputs]
    return float(np.dot(scores, weights)) / sum(weights)


@pytest.mark.parametrize("drawn", [True, False])
@pytest.mark.parametrize("utility", Utility)
@settings(max_examples=60, deadline=None)
@given(outputs=OUTPUTS, n_best=st.integers(1, 10))
def test_the_choice_is_that_of_scoring_each_output_against_each(
    utility: Utility, outputs: list[Output], n_best: int, drawn: bool
) -> None:
    chosen = choose(outputs, utility, "en", n_best, drawn=drawn)
    expected = {o.text: expected_utility(o.text, outputs, utility, drawn=drawn) for o in outputs}
    assert len(chosen) == min(n_best, len(expected))
    assert len({output.text for output in chosen}) == len(chosen)
    for output in chosen:
        assert output.score == pytest.approx(expected[output.text], abs=1e-9)
    best = sorted(expected.values(), reverse=True)[: len(chosen)]
    assert [output.score for output in chosen] == pytest.approx(best, abs=1e-9)


def test_an_output_counts_as_often_as_it_was_drawn() -> None:
    rare, common = output_of("a cat .", -0.1), output_of("old houses", -9.0)
    outputs = [common, rare, common, common]
    first, second = choose(outputs, Utility.chrf, "en", 2, drawn=True)
    assert (first.text, second.text) == (common.text, rare.text)
    shared = CHRF().sentence_score(common.text, [rare.text]).score
    assert first.score == pytest.approx((3 * 100 + shared) / 4)


def test_of_outputs_with_one_text_the_most_probable_stands_for_all() -> None:
    outputs = [output_of("a cat", -3.0), output_of("a cat", -2.0), output_of("a cat", -4.0)]
    (chosen,) = choose(outputs, Utility.bleu, "en", 3, drawn=True)
    assert chosen.log_probability == -2.0
    assert chosen.score == pytest.approx(100)


@pytest.mark.parametrize("utility", Utility)
def test_equal_outputs_are_ranked_by_log_probability(utility: Utility) -> None:
    outputs = [output_of("xy", -3.0), output_of("ab", -1.0), output_of("uv", -2.0)]
    chosen = choose(outputs, utility, "en", 3, drawn=True)
    assert [output.log_probability for output in chosen] == [-1.0, -2.0, -3.0]


@pytest.mark.parametrize("utility", Utility)
def test_a_blank_output_is_like_none(utility: Utility) -> None:
    outputs = [output_of("", -0.1), output_of("", -0.1), output_of("a cat .", -5.0)]
    first, second = choose(outputs, utility, "en", 2, drawn=True)
    assert (first.text, second.text) == ("a cat .", "")
    assert first.score == pytest.approx(100 / 3)
    assert second.score == 0
    (alone,) = choose(outputs[:1], utility, "en", 1, drawn=True)
    assert (alone.text, alone.score) == ("", 0)


def test_all_but_the_score_of_an_output_stays() -> None:
    output = output_of("a cat", -3.0)
    (chosen,) = choose([output], Utility.chrf, "en", 1, drawn=True)
    assert chosen.score == pytest.approx(100)
    assert (chosen.tokens, chosen.log_probability) == (output.tokens, output.log_probability)
    assert output.score == -3.0
