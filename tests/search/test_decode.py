"""Everything that can be asked of the search, together."""

import math
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.search.test_models import BOS, EOS, PAD, UNK, VOCAB_SIZE, padded, transformer
from transformer.config import (
    LengthNormalization,
    SamplingConfig,
    SearchConfig,
    SearchMethod,
)
from transformer.errors import InputError
from transformer.model.transformer import DecoderState
from transformer.search import Hypothesis, SpecialIds, Task, Vocabulary, search
from transformer.search.beam import penalty
from transformer.search.length import normalised

SPECIAL = SpecialIds(PAD, UNK, BOS, EOS)
# A letter a token; the last four begin words.
PIECES = ["<pad>", "<unk>", "<s>", "</s>", *"abcdefghijkl", *(f"▁{letter}" for letter in "abcd")]
JOINED, BEGUN = st.integers(4, 15), st.integers(16, VOCAB_SIZE - 1)
TOKENS = st.lists(JOINED | BEGUN, max_size=3)
PHRASES = st.builds(lambda first, rest: [first, *rest], BEGUN, st.lists(JOINED | BEGUN, max_size=2))
SOURCES = st.lists(JOINED | BEGUN, min_size=1, max_size=5)


class Attending:
    """The Transformer with the attention of its last layer."""

    def start(self, source: Tensor, /) -> DecoderState:
        return transformer().start(source)

    def step(self, tokens: Tensor, state: DecoderState, /) -> Tensor:
        return transformer().step(tokens, state)

    def attend(self, tokens: Tensor, state: DecoderState, /) -> tuple[Tensor, Tensor]:
        return transformer().attend(tokens, state, layer=-1, heads=[])


@dataclass
class Asked:
    source: list[int]
    task: Task


def following(prefix: list[int]) -> Tensor:
    """What the translator lets follow a text that ends with the letter of a token in a word."""
    mask = torch.zeros(VOCAB_SIZE, dtype=torch.bool)
    mask[[4 + len(prefix), 5 + len(prefix)]] = True
    return mask


@st.composite
def tasks(draw: st.DrawFn) -> Asked:
    prefix = draw(TOKENS)
    after = draw(st.sampled_from([None, following(prefix)]))
    include = draw(st.lists(PHRASES, max_size=2))
    exclude = [text(phrase).strip() for phrase in draw(st.lists(PHRASES, max_size=2))]
    least = len(prefix) + sum(map(len, include)) + 2
    longest = least + draw(st.integers(0, 5))
    return Asked(
        draw(SOURCES),
        Task(
            longest=longest,
            shortest=min(draw(st.integers(1, 8)), longest),
            number=draw(st.integers(0, 9)),
            prefix=prefix,
            after_prefix=after,
            include=include,
            exclude=exclude,
        ),
    )


@st.composite
def configs(draw: st.DrawFn) -> SearchConfig:
    method = draw(st.sampled_from(SearchMethod))
    values: dict[str, Any] = {
        "method": method,
        "normalization": draw(st.sampled_from(LengthNormalization)),
        "length_penalty": draw(st.sampled_from([0.0, 0.6, 1.0])),
        "no_repeat_ngram": draw(st.sampled_from([None, None, 1, 2, 3])),
        "allow_unknown": draw(st.booleans()),
    }
    width = draw(st.integers(1, 4))
    if method is SearchMethod.sampling:
        sampling = SamplingConfig(
            temperature=draw(st.sampled_from([0.5, 1.0, 2.0])),
            top_k=draw(st.sampled_from([None, 5])),
            top_p=draw(st.sampled_from([None, 0.9])),
            seed=draw(st.integers(0, 99)),
        )
        return SearchConfig(n_best=width, sampling=sampling, **values)
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    return SearchConfig(
        beam_size=width * groups,
        groups=groups,
        n_best=draw(st.integers(1, width * groups)),
        coverage_penalty=draw(st.sampled_from([0.0, 0.4])),
        diversity=draw(st.sampled_from([0.0, 0.5, 50.0])),
        **values,
    )


def text(tokens: list[int]) -> str:
    return "".join(" \u2047 " if t == UNK else PIECES[t] for t in tokens).replace("▁", " ")


def occurrences(phrase: str, written: str) -> int:
    return len(re.findall(rf"(?<!\w){re.escape(phrase)}(?!\w)", written))


def find(asked: list[Asked], config: SearchConfig) -> list[list[Hypothesis]]:
    source = padded([each.source for each in asked])
    own = [each.task for each in asked]
    return search(Attending(), source, own, config, SPECIAL, Vocabulary(PIECES))


def check(asked: Asked, hypothesis: Hypothesis, config: SearchConfig) -> None:
    """All that is asked of one output, by its tokens alone."""
    task, tokens = asked.task, hypothesis.tokens
    start = len(task.prefix)
    length = len(tokens) + hypothesis.finished
    assert task.shortest <= length <= task.longest
    assert hypothesis.finished or length == task.longest
    assert tokens[:start] == task.prefix
    if task.after_prefix is not None:
        assert task.after_prefix[[*tokens, EOS][start]]
        start += 1
    assert config.allow_unknown or UNK not in tokens[start:]
    assert not {PAD, BOS, EOS} & {*tokens}
    for phrase in task.include:
        n = list(task.include).count(phrase)
        assert occurrences(text([*phrase]).strip(), text(tokens)) >= n
    for words in task.exclude:
        forced = occurrences(words, text(tokens[:start]))
        assert occurrences(words, text(tokens)) <= forced + (words in text(tokens[:start]))
    n = config.no_repeat_ngram or 0
    grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)] if n else []
    free = {token for phrase in task.include for token in phrase}
    repeated = [g for i, g in enumerate(grams) if i + n > start and g in grams[:i]]
    assert free.issuperset(gram[-1] for gram in repeated)


def check_scores(asked: Asked, hypothesis: Hypothesis, config: SearchConfig) -> None:
    """The scores are the model's own of the output at once."""
    output = hypothesis.tokens + [EOS] * hypothesis.finished
    source = padded([asked.source])
    with torch.inference_mode():
        state = Attending().start(source)
        logits, looks = Attending().attend(torch.tensor([[BOS, *output[:-1]]]), state)
    steps = logits[0].log_softmax(1)[range(len(output)), output]
    assert hypothesis.token_log_probabilities == pytest.approx(steps.tolist(), abs=1e-10)
    total = math.fsum(steps.tolist())
    score = normalised(total, len(output), config)
    if config.coverage_penalty:
        score += float(penalty(looks[0].sum(0), source[0] != PAD, config.coverage_penalty))
    assert hypothesis.log_probability == pytest.approx(total, abs=1e-10)
    assert hypothesis.score == pytest.approx(score, abs=1e-10)


def assert_same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [(h.tokens, h.finished) for h in found] == [(h.tokens, h.finished) for h in expected]
    for hypothesis, other in zip(found, expected, strict=True):
        assert hypothesis.score == pytest.approx(other.score, abs=1e-10)


@settings(max_examples=40)
@given(st.lists(tasks(), min_size=1, max_size=4), configs())
def test_whatever_is_asked_is_kept_to_or_refused_whatever_the_neighbours(
    asked: list[Asked], config: SearchConfig
) -> None:
    if config.groups > 1:
        asked = [Asked(each.source, replace(each.task, include=())) for each in asked]
    found = []
    for each in asked:
        with suppress(InputError):  # where nothing keeps to it
            found.append((each, find([each], config)[0]))
    for each, hypotheses in found:
        assert hypotheses
        for hypothesis in hypotheses:
            check(each, hypothesis, config)
            check_scores(each, hypothesis, config)
        if config.method is SearchMethod.beam and config.groups == 1:
            ranks = [(not h.finished, -h.score) for h in hypotheses]
            assert ranks == sorted(ranks)
    together = find([each for each, _ in found], config) if found else []
    for (_, alone), hypotheses in zip(found, together, strict=True):
        assert_same(hypotheses, alone)


def test_a_phrase_can_be_written_after_a_part_of_it_by_itself() -> None:
    # The prefix holds it once; it is asked for twice, and no token may occur twice.
    task = Task(longest=12, shortest=5, prefix=[6, 16, 18, 13, 19, 5], include=[[18, 13]] * 2)
    config = SearchConfig(beam_size=1, no_repeat_ngram=1)
    asked = Asked([5, 6], task)
    ((hypothesis,),) = find([asked], config)
    check(asked, hypothesis, config)
