"""Properties of length normalisation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.config import LengthNormalization, SearchConfig
from transformer.search.length import normaliser

CONFIGS = st.builds(
    SearchConfig,
    normalization=st.sampled_from(LengthNormalization),
    length_penalty=st.floats(0, 3),
)


@given(st.integers(1, 500), CONFIGS)
def test_a_normaliser_is_at_least_one_and_never_falls_with_length(
    length: int, config: SearchConfig
) -> None:
    assert 1 <= normaliser(length, config) <= normaliser(length + 1, config)


def test_normalisers_follow_their_formulas() -> None:
    def at(length: int, normalization: LengthNormalization) -> float:
        return normaliser(length, SearchConfig(normalization=normalization, length_penalty=0.6))

    assert at(7, LengthNormalization.wu) == pytest.approx((5 + 7) ** 0.6 / (5 + 1) ** 0.6)
    assert at(7, LengthNormalization.plain) == pytest.approx(7**0.6)
    assert at(7, LengthNormalization.none) == 1
