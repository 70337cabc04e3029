"""Properties of the rules that outputs keep to, in searches with a Transformer."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.search.test_models import BOS, EOS, PAD, UNK, VOCAB_SIZE, padded, transformer
from transformer.config import SearchConfig, SearchMethod
from transformer.search import Hypothesis, SpecialIds, Task, Vocabulary, search
from transformer.search.rules import Rule, Rules, Shortest, Unrepeated, Unwritten

CPU = torch.device("cpu")
SPECIAL = SpecialIds(PAD, UNK, BOS, EOS)
# A letter a token; the last four begin words.
PIECES = ["<pad>", "<unk>", "<s>", "</s>", *"abcdefghijkl", *(f"▁{letter}" for letter in "abcd")]
WORDS = st.integers(4, VOCAB_SIZE - 1)
TOKENS = st.lists(WORDS, max_size=4)
SOURCE = st.lists(WORDS, min_size=1, max_size=5)
WIDTHS = st.integers(1, 4)
METHODS = st.sampled_from(SearchMethod)

TASKS = st.builds(
    lambda spare, shortest, prefix: Task(
        longest=len(prefix) + 1 + spare, shortest=min(shortest, len(prefix) + spare), prefix=prefix
    ),
    spare=st.integers(1, 8),
    shortest=st.integers(1, 9),
    prefix=TOKENS,
)
PAIRS = st.lists(st.tuples(SOURCE, TASKS), min_size=1, max_size=5)
Pairs = list[tuple[list[int], Task]]


def settings_of(method: SearchMethod, width: int, **values: Any) -> SearchConfig:
    return SearchConfig(method=method, beam_size=width, n_best=width, **values)


def find(pairs: Pairs, config: SearchConfig) -> list[list[Hypothesis]]:
    source = padded([source for source, _ in pairs])
    tasks = [replace(task, number=len(ids)) for ids, task in pairs]
    return search(transformer(), source, tasks, config, SPECIAL, Vocabulary(PIECES))


def repeats(tokens: list[int], n: int, begin: int = 0) -> bool:
    """Whether an n-gram that ends at or behind `begin` has occurred before."""
    seen = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return any(gram in seen[:i] for i, gram in enumerate(seen) if i + n > begin)


@settings(max_examples=20)
@given(PAIRS, WIDTHS, METHODS)
def test_lengths_are_within_each_sentences_own_limits(
    pairs: Pairs, width: int, method: SearchMethod
) -> None:
    for (_, task), hypotheses in zip(pairs, find(pairs, settings_of(method, width)), strict=True):
        for hypothesis in hypotheses:
            length = len(hypothesis.tokens) + hypothesis.finished
            assert length <= task.longest
            assert length >= task.shortest
            assert hypothesis.finished or length == task.longest


@settings(max_examples=20)
@given(PAIRS, WIDTHS, METHODS, st.integers(1, 3))
def test_no_sequence_occurs_twice_behind_the_prefix(
    pairs: Pairs, width: int, method: SearchMethod, n: int
) -> None:
    found = find(pairs, settings_of(method, width, no_repeat_ngram=n))
    for (_, task), hypotheses in zip(pairs, found, strict=True):
        for hypothesis in hypotheses:
            assert not repeats(hypothesis.tokens, n, len(task.prefix))


@settings(max_examples=20)
@given(st.lists(st.integers(4, 6), max_size=9), st.integers(1, 4), st.booleans())
def test_just_the_tokens_that_repeat_a_sequence_are_ruled_out(
    written: list[int], n: int, is_free: bool
) -> None:
    other = list(range(10, 10 + len(written)))  # in which nothing occurs twice
    logits = torch.zeros(1, 2, VOCAB_SIZE)
    rule = Unrepeated(n, [Task(longest=9, include=[[5]] if is_free else [])], CPU)
    rule.restrict(logits, torch.tensor([[[BOS, *written], [BOS, *other]]]))
    for tokens, row in zip((written, other), logits[0], strict=True):
        expected = [repeats([*tokens, token], n, len(tokens)) for token in range(VOCAB_SIZE)]
        expected[5] &= not is_free
        assert row.isinf().tolist() == expected


@settings(max_examples=20)
@given(PAIRS, WIDTHS, METHODS)
def test_the_unknown_token_is_written_only_where_it_may_be(
    pairs: Pairs, width: int, method: SearchMethod
) -> None:
    for hypotheses in find(pairs, settings_of(method, width, allow_unknown=False)):
        assert all(UNK not in hypothesis.tokens for hypothesis in hypotheses)


def test_the_unknown_token_is_written_where_it_is_likely() -> None:
    pairs = [([4 + i, 5, 6], Task(longest=9)) for i in range(9)]
    found = find(pairs, settings_of(SearchMethod.beam, 4))
    assert any(UNK in hypothesis.tokens for hypotheses in found for hypothesis in hypotheses)


@settings(max_examples=20)
@given(st.data(), PAIRS, WIDTHS, METHODS)
def test_a_prefix_is_kept_against_all_other_rules(
    data: st.DataObject, pairs: Pairs, width: int, method: SearchMethod
) -> None:
    asked = []
    for source, task in pairs:
        # What the prefix holds is excluded, and it may repeat itself or hold the unknown token.
        exclude = ["".join(PIECES[t] for t in task.prefix).replace("▁", " ").strip()]
        prefix = [*task.prefix, *data.draw(st.sampled_from([(), (UNK,), tuple(task.prefix)]))]
        longest = task.longest + len(prefix)
        excluded = [text for text in exclude if text]
        asked.append(
            (source, Task(longest=longest, shortest=longest, prefix=prefix, exclude=excluded))
        )
    config = settings_of(method, width, no_repeat_ngram=1, allow_unknown=False)
    for (_, task), hypotheses in zip(asked, find(asked, config), strict=True):
        assert hypotheses
        for hypothesis in hypotheses:
            assert hypothesis.tokens[: len(task.prefix)] == task.prefix


@settings(max_examples=20)
@given(PAIRS, WIDTHS, METHODS, st.sets(WORDS, min_size=1, max_size=3))
def test_what_follows_the_prefix_is_what_may(
    pairs: Pairs, width: int, method: SearchMethod, following: set[int]
) -> None:
    mask = torch.zeros(VOCAB_SIZE, dtype=torch.bool)
    mask[list(following)] = True
    pairs = [
        (source, replace(task, shortest=1, after_prefix=mask if i % 2 else None))
        for i, (source, task) in enumerate(pairs)
    ]
    for i, hypotheses in enumerate(find(pairs, settings_of(method, width))):
        prefix = pairs[i][1].prefix
        for hypothesis in hypotheses:
            assert hypothesis.tokens[: len(prefix)] == prefix
            if i % 2:
                assert hypothesis.tokens[len(prefix)] in following


@pytest.mark.parametrize("method", SearchMethod)
def test_what_follows_the_prefix_is_kept_against_all_other_rules(method: SearchMethod) -> None:
    mask = torch.zeros(VOCAB_SIZE, dtype=torch.bool)
    mask[PIECES.index("b")] = True
    prefix = [PIECES.index("▁a"), PIECES.index("b"), PIECES.index("▁a")]
    task = Task(longest=9, prefix=prefix, after_prefix=mask)
    config = settings_of(method, 3, no_repeat_ngram=1)
    for hypothesis in find([([5, 6], task)], config)[0]:
        assert hypothesis.tokens[:4] == [*prefix, PIECES.index("b")]


@settings(max_examples=20)
@given(PAIRS, WIDTHS, METHODS)
def test_a_prefix_costs_what_the_model_says(pairs: Pairs, width: int, method: SearchMethod) -> None:
    for (source, _), hypotheses in zip(
        pairs, find(pairs, settings_of(method, width, no_repeat_ngram=2)), strict=True
    ):
        for hypothesis in hypotheses:
            output = hypothesis.tokens + [EOS] * hypothesis.finished
            rows = at_once(source, hypothesis.tokens)
            expected = [float(rows[i, token]) for i, token in enumerate(output)]
            assert hypothesis.token_log_probabilities == pytest.approx(expected, abs=1e-10)
            assert hypothesis.log_probability == pytest.approx(math.fsum(expected), abs=1e-10)


def at_once(source: list[int], tokens: list[int]) -> Tensor:
    with torch.inference_mode():
        state = transformer().start(padded([source]))
        return transformer().step(torch.tensor([[BOS, *tokens]]), state)[0].log_softmax(1)


@settings(max_examples=20)
@given(PAIRS, WIDTHS, METHODS)
def test_no_sentence_depends_on_the_rules_of_its_neighbours(
    pairs: Pairs, width: int, method: SearchMethod
) -> None:
    config = settings_of(method, width, no_repeat_ngram=2, allow_unknown=False)
    for pair, hypotheses in zip(pairs, find(pairs, config), strict=True):
        (alone,) = find([pair], config)
        assert [(h.tokens, h.finished) for h in alone] == [
            (h.tokens, h.finished) for h in hypotheses
        ]


@given(st.lists(TASKS, min_size=1, max_size=6), st.data())
def test_rules_forget_the_sentences_that_leave(tasks: list[Task], data: st.DataObject) -> None:
    def rules_of(some: list[Task]) -> Rules:
        own: list[Rule] = [Unwritten([PAD]), Shortest(some, EOS, CPU), Unrepeated(2, some, CPU)]
        return Rules(own, some, EOS, CPU)

    rules, kept = rules_of(tasks), list(range(len(tasks)))
    for length in range(8):
        n = len(kept)
        places = data.draw(st.lists(st.integers(0, n - 1), unique=True, min_size=1).map(sorted))
        rules.keep(torch.tensor(places))
        kept = [kept[place] for place in places]
        tokens = torch.full((len(kept), 2, 1 + length), 5)
        found, expected = torch.zeros(2, len(kept), 2, VOCAB_SIZE)
        rules.restrict(found, tokens)
        rules_of([tasks[i] for i in kept]).restrict(expected, tokens)
        assert torch.equal(found, expected)
