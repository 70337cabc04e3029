"""The search among candidates, with a real model."""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from transformer.config import ModelConfig, SearchConfig, Tying
from transformer.model import DecoderState, Transformer
from transformer.search import Hypothesis, SpecialIds, Task, Vocabulary, search
from transformer.search.ensemble import Ensemble
from transformer.search.shortlist import (
    AttendingShortlisted,
    Shortlisted,
    Subvocabulary,
    needed,
)

PAD, UNK, BOS, EOS = range(4)
SPECIAL = SpecialIds(PAD, UNK, BOS, EOS)
V = 20
IDS = st.integers(4, V - 1)
SENTENCE = st.lists(IDS, min_size=1, max_size=6)
CANDIDATES = st.sets(IDS, min_size=1)
SENTENCES = st.lists(st.tuples(SENTENCE, CANDIDATES), min_size=1, max_size=4)
Sentences = list[tuple[list[int], set[int]]]


class Attending(Transformer):
    """A Transformer that shows the attention of its last layer."""

    def attend(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        return super().attend(tokens, state, layer=-1, heads=[])


@cache
def build(seed: int = 8) -> Attending:
    config = ModelConfig(
        encoder_layers=1,
        decoder_layers=2,
        d_model=16,
        d_feed_forward=32,
        n_heads=2,
        tying=Tying.none,
    )
    model = Attending(config, source_vocab_size=V, target_vocab_size=V, pad_id=PAD)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            values = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.data = 0.6 * values
    return model.double().eval().requires_grad_(False)


def padded(sentences: Sequence[Sequence[int]], width: int | None = None) -> Tensor:
    width = width or max(map(len, sentences)) + 1
    return torch.tensor([[*ids, EOS] + [PAD] * (width - 1 - len(ids)) for ids in sentences])


def subvocabulary(candidates: Sequence[set[int]]) -> Subvocabulary:
    return Subvocabulary([np.array(sorted(ids), np.int32) for ids in candidates], V)


def find(
    sentences: Sentences, tasks: Sequence[Task], config: SearchConfig, width: int | None = None
) -> list[list[Hypothesis]]:
    among = subvocabulary([candidates for _, candidates in sentences])
    source = padded([ids for ids, _ in sentences], width)
    model = AttendingShortlisted(build(), among)
    found = search(model, source, [among.task(task) for task in tasks], config, SPECIAL)
    return [[among.hypothesis(each) for each in row] for row in found]


def tasks_for(sentences: Sentences) -> list[Task]:
    return [Task(longest=2 * len(ids) + 3) for ids, _ in sentences]


@settings(max_examples=20)
@given(st.lists(SENTENCE, min_size=1, max_size=3))
def test_a_shortlist_of_everything_gives_the_models_logits(sentences: list[list[int]]) -> None:
    model, source = build(), padded(sentences)
    shortlisted = AttendingShortlisted(model, subvocabulary([{*range(V)}] * len(sentences)))
    tokens = torch.tensor([[BOS, 7, 9, 4]] * len(sentences))
    expected, attention = model.attend(tokens, model.start(source))
    found = shortlisted.step(tokens, shortlisted.start(source))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    found, seen = shortlisted.attend(tokens, shortlisted.start(source))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(seen, attention, rtol=0, atol=1e-12)


@settings(max_examples=20)
@given(SENTENCES)
def test_probabilities_are_the_models_among_the_sentences_own_candidates(
    sentences: Sentences,
) -> None:
    source, among = padded([ids for ids, _ in sentences]), subvocabulary([c for _, c in sentences])
    shortlisted = AttendingShortlisted(build(), among)
    tokens = torch.full((len(sentences), 1), BOS)
    state = shortlisted.start(source)
    logits = shortlisted.step(tokens, state)
    attended, _ = shortlisted.attend(tokens, shortlisted.start(source))
    torch.testing.assert_close(attended, logits, rtol=0, atol=1e-12)
    every = build().step(tokens, build().start(source))[:, 0]
    for row, (found, (_, candidates)) in enumerate(zip(logits[:, 0], sentences, strict=True)):
        own = sorted({PAD, UNK, BOS, EOS} | candidates)
        expected = torch.full((V,), -math.inf, dtype=torch.float64)
        expected[own] = every[row, own].log_softmax(0)
        probabilities = found.log_softmax(0)
        torch.testing.assert_close(probabilities, expected[among.ids], rtol=0, atol=1e-10)


@settings(max_examples=20)
@given(sentences=SENTENCES, beam_size=st.integers(1, 4), coverage=st.sampled_from([0.0, 0.2]))
def test_a_translation_does_not_depend_on_its_neighbours(
    sentences: Sentences, beam_size: int, coverage: float
) -> None:
    config = SearchConfig(beam_size=beam_size, n_best=beam_size, coverage_penalty=coverage)
    tasks = tasks_for(sentences)
    together = find(sentences, tasks, config, width=9)
    for sentence, task, hypotheses in zip(sentences, tasks, together, strict=True):
        (alone,) = find([sentence], [task], config)
        assert [h.tokens for h in alone] == [h.tokens for h in hypotheses]
        scores = [h.score for h in hypotheses]
        assert [h.score for h in alone] == pytest.approx(scores, abs=1e-10)
        assert {token for h in hypotheses for token in h.tokens} <= {UNK} | sentence[1]


@settings(max_examples=20)
@given(sentences=SENTENCES, beam_size=st.integers(1, 4))
def test_a_shortlist_of_everything_changes_no_translation(
    sentences: Sentences, beam_size: int
) -> None:
    config, tasks = SearchConfig(beam_size=beam_size, n_best=beam_size), tasks_for(sentences)
    found = find([(ids, {*range(4, V)}) for ids, _ in sentences], tasks, config)
    source = padded([ids for ids, _ in sentences])
    expected = search(build(), source, tasks, config, SPECIAL)
    for ours, theirs in zip(found, expected, strict=True):
        assert [h.tokens for h in ours] == [h.tokens for h in theirs]
        scores = [h.score for h in theirs]
        assert [h.score for h in ours] == pytest.approx(scores, abs=1e-10)


def test_members_of_an_ensemble_share_a_subvocabulary() -> None:
    sentences: Sentences = [([5, 6, 7], {8, 9, 12}), ([4], {9, 15})]
    among = subvocabulary([candidates for _, candidates in sentences])
    models = [AttendingShortlisted(build(seed), among) for seed in (8, 9)]
    source = padded([ids for ids, _ in sentences])
    config = SearchConfig(beam_size=2)
    found = search(Ensemble(models), source, tasks_for(sentences), config, SPECIAL)
    for (hypothesis, *_), (_, candidates) in zip(found, sentences, strict=True):
        assert {*among.hypothesis(hypothesis).tokens} <= {UNK} | candidates
        assert math.isfinite(hypothesis.score)


class Nothing:
    """A shortlist of the special tokens alone."""

    def candidates(self, source: Sequence[int]) -> NDArray[np.int32]:
        return np.zeros(1, np.int32)


def test_what_a_task_needs_is_a_candidate_of_its_sentence_alone() -> None:
    after = torch.zeros(V, dtype=torch.bool)
    after[[6, 17]] = True
    tasks = [
        Task(longest=5, prefix=[9, 5], after_prefix=after, include=[[11, 12], [11]]),
        Task(longest=5),
    ]
    assert sorted(needed(tasks[0]).tolist()) == [5, 6, 9, 11, 11, 12, 17]
    among = Subvocabulary.of(Nothing(), [[7], [8]], tasks, V)
    assert among.ids.tolist() == [0, 1, 2, 3, 5, 6, 9, 11, 12, 17]
    assert among.allowed.all(1).tolist() == [True, False]
    assert among.allowed[1].nonzero().flatten().tolist() == [0, 1, 2, 3]


def test_what_goes_in_and_out_is_numbered_anew_and_back() -> None:
    among = subvocabulary([{9, 5}, {17, 11, 12}])
    after = torch.zeros(V, dtype=torch.bool)
    after[[4, 17]] = True
    task = among.task(
        Task(longest=5, prefix=[9, 5], after_prefix=after, include=[[11, 12], [EOS]], number=3)
    )
    assert task.prefix == [5, 4]
    assert task.include == [[6, 7], [EOS]]
    assert task.number == 3
    assert task.after_prefix is not None
    assert task.after_prefix.nonzero().flatten().tolist() == [8]
    pieces = among.vocabulary(Vocabulary([f"piece {i}" for i in range(V)])).pieces
    assert pieces == [f"piece {i}" for i in among.ids.tolist()]
    found = Hypothesis(
        tokens=[5, 8, UNK],
        score=-1.0,
        log_probability=-3.0,
        finished=True,
        token_log_probabilities=[-1.0] * 3,
    )
    assert among.hypothesis(found).tokens == [9, 17, UNK]
    assert among.hypothesis(found).score == -1.0


@settings(max_examples=20)
@given(sentence=SENTENCE, prefix=st.lists(IDS, min_size=1, max_size=3))
def test_a_forced_prefix_is_kept_whatever_the_candidates(
    sentence: list[int], prefix: list[int]
) -> None:
    task = Task(longest=8, prefix=prefix)
    among = Subvocabulary.of(Nothing(), [sentence], [task], V)
    model = Shortlisted(build(), among)
    config = SearchConfig(beam_size=2)
    ((hypothesis, *_),) = search(model, padded([sentence]), [among.task(task)], config, SPECIAL)
    assert among.hypothesis(hypothesis).tokens[: len(prefix)] == prefix
