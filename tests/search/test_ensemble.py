"""Several models that search as one."""

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from transformer.config import EnsembleMean, LengthNormalization, SearchConfig
from transformer.search import SpecialIds, Task, search
from transformer.search.ensemble import Ensemble
from transformer.search.length import normalised

PAD, UNK, BOS, EOS, A, B = range(6)
SPECIAL = SpecialIds(PAD, UNK, BOS, EOS)
TOKENS = torch.tensor([[BOS, A, B], [BOS, UNK, A]])
SOURCE = torch.tensor([[7, 8, 9], [4, 4, 4]])
MEANS = pytest.mark.parametrize("mean", EnsembleMean)
WEIGHTS = st.lists(st.floats(0.01, 100), min_size=1, max_size=4)


@dataclass
class TableState:
    rows: list[tuple[int, ...]]  # a token of the source, and the tokens so far

    def select(self, rows: Tensor, /) -> "TableState":
        return TableState([self.rows[row] for row in rows.flatten().tolist()])


@dataclass(frozen=True)
class TableModel:
    """Logits and attention that are drawn by model, source and tokens so far."""

    number: int
    dtype: torch.dtype = torch.float64

    def start(self, source: Tensor, /) -> TableState:
        return TableState([(int(first),) for first in source[:, 0]])

    def step(self, tokens: Tensor, state: TableState, /) -> Tensor:
        return self.attend(tokens, state)[0]

    def attend(self, tokens: Tensor, state: TableState, /) -> tuple[Tensor, Tensor]:
        rows = []
        for i, row in enumerate(tokens.tolist()):
            rows.append([(*state.rows[i], *row[: end + 1]) for end in range(len(row))])
            state.rows[i] = rows[-1][-1]
        logits = torch.tensor([[self.draw(6, so_far) for so_far in row] for row in rows])
        looks = torch.tensor([[self.draw(3, so_far) for so_far in row] for row in rows])
        return logits.to(self.dtype), looks.double().softmax(-1)

    def draw(self, n: int, so_far: Sequence[int]) -> list[float]:
        generator = random.Random(f"{self.number} {n} {so_far}")
        return [generator.gauss(0, 2) for _ in range(n)]


class Unused(TableModel):
    """A model that must not be run."""

    def start(self, source: Tensor, /) -> TableState:
        raise AssertionError

    def attend(self, tokens: Tensor, state: TableState, /) -> tuple[Tensor, Tensor]:
        raise AssertionError


class Given(TableModel):
    """A model that says the same each time: nothing is as likely as B, and A cannot be."""

    def attend(self, tokens: Tensor, state: TableState, /) -> tuple[Tensor, Tensor]:
        logits = torch.zeros(*tokens.shape, 6, dtype=self.dtype)
        logits[..., A] = -math.inf
        logits[..., B] = 1
        return logits, torch.ones(*tokens.shape, 1)


def distribution(model: TableModel | Ensemble) -> Tensor:
    """Log-probabilities of what follows TOKENS, [2, 3, 6]."""
    return model.step(TOKENS, model.start(SOURCE)).log_softmax(-1)  # type: ignore[arg-type]


@MEANS
def test_an_ensemble_of_one_gives_the_models_own_logits(mean: EnsembleMean) -> None:
    model, ensemble = TableModel(1), Ensemble([TableModel(1)], [3.0], mean)
    logits = model.step(TOKENS, model.start(SOURCE))
    assert torch.equal(ensemble.step(TOKENS, ensemble.start(SOURCE)), logits)


@MEANS
@settings(max_examples=30)
@given(weights=WEIGHTS)
def test_an_ensemble_of_the_same_model_is_that_model(
    mean: EnsembleMean, weights: list[float]
) -> None:
    ensemble = Ensemble([TableModel(1)] * len(weights), weights, mean)
    torch.testing.assert_close(
        distribution(ensemble), distribution(TableModel(1)), rtol=0, atol=1e-12
    )


@MEANS
@settings(max_examples=30)
@given(weights=WEIGHTS)
def test_the_mean_is_that_of_the_formula(mean: EnsembleMean, weights: list[float]) -> None:
    models = [TableModel(number) for number in range(len(weights))]
    found = distribution(Ensemble(models, weights, mean)).exp()
    shares = torch.tensor(weights, dtype=torch.float64) / sum(weights)
    probabilities = torch.stack([distribution(model).exp() for model in models], dim=-1)
    if mean is EnsembleMean.arithmetic:
        expected = probabilities @ shares
    else:
        products = (probabilities**shares).prod(-1)
        expected = products / products.sum(-1, keepdim=True)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@MEANS
def test_without_weights_models_count_alike(mean: EnsembleMean) -> None:
    models = [TableModel(1), TableModel(2), TableModel(3)]
    weighted = distribution(Ensemble(models, [5.0, 5.0, 5.0], mean))
    assert torch.equal(distribution(Ensemble(models, mean=mean)), weighted)


@MEANS
@settings(max_examples=30)
@given(order=st.permutations(range(4)))
def test_the_order_of_the_models_does_not_matter(mean: EnsembleMean, order: list[int]) -> None:
    weights = [0.5, 1.0, 0.25, 2.0]
    ensemble = Ensemble([TableModel(i) for i in range(4)], weights, mean)
    other = Ensemble([TableModel(i) for i in order], [weights[i] for i in order], mean)
    torch.testing.assert_close(distribution(other), distribution(ensemble), rtol=0, atol=1e-12)


@MEANS
def test_a_model_of_weight_0_is_not_run(mean: EnsembleMean) -> None:
    ensemble = Ensemble([TableModel(1), Unused(2), TableModel(3)], [1.0, 0.0, 2.0], mean)
    expected = Ensemble([TableModel(1), TableModel(3)], [1.0, 2.0], mean)
    assert torch.equal(distribution(ensemble), distribution(expected))


def test_what_one_model_rules_out_is_out_of_the_geometric_mean_alone() -> None:
    models = [TableModel(1), Given(2)]
    assert (distribution(Ensemble(models))[..., A] == -math.inf).all()
    arithmetic = distribution(Ensemble(models, mean=EnsembleMean.arithmetic))
    expected = distribution(TableModel(1))[..., A] - math.log(2)
    torch.testing.assert_close(arithmetic[..., A], expected, rtol=0, atol=1e-12)
    nobody = distribution(Ensemble([Given(1), Given(2)], mean=EnsembleMean.arithmetic))
    assert (nobody[..., A] == -math.inf).all()


@MEANS
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_mean_is_taken_at_least_in_single_precision(
    mean: EnsembleMean, dtype: torch.dtype
) -> None:
    models = [TableModel(number, dtype) for number in range(2)]
    found = distribution(Ensemble(models, mean=mean))
    assert found.dtype is torch.promote_types(dtype, torch.float32)
    exact = [TableModel(number) for number in range(2)]
    tolerance = 5 * torch.finfo(dtype).eps
    torch.testing.assert_close(
        found.double(), distribution(Ensemble(exact, mean=mean)), rtol=0, atol=10 * tolerance
    )


@MEANS
@settings(max_examples=30)
@given(weights=WEIGHTS)
def test_it_looks_where_its_models_look_on_average(
    mean: EnsembleMean, weights: list[float]
) -> None:
    models = [TableModel(number) for number in range(len(weights))]
    ensemble = Ensemble(models, weights, mean)
    logits, looks = ensemble.attend(TOKENS, ensemble.start(SOURCE))
    assert torch.equal(logits, ensemble.step(TOKENS, ensemble.start(SOURCE)))
    each = [model.attend(TOKENS, model.start(SOURCE))[1] for model in models]
    expected = sum(
        weight / sum(weights) * attention for weight, attention in zip(weights, each, strict=True)
    )
    torch.testing.assert_close(looks, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(looks.sum(-1), torch.ones(2, 3).double(), rtol=0, atol=1e-12)


@MEANS
@pytest.mark.parametrize("normalization", LengthNormalization)
def test_a_wide_beam_finds_the_best_output_of_the_mean(
    mean: EnsembleMean, normalization: LengthNormalization
) -> None:
    longest = 4
    config = SearchConfig(beam_size=130, normalization=normalization, length_penalty=0.6)
    ensemble = Ensemble([TableModel(1), TableModel(2), TableModel(3)], [1.0, 2.0, 0.5], mean)
    source = torch.tensor([[number] for number in range(6)])
    found = search(ensemble, source, [Task(longest=longest)] * 6, config, SPECIAL)
    outputs = [
        [*words, EOS] for n in range(longest) for words in itertools.product((UNK, A, B), repeat=n)
    ]
    for number, (best,) in enumerate(found):
        scores = {}
        for output in outputs:
            state = ensemble.start(torch.tensor([[number]]))
            rows = ensemble.step(torch.tensor([[BOS, *output[:-1]]]), state)[0].log_softmax(-1)
            total = float(rows[range(len(output)), output].sum())
            scores[tuple(output)] = normalised(total, len(output), config)
        expected = max(scores, key=scores.__getitem__)
        assert (*best.tokens, EOS) == expected
        assert best.score == pytest.approx(scores[expected], abs=1e-10)
