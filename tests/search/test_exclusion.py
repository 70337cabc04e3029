"""Texts that must not occur, against a search through the texts themselves."""

import itertools
import math
import random
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
from transformer.search.exclusion import Excluded
from transformer.search.spelling import in_word

SPECIAL = SpecialIds(pad=0, unk=1, bos=2, eos=3)
PIECES = ("<pad>", "<unk>", "<s>", "</s>", "▁", "▁a", "a", "b", "ab", "a▁b", ".b", "家", "家a")
N = len(PIECES)
TEXTS = range(4, N)
CPU = torch.device("cpu")
Tokens = tuple[int, ...]

PHRASES = st.lists(
    st.text("ab. 家", min_size=1, max_size=5).map(str.strip).filter(bool), min_size=1, max_size=4
)


def text(tokens: Sequence[int]) -> str:
    return "".join(PIECES[t] if t > SPECIAL.eos else " \u2047 " for t in tokens).replace("▁", " ")


def ends_of(phrase: str, written: str) -> list[int]:
    """Where the phrase ends as whole words, if the text ends where it does."""
    phrase = " ".join(phrase.split())
    return [
        end
        for start in range(len(written))
        if written.startswith(phrase, start)
        and not are_joined(written[:start], phrase)
        and not are_joined(phrase, written[(end := start + len(phrase)) :])
    ]


def are_joined(left: str, right: str) -> bool:
    return bool(left and right) and in_word(left[-1]) and in_word(right[0])


def holds(phrases: Sequence[str], written: str) -> bool:
    return any(ends_of(phrase, written) for phrase in phrases)


def holds_whatever_follows(phrases: Sequence[str], written: str) -> bool:
    return any(
        end < len(written) or not in_word(phrase[-1])
        for phrase in phrases
        for end in ends_of(phrase, written)
    )


def banned_after(rule: Excluded, n_written: int) -> list[list[set[int]]]:
    """The tokens that may not follow each output [B, K]."""
    B, K = rule.states.shape
    logits = torch.zeros(B, K, N)
    rule.restrict(logits, torch.zeros(B, K, n_written + 1))
    return [[{*row.isinf().nonzero().flatten().tolist()} for row in rows] for rows in logits]


@settings(deadline=None, max_examples=50)
@given(st.lists(PHRASES, min_size=1, max_size=3), st.integers(0, 999))
def test_just_the_tokens_that_complete_a_phrase_are_banned(
    sets: list[list[str]], seed: int
) -> None:
    limit, generator = 7, random.Random(seed)
    tasks = [Task(longest=limit, exclude=phrases) for phrases in sets]
    rule = Excluded(tasks, SPECIAL, Vocabulary(PIECES), CPU)
    outputs: list[list[Tokens]] = [[()] for _ in sets]
    for n in range(limit):
        is_last = n + 1 == limit
        grown = []
        for phrases, rows, bans in zip(sets, outputs, banned_after(rule, n), strict=True):
            free = []
            for place, (row, banned) in enumerate(zip(rows, bans, strict=True)):
                test = holds if is_last else holds_whatever_follows
                expected = {t for t in (1, *TEXTS) if test(phrases, text((*row, t)))}
                expected |= {SPECIAL.eos} if holds(phrases, text(row)) else set()
                assert banned - {SPECIAL.pad, SPECIAL.bos} == expected
                free += [(place, t) for t in (1, *TEXTS) if t not in banned]
            grown.append(generator.choices(free, k=2))
        rule.follow(*torch.tensor(grown).unbind(2))
        outputs = [
            [(*rows[place], token) for place, token in pairs]
            for rows, pairs in zip(outputs, grown, strict=True)
        ]


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
    return search(TableModel(), source, tasks, config, SPECIAL, Vocabulary(PIECES))


@settings(deadline=None, max_examples=25)
@given(st.data(), st.integers(1, 5), st.sampled_from(SearchMethod))
def test_no_output_holds_an_excluded_phrase_whatever_the_neighbours(
    data: st.DataObject, beam_size: int, method: SearchMethod
) -> None:
    config = SearchConfig(method=method, beam_size=beam_size, n_best=beam_size)
    asked = st.tuples(st.one_of(st.just([]), PHRASES), st.integers(1, 8))
    pairs = data.draw(st.lists(asked, min_size=1, max_size=4))
    tasks = [
        Task(longest=longest, exclude=phrases, number=i)
        for i, (phrases, longest) in enumerate(pairs)
    ]
    sources = list(range(len(tasks)))
    found = find(sources, tasks, config)
    for source, task, hypotheses in zip(sources, tasks, found, strict=True):
        assert find([source], [task], config) == [hypotheses]
        for hypothesis in hypotheses:
            assert not holds(task.exclude, text(hypothesis.tokens))


@pytest.mark.parametrize("phrases", [["a"], ["a b", "家"], ["ab.", "b", "a a"]])
def test_a_beam_as_wide_as_the_space_is_exhaustive_search_of_what_holds_no_phrase(
    phrases: list[str],
) -> None:
    limit, words = 3, tuple(TEXTS)
    config = SearchConfig(
        beam_size=1000, n_best=1000, normalization=LengthNormalization.none, allow_unknown=False
    )
    (found,) = find([5], [Task(longest=limit, exclude=phrases)], config)
    outputs = [(*t, SPECIAL.eos) for n in range(limit) for t in itertools.product(words, repeat=n)]
    outputs += itertools.product(words, repeat=limit)
    expected = []
    for output in outputs:
        tokens = [token for token in output if token != SPECIAL.eos]
        if not holds(phrases, text(tokens)):
            total = sum(float(log_probabilities(5, output[:i])[t]) for i, t in enumerate(output))
            expected.append((len(tokens) == len(output), -total, tokens))
    expected.sort()
    assert [h.tokens for h in found] == [tokens for _, _, tokens in expected]
    for hypothesis, (_, cost, _) in zip(found, expected, strict=True):
        assert hypothesis.log_probability == pytest.approx(-cost, abs=1e-10)


def bans(phrase: str, pieces: Sequence[str], last: str) -> bool:
    """Whether `last` may not follow `pieces`; a vocabulary of just these, and of bytes."""
    every = [*PIECES[:4], *dict.fromkeys([*pieces, last]), *(f"<0x{i:02X}>" for i in range(256))]
    ids = {piece: i for i, piece in reversed([*enumerate(every)])}
    rule = Excluded([Task(longest=99, exclude=[phrase])], SPECIAL, Vocabulary(every), CPU)
    for piece in pieces:
        rule.follow(torch.tensor([[0]]), torch.tensor([[ids[piece]]]))
    logits = torch.zeros(1, 1, len(every))
    rule.restrict(logits, torch.zeros(1, 1, len(pieces) + 1))
    return math.isinf(logits[0, 0, ids[last]])


@pytest.mark.parametrize(
    ("phrase", "pieces", "last", "banned"),
    [
        ("Haus", ["▁Haus"], "</s>", True),
        ("Haus", ["▁Haus"], "▁und", True),
        ("Haus", ["▁Haus"], "tür", False),
        ("Haus", ["▁Ha", "us"], "!", True),
        ("Haus", ["▁Rat"], "haus", False),
        ("Haus", ["▁Rat", "Haus"], "</s>", False),
        ("Haus", ["▁(", "Haus"], ")", True),
        ("Haus", ["▁haus"], "</s>", False),
        ("Haus", [], "▁Haus.", True),
        ("Haus", ["▁Haus"], "1", False),
        ("altes  Haus ", ["▁altes", "▁Ha", "us"], "</s>", True),
        ("altes Haus", ["▁altes", "▁"], "Haus,", True),
        ("New York", ["▁New", "▁New", "▁York"], "</s>", True),
        ("東京", ["▁大", "東"], "京都", True),
        ("घर", ["▁घर"], "\u094b", False),
        ("C++", ["▁C+"], "+", True),
        ("+x", [], "▁a+x.", True),
    ],
)
def test_words_are_whole_and_case_counts(
    phrase: str, pieces: list[str], last: str, banned: bool
) -> None:
    assert bans(phrase, pieces, last) == banned


@pytest.mark.parametrize(
    ("phrase", "pieces", "last", "banned"),
    [
        ("tür", ["▁t", "<0xC3>", "<0xBC>", "r"], "</s>", True),
        ("tür", ["▁t", "<0xC3>", "<0xBC>"], "<0x72>", False),
        ("tür", ["▁t", "<0xC3>", "<0xBC>", "<0x72>"], "▁", True),
        ("tür", ["▁t", "<0xC3>", "<0xA4>", "r"], "</s>", False),
        ("家", ["<0xE5>", "<0xAE>"], "<0xB6>", True),
        ("家", ["<0xE5>", "<0xAE>"], "<0xB7>", False),
        ("tür", ["▁tür"], "<0x65>", False),
        ("tür", ["▁tür"], "<0x21>", True),
        ("tür", ["▁tür"], "<0xF0>", True),
        ("a b", ["▁a", "<unk>", "▁b"], "</s>", False),
        ("a", ["▁a"], "<unk>", True),
    ],
)
def test_bytes_are_read_and_unknown_tokens_break_a_match(
    phrase: str, pieces: list[str], last: str, banned: bool
) -> None:
    assert bans(phrase, pieces, last) == banned


def test_a_prefix_may_hold_what_is_excluded_and_only_it_may() -> None:
    a_word, space = PIECES.index("▁a"), PIECES.index("▁")
    task = Task(longest=8, exclude=["a"], prefix=(a_word, space))
    for beam_size in (1, 4):
        config = SearchConfig(beam_size=beam_size, n_best=beam_size)
        for hypothesis in find([4], [task], config)[0]:
            assert hypothesis.tokens[:2] == [a_word, space]
            assert not holds(["a"], text(hypothesis.tokens[1:]))


def test_sentences_may_leave() -> None:
    vocabulary, a_word = Vocabulary(PIECES), PIECES.index("▁a")
    tasks = [Task(longest=9, exclude=[phrase]) for phrase in ("b", "a", "家")]
    rule = Excluded(tasks, SPECIAL, vocabulary, CPU)
    rule.follow(torch.zeros(3, 2).long(), torch.full((3, 2), a_word))
    everything = banned_after(rule, 1)
    rule.keep(torch.tensor([1, 2]))
    assert banned_after(rule, 1) == everything[1:]
    rule.follow(torch.zeros(2, 1).long(), torch.tensor([[PIECES.index("b")]] * 2))
    assert SPECIAL.eos not in banned_after(rule, 2)[0][0]
    rule.keep(torch.tensor([], dtype=torch.int64))
    assert banned_after(rule, 2) == []


def test_an_empty_phrase_is_an_input_error() -> None:
    with pytest.raises(InputError, match="a phrase to exclude is empty"):
        Excluded([Task(longest=5, exclude=["a", " "])], SPECIAL, Vocabulary(PIECES), CPU)
