"""The coverage penalty, over a model whose every look at the source can be looked up."""

import itertools
import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.search.test_beam import (
    EOS,
    PAD,
    SPECIAL,
    WORDS,
    TableModel,
    TableState,
    Tokens,
    as_hypothesis,
    assert_same,
)
from transformer.config import LengthNormalization, SearchConfig
from transformer.search import Hypothesis, Task, search
from transformer.search.beam import penalty

S = 4  # columns of the source, of which the first is the sentence's number
NORMALIZATIONS = st.sampled_from(LengthNormalization)


class LookingModel(TableModel):
    """Looks at each of `number % S + 1` tokens of a source at random."""

    def attend(self, tokens: Tensor, state: TableState, /) -> tuple[Tensor, Tensor]:
        logits = self.step(tokens, state)
        looks = [looks_of(source, prefix[1:]) for source, prefix in state.rows]
        return logits, torch.tensor(looks, dtype=torch.float64).unsqueeze(1)


def looks_of(source: int, prefix: Tokens) -> list[float]:
    generator = random.Random(f"looks {source} {prefix}")
    n = source % S + 1
    weights = [math.exp(generator.gauss(0, 2)) for _ in range(n)]
    return [weight / sum(weights) for weight in weights] + [0.0] * (S - n)


def expected_penalty(source: int, tokens: Tokens, weight: float) -> float:
    """Wu et al., 2016, equation 14."""
    looks = [looks_of(source, tokens[:i]) for i in range(len(tokens))]
    sums = [sum(column) for column in zip(*looks, strict=True)][: source % S + 1]
    return weight * sum(math.log(min(total, 1)) for total in sums)


def find(sources: list[int], limit: int, config: SearchConfig) -> list[list[Hypothesis]]:
    rows = [[number] + [7] * (number % S) + [PAD] * (S - 1 - number % S) for number in sources]
    tasks = [Task(longest=limit) for _ in sources]
    return search(LookingModel(), torch.tensor(rows), tasks, config, SPECIAL)


@settings(max_examples=15)
@given(st.integers(1, 10_000), NORMALIZATIONS, st.sampled_from([0.2, 3.0]), st.integers(1, 3))
def test_a_beam_as_wide_as_the_space_is_exhaustive_search_with_the_penalty(
    source: int, normalization: LengthNormalization, weight: float, limit: int
) -> None:
    outputs = [(*words, EOS) for n in range(limit) for words in itertools.product(WORDS, repeat=n)]
    outputs += itertools.product(WORDS, repeat=limit)
    config = SearchConfig(
        beam_size=50, n_best=50, normalization=normalization, coverage_penalty=weight
    )
    space = []
    for tokens in outputs:
        steps = [
            TableModel().log_probabilities(source, tokens[:i])[t] for i, t in enumerate(tokens)
        ]
        plain = as_hypothesis(tokens, steps, config)
        score = plain.score + expected_penalty(source, tokens, weight)
        space.append(Hypothesis(**{**vars(plain), "score": score}))
    space.sort(key=lambda hypothesis: (not hypothesis.finished, -hypothesis.score))
    (found,) = find([source], limit, config)
    assert_same(found, space)


@settings(max_examples=15)
@given(
    st.lists(st.integers(1, 10_000), min_size=2, max_size=6), st.integers(1, 4), st.integers(1, 8)
)
def test_a_penalty_does_not_depend_on_the_neighbours(
    sources: list[int], beam_size: int, limit: int
) -> None:
    config = SearchConfig(beam_size=beam_size, n_best=beam_size, coverage_penalty=0.7)
    for source, hypotheses in zip(sources, find(sources, limit, config), strict=True):
        (alone,) = find([source], limit, config)
        assert_same(hypotheses, alone)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_never_looked_at_costs_much_but_is_finite(dtype: torch.dtype) -> None:
    looks = torch.tensor([[0.0, 1.0, 2.0], [0.5, 0.5, 0.0]], dtype=dtype)
    real = torch.tensor([[True, True, True], [True, True, False]])
    first, second = penalty(looks, real, 2.0).tolist()
    assert -2000 < first < -100
    assert second == pytest.approx(4 * math.log(0.5))
