"""Properties of sampling."""

import itertools
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from transformer.config import LengthNormalization, SamplingConfig, SearchConfig, SearchMethod
from transformer.errors import InputError
from transformer.search.hypothesis import Hypothesis
from transformer.search.length import normalised
from transformer.search.protocol import SpecialIds, Task
from transformer.search.sampling import draw, kept, sample, uniforms

PAD, UNK, BOS, EOS, A, B = range(6)
SPECIAL = SpecialIds(pad=PAD, unk=UNK, bos=BOS, eos=EOS)
Tokens = tuple[int, ...]

SOURCES = st.lists(st.integers(0, 10_000), min_size=1, max_size=5)
SAMPLINGS = st.builds(
    SamplingConfig,
    temperature=st.sampled_from([0.3, 1.0, 1.7]),
    top_k=st.sampled_from([None, 1, 2, 4, 100]),
    top_p=st.sampled_from([None, 0.01, 0.5, 0.9, 1.0]),
    min_p=st.sampled_from([None, 0.01, 0.3, 1.0]),
    epsilon=st.sampled_from([None, 0.001, 0.1, 1.0]),
    seed=st.integers(0, 2**63 - 1),
)


@dataclass
class TableState:
    rows: list[tuple[int, Tokens]]  # source and tokens so far

    def select(self, rows: Tensor, /) -> "TableState":
        assert rows.dim() == 2
        chosen = [[self.rows[row] for row in line] for line in rows.tolist()]
        assert all(len({source for source, _ in line}) == 1 for line in chosen)
        return TableState([row for line in chosen for row in line])


class TableModel:
    """Logits by source and prefix: drawn at random where `table` does not hold probabilities."""

    def __init__(self, table: Mapping[Tokens, Mapping[int, float]] | None = None) -> None:
        self.table = table or {}
        self.n_rows: list[int] = []  # of each call

    def start(self, source: Tensor, /) -> TableState:
        return TableState([(int(number), ()) for number in source[:, 0]])

    def step(self, tokens: Tensor, state: TableState, /) -> Tensor:
        self.n_rows.append(len(tokens))
        state.rows = [
            (source, (*prefix, token))
            for (source, prefix), token in zip(state.rows, tokens[:, 0].tolist(), strict=True)
        ]
        logits = [self.logits(source, prefix[1:]) for source, prefix in state.rows]
        return torch.tensor(logits, dtype=torch.float64).unsqueeze(1)

    def logits(self, source: int, prefix: Tokens) -> list[float]:
        if prefix in self.table:
            return [math.log(self.table[prefix].get(token, 1e-30)) for token in range(6)]
        generator = random.Random(f"{source} {prefix}")
        return [generator.gauss(0, 1.5) for _ in range(6)]

    def log_probabilities(self, source: int, prefix: Tokens) -> list[float]:
        logits = torch.tensor(self.logits(source, prefix), dtype=torch.float64)
        values: list[float] = logits.log_softmax(0).tolist()
        return values


class Unwritten:
    """A rule by which some tokens never follow; it checks what it is told."""

    def __init__(self, *ids: int) -> None:
        self.ids = list(ids)
        self.outputs: list[list[Tokens]] | None = None

    def restrict(self, logits: Tensor, tokens: Tensor) -> None:
        told = [[tuple(output) for output in outputs] for outputs in tokens.tolist()]
        assert self.outputs in (None, told)
        assert logits.shape[:2] == tokens.shape[:2]
        self.outputs = told
        logits[:, :, self.ids] = -math.inf

    def follow(self, parents: Tensor, tokens: Tensor) -> None:
        assert self.outputs is not None
        self.outputs = [
            [(*outputs[place], token) for place, token in zip(places, line, strict=True)]
            for outputs, places, line in zip(
                self.outputs, parents.tolist(), tokens.tolist(), strict=True
            )
        ]

    def keep(self, sentences: Tensor) -> None:
        assert self.outputs is not None
        self.outputs = [self.outputs[sentence] for sentence in sentences.tolist()]


def settings_of(width: int, sampling: SamplingConfig | None = None) -> SearchConfig:
    sampling = sampling or SamplingConfig()
    return SearchConfig(method=SearchMethod.sampling, n_best=width, sampling=sampling)


def draw_all(
    model: TableModel,
    sources: Sequence[int],
    config: SearchConfig,
    *,
    limits: Sequence[int] | None = None,
    numbers: Sequence[int] | None = None,
    unwritten: Sequence[int] = (PAD, BOS),
) -> list[list[Hypothesis]]:
    limits = limits or [8] * len(sources)
    numbers = numbers or range(len(sources))
    tasks = [
        Task(longest=limit, number=number) for limit, number in zip(limits, numbers, strict=True)
    ]
    source = torch.tensor(sources, dtype=torch.int64).unsqueeze(1)
    return sample(model, source, tasks, config, SPECIAL, [Unwritten(*unwritten)])


def probabilities(logits: Tensor, config: SamplingConfig) -> Tensor:
    """What each token is drawn with, [V] for `logits` [V]: token by token, as it is written."""
    chances = (logits / config.temperature).softmax(0).tolist()
    order = sorted(range(len(chances)), key=lambda token: -chances[token])
    left = []
    for rank, token in enumerate(order):
        above = sum(chances[other] for other in order[:rank])
        within = (
            rank < (config.top_k or len(order)),
            above < (config.top_p or 1) or config.top_p in (None, 1),
            chances[token] >= (config.min_p or 0) * chances[order[0]],
            chances[token] >= (config.epsilon or 0),
        )
        if rank == 0 or all(within):
            left.append(token)
    result = torch.zeros_like(logits)
    result[left] = torch.tensor([chances[token] for token in left], dtype=logits.dtype)
    return result / result.sum()


def distribution(logits: Tensor, config: SamplingConfig) -> Tensor:
    """What `kept` says of the same."""
    weights, ids = kept(logits.view(1, 1, -1), config)
    whole = torch.zeros_like(logits).scatter_add(0, ids.flatten(), weights.flatten())
    return whole / whole.sum()


@given(SAMPLINGS, st.integers(0, 1000), st.sampled_from([2, 30, 700]))
def test_what_is_drawn_from_is_what_the_limits_leave_of_the_distribution(
    config: SamplingConfig, seed: int, size: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(size, dtype=torch.float64, generator=generator)
    logits[0] = -math.inf
    difference = distribution(logits, config) - probabilities(logits, config)
    assert difference.abs().max() < 1e-10


@pytest.mark.parametrize(
    "config",
    [SamplingConfig(top_k=3), SamplingConfig(top_p=0.75), SamplingConfig(top_k=4, top_p=0.7)],
)
def test_of_equal_tokens_no_more_are_left_than_the_limit_says(config: SamplingConfig) -> None:
    left = distribution(torch.zeros(4, dtype=torch.float64), config)
    assert sorted(left.tolist()) == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])


def test_a_flat_distribution_is_cut_by_top_p_however_many_tokens_it_takes() -> None:
    logits = torch.zeros(1, 2, 5000, dtype=torch.float64)
    logits[0, 1, 7] = 20
    weights, ids = kept(logits, SamplingConfig(top_p=0.5))
    assert (weights > 0).sum(2).tolist() == [[2500, 1]]
    assert len({*ids[0, 0, :2500].tolist()}) == 2500
    assert ids[0, 1, 0] == 7


@given(SAMPLINGS, st.integers(0, 1000))
def test_a_token_is_drawn_where_the_distribution_function_passes_the_number(
    config: SamplingConfig, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, 3, 20, dtype=torch.float64, generator=generator)
    weights, ids = kept(logits, config)
    numbers = torch.rand(2, 3, dtype=torch.float64, generator=generator)
    drawn = draw(weights, ids, numbers)
    for b, k in itertools.product(range(2), range(3)):
        shares = (weights[b, k] / weights[b, k].sum()).tolist()
        reached = list(itertools.accumulate(shares))
        place = next(i for i, value in enumerate(reached) if value > numbers[b, k])
        assert drawn[b, k] == ids[b, k, place]


def test_the_ends_of_the_range_give_tokens_that_weigh_something() -> None:
    weights = torch.tensor([[[0.0, 0.5, 1.0, 0.0]]])
    ids = torch.tensor([[[5, 6, 7, 8]]])
    numbers = torch.tensor([[0.0, 0.34, 1 - 2.0**-53]], dtype=torch.float64)
    assert draw(weights, ids, numbers).tolist() == [[6, 7, 7]]
    assert draw(0 * weights, ids, numbers).tolist() == [[-1, -1, -1]]


def test_uniform_numbers_are_those_of_the_sample_whatever_else_is_drawn() -> None:
    tasks = [Task(longest=1, number=number) for number in (7, 0, 2**40)]
    numbers = uniforms(tasks, 5, 100, 3)
    assert 0 <= float(numbers.min()) < 0.01
    assert 0.99 < float(numbers.max()) < 1
    assert numbers.mean().item() == pytest.approx(0.5, abs=0.02)
    assert torch.unique(numbers).numel() == numbers.numel()
    assert torch.equal(uniforms(tasks[1:], 2, 9, 3), numbers[1:, :2, :9])
    assert not torch.isin(uniforms(tasks, 5, 100, 4), numbers).any()


@settings(max_examples=40, deadline=None)
@given(SOURCES, SAMPLINGS, st.integers(1, 6))
def test_the_same_seed_gives_the_same_samples(
    sources: list[int], sampling: SamplingConfig, width: int
) -> None:
    config = settings_of(width, sampling)
    torch.manual_seed(1)
    found = draw_all(TableModel(), sources, config)
    torch.manual_seed(2)
    assert draw_all(TableModel(), sources, config) == found


@settings(max_examples=40, deadline=None)
@given(st.data(), SOURCES, SAMPLINGS, st.integers(1, 6))
def test_samples_do_not_depend_on_their_batch(
    data: st.DataObject, sources: list[int], sampling: SamplingConfig, width: int
) -> None:
    size, config = len(sources), settings_of(width, sampling)
    limits = data.draw(st.lists(st.integers(1, 12), min_size=size, max_size=size))
    numbers = data.draw(st.lists(st.integers(0, 2**40), min_size=size, max_size=size))
    together = draw_all(TableModel(), sources, config, limits=limits, numbers=numbers)
    order = data.draw(st.permutations(range(size)))
    again = draw_all(
        TableModel(),
        [sources[i] for i in order],
        config,
        limits=[limits[i] for i in order],
        numbers=[numbers[i] for i in order],
    )
    assert again == [together[i] for i in order]
    for i, samples in enumerate(together):
        (alone,) = draw_all(
            TableModel(), [sources[i]], config, limits=[limits[i]], numbers=[numbers[i]]
        )
        assert alone == samples


@settings(max_examples=40, deadline=None)
@given(SOURCES, st.integers(1, 5), st.integers(1, 9))
def test_fewer_samples_are_the_first_of_more(sources: list[int], width: int, more: int) -> None:
    wide = draw_all(TableModel(), sources, settings_of(width + more))
    assert draw_all(TableModel(), sources, settings_of(width)) == [s[:width] for s in wide]


@given(SOURCES, SAMPLINGS, st.sampled_from(LengthNormalization), st.integers(1, 9))
def test_scores_are_the_models_own_whatever_is_drawn_from(
    sources: list[int],
    sampling: SamplingConfig,
    normalization: LengthNormalization,
    limit: int,
) -> None:
    config = settings_of(3, sampling)
    config.normalization, config.length_penalty = normalization, 0.7
    model = TableModel()
    found = draw_all(model, sources, config, limits=[limit] * len(sources), unwritten=(PAD, BOS, A))
    for source, samples in zip(sources, found, strict=True):
        assert len(samples) == 3
        for hypothesis in samples:
            tokens = (*hypothesis.tokens, *[EOS] * hypothesis.finished)
            assert len(tokens) <= limit
            assert len(tokens) == limit or hypothesis.finished
            assert set(hypothesis.tokens) <= {UNK, B}
            own = [
                model.log_probabilities(source, tokens[:i])[token] for i, token in enumerate(tokens)
            ]
            assert hypothesis.token_log_probabilities == pytest.approx(own, abs=1e-10)
            assert hypothesis.log_probability == pytest.approx(sum(own), abs=1e-10)
            score = normalised(sum(own), len(tokens), config)
            assert hypothesis.score == pytest.approx(score, abs=1e-10)


@given(SOURCES, st.sampled_from([{"top_k": 1}, {"temperature": 1e-9}, {"temperature": 5e-324}]))
def test_one_token_left_and_no_temperature_are_greedy_search(
    sources: list[int], limits: dict[str, float]
) -> None:
    model = TableModel()
    config = settings_of(2, SamplingConfig(**limits))  # type: ignore[arg-type]
    for source, samples in zip(sources, draw_all(model, sources, config), strict=True):
        tokens: Tokens = ()
        while EOS not in tokens and len(tokens) < 8:
            scores = model.log_probabilities(source, tokens)
            tokens += (max((UNK, EOS, A, B), key=scores.__getitem__),)
        assert samples[0] == samples[1]
        assert samples[0].tokens == [token for token in tokens if token != EOS]


@pytest.mark.parametrize("temperature", [1e-30, 1e-40, 5e-324])
def test_a_temperature_below_what_single_precision_holds_leaves_the_ties(
    temperature: float,
) -> None:
    logits = torch.tensor([1.0, 3.0, -math.inf, 3.0, 2.9])
    left = distribution(logits, SamplingConfig(temperature=temperature))
    assert left.tolist() == [0, 0.5, 0, 0.5, 0]


def frequencies(samples: Sequence[Hypothesis]) -> dict[Tokens, float]:
    counts = Counter((*h.tokens, *[EOS] * h.finished) for h in samples)
    return {tokens: count / len(samples) for tokens, count in counts.items()}


@pytest.mark.parametrize(
    "sampling",
    [
        SamplingConfig(),
        SamplingConfig(temperature=0.5, seed=2),
        SamplingConfig(top_k=3, min_p=0.1),
        SamplingConfig(top_p=0.8),
    ],
)
def test_outputs_are_as_frequent_as_they_are_probable(sampling: SamplingConfig) -> None:
    model, limit, width = TableModel(), 3, 4000
    (samples,) = draw_all(model, [5], settings_of(width, sampling), limits=[limit])
    chances: dict[Tokens, float] = {(): 1.0}
    for _ in range(limit):
        for prefix in [tokens for tokens in chances if EOS not in tokens]:
            logits = torch.tensor(model.logits(5, prefix), dtype=torch.float64)
            logits[[PAD, BOS]] = -math.inf
            chance = chances.pop(prefix)
            for token, value in enumerate(probabilities(logits, sampling).tolist()):
                if value > 0:
                    chances[*prefix, token] = chance * value
    found = frequencies(samples)
    assert set(found) <= set(chances)
    squares = [width * (found.get(t, 0) - p) ** 2 / p for t, p in chances.items()]
    # Chi-square: its mean are the degrees of freedom n, its variance 2n; four deviations.
    n = len(chances) - 1
    assert sum(squares) < n + 4 * math.sqrt(2 * n)


def test_samples_of_one_sentence_are_independent() -> None:
    (samples,) = draw_all(TableModel(), [1], settings_of(2000), limits=[1])
    single = frequencies(samples)
    pairs = Counter((tuple(a.tokens), tuple(b.tokens)) for a, b in itertools.pairwise(samples))
    expected = sum(p * p for p in single.values())
    same = sum(count for (a, b), count in pairs.items() if a == b) / pairs.total()
    assert same == pytest.approx(expected, abs=0.04)
    assert len(single) == 4


def test_equal_sources_with_other_numbers_have_other_samples() -> None:
    first, second = draw_all(TableModel(), [3, 3], settings_of(20))
    assert first != second


ENDLESS = {(A,) * n: {A: 1.0} for n in range(1, 20)}


def test_a_sample_ends_unfinished_at_the_limit_of_its_sentence() -> None:
    model = TableModel({(): {A: 1.0}, **ENDLESS})
    found = draw_all(model, [0, 0, 0], settings_of(2), limits=[2, 7, 1])
    assert [[h.tokens for h in samples] for samples in found] == [[[A] * n] * 2 for n in (2, 7, 1)]
    assert not any(h.finished for samples in found for h in samples)
    assert model.n_rows == [3, 4, 2, 2, 2, 2, 2]


def test_places_of_samples_that_are_done_are_given_up() -> None:
    model = TableModel({(): {A: 0.1, EOS: 0.9}, **ENDLESS})
    (samples,) = draw_all(model, [0], settings_of(50), limits=[5])
    growing = sum(not hypothesis.finished for hypothesis in samples)
    assert 0 < growing < 20
    assert model.n_rows == [1, growing, growing, growing, growing]


class DeadEnd(Unwritten):
    """Nothing follows B."""

    def restrict(self, logits: Tensor, tokens: Tensor) -> None:
        super().restrict(logits, tokens)
        logits[tokens[:, :, -1] == B] = -math.inf


@given(st.integers(0, 10_000), st.integers(1, 6))
def test_just_the_samples_that_the_rules_leave_no_token_are_left_out(
    source: int, limit: int
) -> None:
    config = settings_of(20)
    (everything,) = draw_all(TableModel(), [source], config, limits=[limit])
    left = [h for h in everything if B not in h.tokens[: limit - 1]]
    rules = [DeadEnd(PAD, BOS)]
    tasks = [Task(longest=limit)]
    if left:
        assert sample(TableModel(), torch.tensor([[source]]), tasks, config, SPECIAL, rules) == [
            left
        ]


def test_a_sentence_all_of_whose_samples_are_left_out_is_an_input_error() -> None:
    with pytest.raises(InputError, match="no output within the length limit"):
        draw_all(TableModel(), [0], settings_of(2), unwritten=range(6))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_summed_in_single_precision(dtype: torch.dtype) -> None:
    class HalfModel(TableModel):
        def step(self, tokens: Tensor, state: TableState, /) -> Tensor:
            return super().step(tokens, state).to(dtype)

    endless = {(A,) * n: {A: 0.9, B: 0.1} for n in range(300)}
    config = settings_of(1, SamplingConfig(top_k=1))
    ((hypothesis,),) = draw_all(HalfModel(endless), [0], config, limits=[300])
    logits = torch.tensor([0.9, 0.1], dtype=torch.float64).log().to(dtype).double()
    expected = 300 * float(logits.log_softmax(0)[0])
    assert hypothesis.log_probability == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_model_that_gives_no_probability_is_an_error(value: float) -> None:
    class BrokenModel(TableModel):
        def logits(self, source: int, prefix: Tokens) -> list[float]:
            return [value] * 6 if source == 1 else super().logits(source, prefix)

    assert draw_all(BrokenModel(), [0, 2], settings_of(2))
    with pytest.raises(FloatingPointError, match="NaN"):
        draw_all(BrokenModel(), [0, 1, 2], settings_of(2))


def test_what_a_model_says_behind_the_end_is_not_heeded() -> None:
    class EndingModel(TableModel):
        def logits(self, source: int, prefix: Tokens) -> list[float]:
            return [math.nan] * 6 if EOS in prefix else super().logits(source, prefix)

    sources = list(range(12))
    expected = draw_all(TableModel(), sources, settings_of(9))
    assert draw_all(EndingModel(), sources, settings_of(9)) == expected


def test_no_sentence_gives_no_samples() -> None:
    assert draw_all(TableModel(), [], settings_of(3)) == []
