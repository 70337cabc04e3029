"""Properties of beam search over models whose every output can be looked up."""

import itertools
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from transformer.config import LengthNormalization, SearchConfig
from transformer.search import Hypothesis, SpecialIds, Task, search
from transformer.search.length import normalised

PAD, UNK, BOS, EOS, A, B = range(6)
WORDS = (UNK, A, B)
SPECIAL = SpecialIds(pad=PAD, unk=UNK, bos=BOS, eos=EOS)
Tokens = tuple[int, ...]

SOURCES = st.lists(st.integers(0, 10_000), min_size=1, max_size=5)
CONFIGS = st.builds(
    lambda beam_size, n_best, normalization, length_penalty: SearchConfig(
        beam_size=beam_size,
        n_best=min(n_best, beam_size),
        normalization=normalization,
        length_penalty=length_penalty,
    ),
    beam_size=st.integers(1, 6),
    n_best=st.integers(1, 6),
    normalization=st.sampled_from(LengthNormalization),
    length_penalty=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
)


@dataclass
class TableState:
    rows: list[tuple[int, Tokens]]  # source and tokens so far

    def select(self, rows: Tensor, /) -> "TableState":
        return TableState([self.rows[row] for row in rows.flatten().tolist()])


class TableModel:
    """Log-probabilities by source and prefix: drawn at random where `table` does not hold them."""

    def __init__(self, table: Mapping[Tokens, Mapping[int, float]] | None = None) -> None:
        self.table = table or {}
        self.n_rows: list[int] = []  # of each step

    def start(self, source: Tensor, /) -> TableState:
        return TableState([(int(number), ()) for number in source[:, 0]])

    def step(self, tokens: Tensor, state: TableState, /) -> Tensor:
        self.n_rows.append(len(tokens))
        state.rows = [
            (source, (*prefix, token))
            for (source, prefix), token in zip(state.rows, tokens[:, 0].tolist(), strict=True)
        ]
        logits = [self.log_probabilities(source, prefix[1:]) for source, prefix in state.rows]
        return torch.tensor(logits, dtype=torch.float64).unsqueeze(1)

    def log_probabilities(self, source: int, prefix: Tokens) -> list[float]:
        if prefix in self.table:
            given = self.table[prefix]
            return [math.log(given.get(token, 1e-30)) for token in range(6)]
        generator = random.Random(f"{source} {prefix}")
        weights = [math.exp(generator.gauss(0, 2)) for _ in range(6)]
        return [math.log(weight / sum(weights)) for weight in weights]


def find(
    model: TableModel, sources: list[int], limits: list[int], config: SearchConfig
) -> list[list[Hypothesis]]:
    source = torch.tensor(sources, dtype=torch.int64).unsqueeze(1)
    tasks = [Task(longest=limit) for limit in limits]
    return search(model, source, tasks, config, SPECIAL)


def plain_beam(
    model: TableModel, source: int, limit: int, config: SearchConfig
) -> list[Hypothesis]:
    """Beam search that never stops before the limit."""
    live: list[tuple[Tokens, list[float]]] = [((), [])]
    finished: list[Hypothesis] = []
    for length in range(1, limit + 1):
        grown = [
            ((*prefix, token), [*steps, model.log_probabilities(source, prefix)[token]])
            for prefix, steps in live
            for token in (*WORDS, EOS)
        ]
        grown = sorted(grown, key=lambda item: -sum(item[1]))[: config.beam_size]
        finished += [as_hypothesis(*item, config) for item in grown if item[0][-1] == EOS]
        live = [item for item in grown if item[0][-1] != EOS]
        assert all(len(prefix) == length for prefix, _ in live)
    finished.sort(key=lambda hypothesis: -hypothesis.score)
    return (finished + [as_hypothesis(*item, config) for item in live])[: config.n_best]


def as_hypothesis(tokens: Tokens, steps: list[float], config: SearchConfig) -> Hypothesis:
    finished = tokens[-1] == EOS
    return Hypothesis(
        tokens=list(tokens[:-1] if finished else tokens),
        score=normalised(sum(steps), len(tokens), config),
        log_probability=sum(steps),
        token_log_probabilities=steps,
        finished=finished,
    )


def assert_same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [(h.tokens, h.finished) for h in found] == [(h.tokens, h.finished) for h in expected]
    for hypothesis, other in zip(found, expected, strict=True):
        assert hypothesis.score == pytest.approx(other.score, abs=1e-10)
        assert hypothesis.log_probability == pytest.approx(other.log_probability, abs=1e-10)
        steps = other.token_log_probabilities
        assert hypothesis.token_log_probabilities == pytest.approx(steps, abs=1e-10)


@settings(deadline=None)
@given(SOURCES, st.sampled_from(LengthNormalization))
def test_a_beam_of_one_is_greedy_search(
    sources: list[int], normalization: LengthNormalization
) -> None:
    model = TableModel()
    config = SearchConfig(beam_size=1, normalization=normalization)
    found = find(model, sources, [8] * len(sources), config)
    for source, (hypothesis,) in zip(sources, found, strict=True):
        tokens: Tokens = ()
        while EOS not in tokens and len(tokens) < 8:
            scores = model.log_probabilities(source, tokens)
            tokens += (max((*WORDS, EOS), key=scores.__getitem__),)
        assert hypothesis.tokens == [token for token in tokens if token != EOS]
        assert hypothesis.finished == (EOS in tokens)


@pytest.mark.parametrize("normalization", LengthNormalization)
@pytest.mark.parametrize("limit", [1, 2, 4])
def test_a_beam_as_wide_as_the_space_is_exhaustive_search(
    normalization: LengthNormalization, limit: int
) -> None:
    model = TableModel()
    config = SearchConfig(beam_size=130, n_best=130, normalization=normalization)
    outputs = [(*words, EOS) for n in range(limit) for words in itertools.product(WORDS, repeat=n)]
    outputs += itertools.product(WORDS, repeat=limit)
    for source in range(5):
        space = []
        for tokens in outputs:
            steps = [model.log_probabilities(source, tokens[:i])[t] for i, t in enumerate(tokens)]
            space.append(as_hypothesis(tokens, steps, config))
        space.sort(key=lambda hypothesis: (not hypothesis.finished, -hypothesis.score))
        (everything,) = find(model, [source], [limit], config)
        assert_same(everything, space)
        (best,) = find(
            model,
            [source],
            [limit],
            SearchConfig(beam_size=130, n_best=3, normalization=normalization),
        )
        assert_same(best, space[:3])


@settings(deadline=None)
@given(st.data(), SOURCES, CONFIGS)
def test_stopping_early_changes_nothing(
    data: st.DataObject, sources: list[int], config: SearchConfig
) -> None:
    model = TableModel()
    limits = data.draw(st.lists(st.integers(1, 7), min_size=len(sources), max_size=len(sources)))
    found = find(model, sources, limits, config)
    for hypotheses, source, limit in zip(found, sources, limits, strict=True):
        assert_same(hypotheses, plain_beam(model, source, limit, config))


@settings(deadline=None)
@given(st.data(), SOURCES, CONFIGS)
def test_a_translation_does_not_depend_on_its_neighbours(
    data: st.DataObject, sources: list[int], config: SearchConfig
) -> None:
    limits = data.draw(st.lists(st.integers(1, 9), min_size=len(sources), max_size=len(sources)))
    together = find(TableModel(), sources, limits, config)
    for source, limit, hypotheses in zip(sources, limits, together, strict=True):
        assert find(TableModel(), [source], [limit], config) == [hypotheses]


@settings(deadline=None)
@given(SOURCES, CONFIGS, st.integers(1, 7))
def test_hypotheses_are_distinct_and_sorted_and_finished_before_cut(
    sources: list[int], config: SearchConfig, limit: int
) -> None:
    for hypotheses in find(TableModel(), sources, [limit] * len(sources), config):
        assert 1 <= len(hypotheses) <= config.n_best
        ranks = [(not h.finished, -h.score) for h in hypotheses]
        assert ranks == sorted(ranks)
        assert len({(*h.tokens, h.finished) for h in hypotheses}) == len(hypotheses)
        for hypothesis in hypotheses:
            assert set(hypothesis.tokens) <= set(WORDS)
            assert len(hypothesis.tokens) == limit if not hypothesis.finished else True
            assert len(hypothesis.tokens) + hypothesis.finished <= limit


# "EOS" at once has log-probability -0.9; the rival "A A A EOS" has -1.0 in the end.
LONG_RIVAL = {
    (): {EOS: 0.4, A: 0.39, B: 0.21},
    (A,): {A: 0.98, B: 0.02},
    (A, A): {A: 0.98, B: 0.02},
    (A, A, A): {EOS: 0.98, A: 0.02},
}


def test_a_sentence_goes_on_while_a_longer_rival_can_win() -> None:
    config = SearchConfig(beam_size=2, normalization=LengthNormalization.plain)
    ((hypothesis,),) = find(TableModel(LONG_RIVAL), [0], [10], config)
    assert hypothesis.tokens == [A, A, A]
    assert hypothesis.score == pytest.approx(math.log(0.39 * 0.98**3) / 4)


def test_a_sentence_ends_as_soon_as_no_rival_can_win() -> None:
    none = SearchConfig(beam_size=2, normalization=LengthNormalization.none)
    model = TableModel(LONG_RIVAL)
    ((hypothesis,),) = find(model, [0], [10], none)
    assert hypothesis.tokens == []
    assert len(model.n_rows) == 1

    # "A A A EOS" scores -0.25; "A A A A", at -4.9, would score -0.49 at best, at length 10.
    plain = SearchConfig(beam_size=2, normalization=LengthNormalization.plain)
    model = TableModel(LONG_RIVAL)
    find(model, [0], [10], plain)
    assert len(model.n_rows) == 4
    # At length 40 it could reach -0.12, so it is followed for as long as it may win.
    model = TableModel({**LONG_RIVAL, **{(A,) * n: {A: 1.0} for n in range(4, 40)}})
    find(model, [0], [40], plain)
    assert len(model.n_rows) == 40


def test_the_second_best_is_waited_for_too() -> None:
    config = SearchConfig(beam_size=2, n_best=2, normalization=LengthNormalization.none)
    model = TableModel(LONG_RIVAL)
    (hypotheses,) = find(model, [0], [10], config)
    assert [hypothesis.tokens for hypothesis in hypotheses] == [[], [A, A, A]]
    assert len(model.n_rows) == 4


def test_each_sentence_has_its_own_limit() -> None:
    endless = TableModel({(A,) * n: {A: 0.9, B: 0.1} for n in range(10)})
    found = find(endless, [0, 0, 0], [2, 7, 1], SearchConfig(beam_size=1))
    assert [hypotheses[0].tokens for hypotheses in found] == [[A] * 2, [A] * 7, [A]]
    assert not any(hypotheses[0].finished for hypotheses in found)
    assert endless.n_rows == [3, 2, 1, 1, 1, 1, 1]


def test_a_cut_hypothesis_ranks_behind_a_worse_finished_one() -> None:
    model = TableModel({(): {EOS: 0.01, A: 0.99}, (A,): {A: 0.5, B: 0.5}})
    (hypotheses,) = find(model, [0], [2], SearchConfig(beam_size=2, n_best=2))
    assert [hypothesis.finished for hypothesis in hypotheses] == [True, False]
    assert hypotheses[0].score < hypotheses[1].score


def test_pad_and_bos_are_never_generated_nor_renormalised_away() -> None:
    model = TableModel({(): {PAD: 0.5, BOS: 0.3, A: 0.2}, (A,): {PAD: 0.9, EOS: 0.1}})
    ((hypothesis,),) = find(model, [0], [5], SearchConfig(beam_size=1))
    assert hypothesis.tokens == [A]
    assert hypothesis.log_probability == pytest.approx(math.log(0.2 * 0.1), abs=1e-10)


def test_a_beam_wider_than_the_vocabulary_holds_no_empty_hypothesis() -> None:
    model = TableModel()
    (hypotheses,) = find(model, [0], [1], SearchConfig(beam_size=50, n_best=50))
    assert len(hypotheses) == 4
    assert all(math.isfinite(hypothesis.score) for hypothesis in hypotheses)


def test_done_sentences_leave_the_batch_and_the_others_grow_on() -> None:
    sources, limits = [5, 6, 7, 8], [3, 9, 1, 6]
    model = TableModel()
    find(model, sources, limits, SearchConfig(beam_size=3))
    assert model.n_rows[0] == 4
    assert model.n_rows[1] <= 3 * 3
    assert sorted(model.n_rows[1:], reverse=True) == model.n_rows[1:]


def test_a_state_whose_rows_stay_is_not_selected(monkeypatch: pytest.MonkeyPatch) -> None:
    selected: list[list[int]] = []
    select = TableState.select

    def record(state: TableState, rows: Tensor) -> TableState:
        selected.append(rows.flatten().tolist())
        return select(state, rows)

    monkeypatch.setattr(TableState, "select", record)
    endless = TableModel({(A,) * n: {A: 0.9, B: 0.1} for n in range(10)})
    find(endless, [0, 0], [9, 4], SearchConfig(beam_size=1))
    assert selected == [[0]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_summed_in_single_precision(dtype: torch.dtype) -> None:
    class HalfModel(TableModel):
        def step(self, tokens: Tensor, state: TableState, /) -> Tensor:
            return super().step(tokens, state).to(dtype)

    endless = {(A,) * n: {A: 0.9, B: 0.1} for n in range(300)}
    ((hypothesis,),) = find(HalfModel(endless), [0], [300], SearchConfig(beam_size=1))
    logits = torch.tensor([0.9, 0.1], dtype=torch.float64).log().to(dtype).double()
    expected = 300 * float(logits.log_softmax(0)[0])
    assert hypothesis.log_probability == pytest.approx(expected, rel=1e-5)


def test_a_model_that_gives_no_probability_is_an_error() -> None:
    class BrokenModel(TableModel):
        def step(self, tokens: Tensor, state: TableState, /) -> Tensor:
            return super().step(tokens, state) * math.nan

    with pytest.raises(FloatingPointError, match="NaN"):
        find(BrokenModel(), [0], [3], SearchConfig(beam_size=2))


def test_no_sentence_gives_no_hypotheses() -> None:
    assert find(TableModel(), [], [], SearchConfig()) == []


@settings(deadline=None)
@given(SOURCES, st.sampled_from([2, 3]), st.integers(1, 3), st.sampled_from([0.0, 0.5, 50.0]))
def test_groups_give_whole_outputs_each_once_and_do_not_depend_on_neighbours(
    sources: list[int], groups: int, size: int, diversity: float
) -> None:
    config = SearchConfig(
        beam_size=groups * size, n_best=groups * size, groups=groups, diversity=diversity
    )
    together = find(TableModel(), sources, [7] * len(sources), config)
    for source, hypotheses in zip(sources, together, strict=True):
        assert all(h.finished or len(h.tokens) == 7 for h in hypotheses)
        assert len({(*h.tokens, h.finished) for h in hypotheses}) == len(hypotheses)
        assert find(TableModel(), [source], [7], config) == [hypotheses]


@settings(deadline=None)
@given(SOURCES, st.integers(2, 3), st.integers(1, 3))
def test_groups_that_cost_each_other_nothing_are_one_smaller_beam(
    sources: list[int], groups: int, size: int
) -> None:
    config = SearchConfig(beam_size=groups * size, n_best=size, groups=groups, diversity=0)
    one = SearchConfig(beam_size=size, n_best=size)
    limits = [7] * len(sources)
    found = find(TableModel(), sources, limits, config)
    for hypotheses, expected in zip(found, find(TableModel(), sources, limits, one), strict=True):
        assert hypotheses == expected


def test_the_first_group_is_a_beam_of_its_own_and_others_differ_from_it() -> None:
    config = SearchConfig(beam_size=4, n_best=4, groups=4, diversity=50)
    for source in range(10):
        (hypotheses,) = find(TableModel(), [source], [6], config)
        ((greedy,),) = find(TableModel(), [source], [6], SearchConfig(beam_size=1))
        assert greedy in hypotheses
        assert len({(*h.tokens, EOS)[0] for h in hypotheses}) == 4


def test_a_model_that_breaks_later_is_an_error_although_something_is_finished() -> None:
    class BreakingModel(TableModel):
        def log_probabilities(self, source: int, prefix: Tokens) -> list[float]:
            broken = [math.nan] * 6
            return broken if len(prefix) == 2 else super().log_probabilities(source, prefix)

    table = {(): {EOS: 0.4, A: 0.6}, (A,): {A: 0.9, EOS: 0.1}}
    with pytest.raises(FloatingPointError, match="NaN"):
        find(BreakingModel(table), [0], [5], SearchConfig(beam_size=2, n_best=2))
