"""Properties of length normalisation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.config import LengthNormalization, SearchConfig
from transformer.search.length import normalised

CONFIGS = st.builds(
    SearchConfig,
    normalization=st.sampled_from(LengthNormalization),
    length_penalty=st.floats(0, 3),
)


@given(st.integers(1, 500), CONFIGS)
def test_a_score_never_falls_with_length(length: int, config: SearchConfig) -> None:
    assert normalised(-3.0, length, config) <= normalised(-3.0, length + 1, config)
    assert normalised(-3.0, length, config) >= -3


def test_scores_follow_their_formulas() -> None:
    def at(length: int, normalization: LengthNormalization) -> float:
        config = SearchConfig(normalization=normalization, length_penalty=0.6)
        return normalised(-2.0, length, config)

    assert at(7, LengthNormalization.wu) == pytest.approx(-2 * (5 + 1) ** 0.6 / (5 + 7) ** 0.6)
    assert at(7, LengthNormalization.plain) == pytest.approx(-2 / 7**0.6)
    assert at(7, LengthNormalization.reward) == pytest.approx(-2 + 0.6 * 7)
    assert at(7, LengthNormalization.none) == -2
