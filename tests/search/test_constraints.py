"""Phrases that must occur, over models whose every output can be looked up."""

import itertools
import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from transformer.config import LengthNormalization, SearchConfig, SearchMethod
from transformer.errors import InputError
from transformer.search import Hypothesis, SpecialIds, Task, Vocabulary, search
from transformer.search.constraints import Constrained
from transformer.search.length import normalised
from transformer.search.phrases import JOINING, Phrases
from transformer.search.selection import Best, Candidates

SPECIAL = SpecialIds(pad=0, unk=1, bos=2, eos=3)
PIECES = ("<pad>", "<unk>", "<s>", "</s>", "▁a", "b", "▁c", ".")
VOCABULARY = Vocabulary(PIECES)
A, B, C, DOT = range(4, 8)
WORDS = (A, B, C, DOT)
JOINS = [token == B for token in range(8)]
WAITS = [token in {A, B, C} for token in range(8)]
CPU = torch.device("cpu")
Tokens = tuple[int, ...]

PHRASES = st.builds(
    lambda first, rest: (first, *rest),
    st.sampled_from([A, C, DOT]),
    st.lists(st.sampled_from(WORDS), max_size=2),
)
ASKED = st.lists(PHRASES, max_size=3)


@lru_cache(maxsize=100_000)
def log_probabilities(source: int, prefix: Tokens) -> Tensor:
    generator = random.Random(f"{source} {prefix}")
    weights = [generator.gauss(0, 2) for _ in PIECES]
    return torch.tensor(weights, dtype=torch.float64).log_softmax(0)


@dataclass
class TableState:
    rows: list[tuple[int, Tokens]]  # source and tokens so far

    def select(self, rows: Tensor, /) -> "TableState":
        return TableState([self.rows[row] for row in rows.flatten().tolist()])


class TableModel:
    def start(self, source: Tensor, /) -> TableState:
        return TableState([(int(number), ()) for number in source[:, 0]])

    def step(self, tokens: Tensor, state: TableState, /) -> Tensor:
        added = tokens[:, 0].tolist()
        state.rows = [(s, (*p, token)) for (s, p), token in zip(state.rows, added, strict=True)]
        return torch.stack([log_probabilities(s, p[1:]) for s, p in state.rows]).unsqueeze(1)


def find(sources: list[int], tasks: list[Task], config: SearchConfig) -> list[list[Hypothesis]]:
    source = torch.tensor(sources).unsqueeze(1)
    return search(TableModel(), source, tasks, config, SPECIAL, VOCABULARY)


def task(phrases: Sequence[Tokens], spare: int, prefix: Tokens = ()) -> Task:
    longest = sum(map(len, phrases)) + len(prefix) + 1 + spare
    return Task(longest=longest, include=phrases, prefix=prefix)


def text(tokens: Sequence[int]) -> str:
    return "".join(PIECES[t] if t > SPECIAL.eos else " \u2047 " for t in tokens).replace("▁", " ")


def count_words(phrase: Tokens, tokens: Sequence[int]) -> int:
    """How often the phrase occurs in the text, as whole words and without overlap."""
    wanted = text(phrase).strip()
    before = r"(?<!\w)" if wanted[0].isalnum() else ""
    after = r"(?!\w)" if wanted[-1].isalnum() else ""
    return len(re.findall(before + re.escape(wanted) + after, text(tokens)))


def holds_all(phrases: Sequence[Tokens], tokens: Sequence[int]) -> bool:
    return all(count_words(p, tokens) >= phrases.count(p) for p in phrases)


def lacking(phrases: Sequence[Tokens], tokens: Tokens) -> int:
    """As `Phrases.lacking` is defined, from the tokens alone."""
    n_unfound = sum(unfound(phrases, tokens))
    best = n_unfound
    for phrase in {*phrases}:
        n_found, free = occurrences(phrase, tokens, closed=False)
        lengths = [n for n in range(1, len(phrase)) if free[len(free) - n :] == phrase[:n]]
        if n_found < phrases.count(phrase) and lengths:
            rest = phrase[max(lengths) :]
            best = min(best, len(rest) + sum(unfound(phrases, tokens + rest)))
    return best


def unfound(phrases: Sequence[Tokens], tokens: Tokens) -> list[int]:
    return [
        len(phrase) * max(phrases.count(phrase) - occurrences(phrase, tokens, closed=True)[0], 0)
        for phrase in {*phrases}
    ]


def occurrences(phrase: Tokens, tokens: Tokens, closed: bool) -> tuple[int, Tokens]:
    """How often the phrase occurs, and the tokens behind; `closed`: the text ends here."""
    n_found = start = place = 0
    while place + len(phrase) <= len(tokens):
        end = place + len(phrase)
        there = tokens[place:end] == phrase
        if there and WAITS[phrase[-1]]:
            there = closed if end == len(tokens) else not JOINS[tokens[end]]
        if there:
            n_found, start = n_found + 1, end
        place = end if there else place + 1
    return n_found, tokens[start:]


@settings(deadline=None, max_examples=100)
@given(st.lists(PHRASES, min_size=1, max_size=4), st.lists(st.sampled_from(WORDS), max_size=12))
def test_what_is_lacking_is_what_the_text_lacks(phrases: list[Tokens], tokens: list[int]) -> None:
    automaton = Phrases(phrases, JOINS, WAITS)
    state = 0
    for n in range(len(tokens) + 1):
        before = tuple(tokens[:n])
        assert automaton.lacking[state] == lacking(phrases, before)
        assert (automaton.lacking[state] == 0) == holds_all(phrases, before)
        for token in WORDS:
            fewer = lacking(phrases, (*before, token)) < lacking(phrases, before)
            assert (token in automaton.advancing(state)) == fewer
        if n < len(tokens):
            state = automaton.after(state, automaton.kind(tokens[n]))


@settings(deadline=None, max_examples=30)
@given(st.data(), st.integers(1, 6), st.integers(1, 6), st.sampled_from(SearchMethod))
def test_all_phrases_occur_as_whole_words_whatever_the_neighbours(
    data: st.DataObject, beam_size: int, n_best: int, method: SearchMethod
) -> None:
    config = SearchConfig(method=method, beam_size=beam_size, n_best=min(n_best, beam_size))
    pairs = data.draw(st.lists(st.tuples(ASKED, st.integers(0, 5)), min_size=1, max_size=4))
    tasks = [
        Task(longest=task(phrases, spare).longest, include=phrases, number=i)
        for i, (phrases, spare) in enumerate(pairs)
    ]
    sources = list(range(len(tasks)))
    found = find(sources, tasks, config)
    for source, each, hypotheses in zip(sources, tasks, found, strict=True):
        assert hypotheses
        for hypothesis in hypotheses:
            assert holds_all(list(each.include), hypothesis.tokens)  # type: ignore[arg-type]
            assert len(hypothesis.tokens) + hypothesis.finished <= each.longest
        assert find([source], [each], config) == [hypotheses]


@settings(deadline=None, max_examples=25)
@given(st.data(), ASKED, st.integers(1, 6))
def test_a_sentence_without_phrases_is_searched_as_ever(
    data: st.DataObject, phrases: list[Tokens], beam_size: int
) -> None:
    config = SearchConfig(beam_size=beam_size, n_best=beam_size)
    free = Task(longest=data.draw(st.integers(1, 8)))
    (plain,) = find([0], [free], config)
    assert find([1, 0, 2], [task(phrases, 2), free, task([(C,)], 1)], config)[1] == plain


@pytest.mark.parametrize(
    "phrases", [[(A,)], [(A, B)], [(C, A, C)], [(DOT, DOT), (DOT,)], [(A,), (A, B)], [(C,), (C,)]]
)
def test_a_beam_as_wide_as_the_space_is_exhaustive_search_of_what_holds_the_phrases(
    phrases: list[Tokens],
) -> None:
    limit = 5
    config = SearchConfig(
        beam_size=1400, n_best=1400, normalization=LengthNormalization.plain, allow_unknown=False
    )
    ((*found,),) = find([7], [Task(longest=limit, include=phrases)], config)
    outputs = [(*t, SPECIAL.eos) for n in range(limit) for t in itertools.product(WORDS, repeat=n)]
    outputs += itertools.product(WORDS, repeat=limit)
    expected = []
    for output in outputs:
        words = tuple(token for token in output if token != SPECIAL.eos)
        fits = all(lacking(phrases, words[:n]) < max(limit - n, 1) for n in range(len(words) + 1))
        # A single phrase that is there and ends in time has always fitted.
        if holds_all(phrases, words) and words != output and len(phrases) == 1:
            assert fits
        if fits and holds_all(phrases, words):
            total = sum(float(log_probabilities(7, output[:i])[t]) for i, t in enumerate(output))
            expected.append((len(words) == len(output), -total, list(words), len(output)))
    assert sorted(h.tokens for h in found) == sorted(words for _, _, words, _ in expected)
    expected.sort(key=lambda e: (e[0], -normalised(-e[1], e[3], config)))
    assert [h.tokens for h in found] == [words for _, _, words, _ in expected]
    for hypothesis, (_, cost, _, length) in zip(found, expected, strict=True):
        assert hypothesis.log_probability == pytest.approx(-cost, abs=1e-10)
        assert hypothesis.score == pytest.approx(normalised(-cost, length, config), abs=1e-10)


@settings(deadline=None, max_examples=30)
@given(st.data(), ASKED, st.integers(1, 4), st.integers(0, 3))
def test_a_prefix_is_kept_and_counts_for_the_phrases(
    data: st.DataObject, phrases: list[Tokens], beam_size: int, spare: int
) -> None:
    prefix = tuple(data.draw(st.lists(st.sampled_from(WORDS), max_size=4)))
    config = SearchConfig(beam_size=beam_size, n_best=beam_size)
    (found,) = find([3], [task(phrases, spare, prefix)], config)
    assert found
    for hypothesis in found:
        assert tuple(hypothesis.tokens[: len(prefix)]) == prefix
        assert holds_all(phrases, hypothesis.tokens)


def test_a_prefix_that_ends_within_a_phrase_lacks_only_the_rest() -> None:
    phrase = (A, B, C, A, B)
    given_task = Task(longest=6, include=[phrase], prefix=phrase[:2])
    ((hypothesis,),) = find([0], [given_task], SearchConfig(beam_size=1))
    assert tuple(hypothesis.tokens[:5]) == phrase


def test_a_phrase_within_a_longer_word_does_not_count() -> None:
    automaton = Phrases([(A,)], JOINS, WAITS)
    inside = automaton.after(automaton.after(0, A), JOINING)
    assert automaton.lacking[automaton.after(0, A)] == 0
    assert automaton.lacking[inside] == 1


@pytest.mark.parametrize(
    ("phrase", "tokens"),
    [
        ((C, C, A), (C, C, C, A)),
        ((A, C, A, DOT), (A, C, A, C, A, DOT)),
        ((A, B, A), (A, B, A, B, A)),
        ((C, A, C, A, C, DOT), (C, A, C, A, C, A, C, DOT)),
    ],
)
def test_a_phrase_is_found_where_it_begins_within_a_false_beginning(
    phrase: Tokens, tokens: Tokens
) -> None:
    automaton = Phrases([phrase], JOINS, WAITS)
    state = 0
    for n, token in enumerate(tokens):
        assert automaton.lacking[state] == lacking([phrase], tokens[:n])
        state = automaton.after(state, token)
    assert automaton.lacking[state] == 0


def test_a_phrase_that_begins_with_no_space_counts_after_anything() -> None:
    automaton = Phrases([(A,), (B, C)], JOINS, WAITS)
    state = 0
    for token in (A, B, C):
        state = automaton.after(state, automaton.kind(token))
    assert automaton.lacking[state] == 0


def constrained(tasks: Sequence[Task], pieces: Sequence[str] = PIECES) -> Constrained:
    return Constrained(tasks, SPECIAL, Vocabulary(pieces), CPU)


@pytest.mark.parametrize(
    ("last", "following", "ends"),
    [
        ("▁tür", "en", False),
        ("▁tür", "▁und", True),
        ("▁tür", "-", True),
        ("▁tür", "<unk>", True),
        ("▁tür", "家", True),
        ("▁tür", "<0x65>", False),
        ("▁tür", "<0xC3>", False),
        ("▁tür", "<0x21>", True),
        ("<0xBC>", "r", False),
        ("家", "族", True),
        ("บ้าน", "ของ", True),
        ("▁घर", "\u094b", False),
        ("▁etc.", "a", True),
    ],
)
def test_the_word_ends_behind_a_phrase(last: str, following: str, ends: bool) -> None:
    pieces = [*PIECES[:4], last, PIECES[1] if following == "<unk>" else following]
    (sentence,) = constrained([Task(longest=9, include=[(4,)])], pieces).sentences
    assert sentence is not None
    phrases = sentence.phrases
    then = phrases.after(phrases.after(0, 4), phrases.kind(1 if following == "<unk>" else 5))
    assert phrases.lacking[then] == (0 if ends else 1)


def random_candidates(data: st.DataObject, n_sentences: int, K: int) -> Candidates:
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 999)))
    logits = torch.randn(n_sentences, K, 8, generator=generator, dtype=torch.float64)
    banned = torch.rand(n_sentences, K, 8, generator=generator) < data.draw(st.floats(0, 1))
    logits.masked_fill_(banned, -math.inf)
    return Candidates(logits, torch.randn(n_sentences, K, generator=generator).double())


@settings(deadline=None)
@given(st.data(), ASKED, st.integers(1, 3), st.integers(1, 30))
def test_the_choice_is_of_what_is_there_each_once_and_best_first(
    data: st.DataObject, phrases: list[Tokens], K: int, n: int
) -> None:
    chooser = constrained([Task(longest=50, include=phrases), Task(longest=5)])
    chooser.follow(torch.zeros(2, K).long(), torch.randint(4, 8, (2, K)))
    candidates = random_candidates(data, 2, K)
    totals = (candidates.logits + candidates.offsets.unsqueeze(2)).flatten(1)
    chosen = chooser.choose(candidates, n)
    places = chosen.parents * 8 + chosen.tokens
    is_there = chosen.log_probabilities > -math.inf
    n_there = (totals > -math.inf).sum(1).clamp(max=n)
    assert is_there.sum(1).tolist() == n_there.tolist()
    assert chosen.tokens.shape == (2, min(n, K * 8))
    assert torch.equal(totals.gather(1, places)[is_there], chosen.log_probabilities[is_there])
    assert (chosen.log_probabilities.diff() <= 0)[is_there[:, 1:]].all()
    assert len({*places[0][is_there[0]].tolist()}) == n_there[0]
    plain = Best().choose(candidates, n)
    for column in ("log_probabilities", "parents", "tokens"):
        assert torch.equal(getattr(chosen, column)[1], getattr(plain, column)[1])


def test_the_places_of_the_beam_are_dealt_to_the_banks_in_turn() -> None:
    # After "a", where "ab" and "c" are to come: "b" leaves 1 token lacking, "a" 2, others 3.
    chooser = constrained([Task(longest=50, include=[(A, B), (C,)])])
    chooser.follow(torch.zeros(1, 1).long(), torch.tensor([[A]]))
    probabilities = torch.tensor([0, 0.3, 0, 0, 0.04, 0.02, 0.01, 0.63], dtype=torch.float64)
    candidates = Candidates(probabilities.log().view(1, 1, 8), torch.zeros(1, 1).double())
    tokens = [chooser.choose(candidates, n).tokens[0].tolist() for n in (1, 2, 3, 4)]
    assert tokens == [[B], [DOT, B], [DOT, A, B], [DOT, SPECIAL.unk, A, B]]


def test_an_empty_phrase_is_an_input_error() -> None:
    with pytest.raises(InputError, match="a phrase to include is empty"):
        constrained([Task(longest=5, include=[()])])
