"""Which continuations of a beam are kept, against loops over all of them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from transformer.search.selection import BLOCK, LARGE, Best, Candidates, Chosen, Diverse, top

SEEDS = st.integers(0, 2**32)


def table(seed: int, shape: tuple[int, ...], n_values: int | None = None) -> Tensor:
    """Log-probabilities, about a quarter of them -inf; `n_values` different ones, for ties."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    if n_values is not None:
        values = torch.randint(n_values, shape, generator=generator).double()
    gone = torch.rand(shape, generator=generator) < 0.25
    return (values - 5).masked_fill(gone, -math.inf)


def candidates(seed: int, shape: tuple[int, int, int]) -> Candidates:
    return Candidates(table(seed, shape), table(seed + 1, shape[:2]))


def ranked(candidates: Candidates, sentence: int) -> list[tuple[float, int, int]]:
    """The sum, the place and the token of each continuation of a sentence, best first."""
    totals = candidates.logits[sentence] + candidates.offsets[sentence].unsqueeze(1)
    found = [
        (total, place, token)
        for place, row in enumerate(totals.tolist())
        for token, total in enumerate(row)
        if total > -math.inf
    ]
    return sorted(found, reverse=True)


def kept(chosen: Chosen, sentence: int) -> list[tuple[float, int, int]]:
    columns = (chosen.log_probabilities, chosen.parents, chosen.tokens)
    rows = zip(*(column[sentence].tolist() for column in columns), strict=True)
    return [row for row in rows if row[0] > -math.inf]


@given(SEEDS, st.integers(1, 3), st.integers(1, 4), st.integers(1, 9), st.integers(1, 12))
def test_the_best_are_the_best_of_all_continuations(
    seed: int, B: int, K: int, V: int, n: int
) -> None:
    given_ = candidates(seed, (B, K, V))
    chosen = Best().choose(given_, n)
    assert chosen.tokens.shape == (B, min(n, K * V)) or chosen.tokens.shape == (B, min(n, K * n))
    for sentence in range(B):
        assert kept(chosen, sentence) == ranked(given_, sentence)[:n]


@settings(max_examples=20)
@given(
    SEEDS,
    st.integers(1, 10),
    st.integers(0, BLOCK + 1),
    st.sampled_from([None, 2, 50]),
    st.booleans(),
)
def test_the_greatest_by_blocks_are_those_of_torch(
    seed: int, n: int, rest: int, n_values: int | None, empty: bool
) -> None:
    rows = table(seed, (32, LARGE // 32 + rest), n_values)
    if empty:
        rows[0] = -math.inf
    values, columns = top(rows, n)
    assert torch.equal(values, rows.topk(n).values)
    assert torch.equal(rows.gather(1, columns), values)
    assert all(len(set(line)) == n for line in columns.tolist())


@given(
    SEEDS, st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 9), st.booleans()
)
def test_each_group_takes_the_best_when_tokens_of_those_before_cost(
    seed: int, B: int, groups: int, size: int, V: int, first: bool
) -> None:
    diversity = 0.7
    given_ = candidates(seed, (B, 1 if first else groups * size, V))
    chosen = Diverse(groups, diversity).choose(given_, groups * size)
    assert chosen.tokens.shape == (B, groups * size)
    for sentence in range(B):
        costs = [0.0] * V
        for group in range(groups):
            own = range(1) if first else range(group * size, (group + 1) * size)
            options = [each for each in ranked(given_, sentence) if each[1] in own]
            options.sort(key=lambda each: -(each[0] - costs[each[2]]))
            part = slice(group * size, (group + 1) * size)
            found = kept(
                Chosen(
                    chosen.log_probabilities[:, part],
                    chosen.parents[:, part],
                    chosen.tokens[:, part],
                ),
                sentence,
            )
            assert found == [pytest.approx(each) for each in options[:size]]
            for _, _, token in found:
                costs[token] += diversity


@pytest.mark.parametrize("groups", [2, 4])
def test_groups_take_different_tokens_where_sameness_costs_much(groups: int) -> None:
    given_ = Candidates(torch.arange(-8.0, 0).view(1, 1, 8), torch.zeros(1, 1))
    chosen = Diverse(groups, 100.0).choose(given_, 4)
    assert sorted(chosen.tokens.flatten().tolist()) == [4, 5, 6, 7]
    assert chosen.log_probabilities.max() == -1
    same = Diverse(groups, 0.0).choose(given_, 4)
    size = 4 // groups
    assert same.tokens.view(groups, size).tolist() == [list(range(7, 7 - size, -1))] * groups
