"""Properties of the search together with models that keep a state of tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from transformer.config import LengthNormalization, ModelConfig, SearchConfig, Tying
from transformer.model import Transformer
from transformer.search import Hypothesis, Model, SpecialIds, Task, search
from transformer.search.length import normalised

PAD, UNK, BOS, EOS = range(4)
VOCAB_SIZE = 20
SENTENCES = st.lists(
    st.lists(st.integers(4, VOCAB_SIZE - 1), min_size=1, max_size=6), min_size=1, max_size=4
)
NORMALIZATIONS = st.sampled_from(LengthNormalization)


@dataclass
class RecurrentState:
    hidden: Tensor  # [1, B, D]

    def select(self, rows: Tensor, /) -> "RecurrentState":
        return RecurrentState(self.hidden[:, rows.flatten()])


class RecurrentModel(nn.Module):
    """The last state of one GRU over the source begins another over the target."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCAB_SIZE, 12, padding_idx=PAD)
        self.reader = nn.GRU(12, 12, batch_first=True)
        self.writer = nn.GRU(12, 12, batch_first=True)
        self.output = nn.Linear(12, VOCAB_SIZE)

    def start(self, source: Tensor, /) -> RecurrentState:
        ends = (source != PAD).sum(dim=1) - 1
        outputs, _ = self.reader(self.embedding(source))
        return RecurrentState(outputs[torch.arange(len(source)), ends].unsqueeze(0))

    def step(self, tokens: Tensor, state: RecurrentState, /) -> Tensor:
        outputs, state.hidden = self.writer(self.embedding(tokens), state.hidden)
        logits: Tensor = self.output(outputs)
        return logits


def randomise(model: nn.Module) -> None:
    """Draw matrices that make some outputs much likelier than others."""
    generator = torch.Generator().manual_seed(8)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            values = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.data = 0.6 * values
    model.double().eval()


@cache
def recurrent() -> RecurrentModel:
    model = RecurrentModel()
    randomise(model)
    return model


@cache
def transformer() -> Transformer:
    config = ModelConfig(
        encoder_layers=2,
        decoder_layers=2,
        d_model=16,
        d_feed_forward=32,
        n_heads=2,
        tying=Tying.none,
    )
    model = Transformer(
        config, source_vocab_size=VOCAB_SIZE, target_vocab_size=VOCAB_SIZE, pad_id=PAD
    )
    randomise(model)
    return model


MODELS = pytest.mark.parametrize("build", [recurrent, transformer])


def padded(sentences: list[list[int]], width: int | None = None) -> Tensor:
    width = width or max(map(len, sentences)) + 1
    rows = [[*ids, EOS] + [PAD] * (width - 1 - len(ids)) for ids in sentences]
    return torch.tensor(rows)


def find(
    model: Model[Any], source: Tensor, limits: list[int], config: SearchConfig
) -> list[list[Hypothesis]]:
    tasks = [Task(longest=limit) for limit in limits]
    return search(model, source, tasks, config, SpecialIds(PAD, UNK, BOS, EOS))


def log_probabilities(model: Model[Any], source: Tensor, tokens: list[int]) -> Tensor:
    """Of each token and what may follow the last [T + 1, V], by one step over all of them."""
    with torch.inference_mode():
        state = model.start(source)
        return model.step(torch.tensor([[BOS, *tokens]]), state)[0].log_softmax(dim=1)


@MODELS
@settings(deadline=None, max_examples=30)
@given(sentences=SENTENCES, beam_size=st.integers(1, 6), limit=st.integers(1, 10))
def test_a_score_is_the_models_own_of_that_output_at_once(
    build: Callable[[], Model[Any]], sentences: list[list[int]], beam_size: int, limit: int
) -> None:
    config = SearchConfig(beam_size=beam_size, n_best=beam_size, length_penalty=0.7)
    limits = [limit + i for i in range(len(sentences))]
    found = find(build(), padded(sentences), limits, config)
    for sentence, hypotheses in zip(sentences, found, strict=True):
        for hypothesis in hypotheses:
            output = hypothesis.tokens + [EOS] * hypothesis.finished
            rows = log_probabilities(build(), padded([sentence]), hypothesis.tokens)
            expected = float(sum(rows[i, token] for i, token in enumerate(output)))
            assert hypothesis.log_probability == pytest.approx(expected, abs=1e-10)
            score = normalised(expected, len(output), config)
            assert hypothesis.score == pytest.approx(score, abs=1e-10)


@MODELS
@settings(deadline=None, max_examples=30)
@given(sentences=SENTENCES, beam_size=st.integers(1, 4), normalization=NORMALIZATIONS)
def test_a_translation_does_not_depend_on_its_neighbours(
    build: Callable[[], Model[Any]],
    sentences: list[list[int]],
    beam_size: int,
    normalization: LengthNormalization,
) -> None:
    config = SearchConfig(beam_size=beam_size, n_best=beam_size, normalization=normalization)
    limits = [2 * len(sentence) + 3 for sentence in sentences]
    together = find(build(), padded(sentences, width=9), limits, config)
    for sentence, limit, hypotheses in zip(sentences, limits, together, strict=True):
        (alone,) = find(build(), padded([sentence]), [limit], config)
        assert [h.tokens for h in alone] == [h.tokens for h in hypotheses]
        assert [h.finished for h in alone] == [h.finished for h in hypotheses]
        scores = [h.score for h in hypotheses]
        assert [h.score for h in alone] == pytest.approx(scores, abs=1e-10)


@MODELS
@settings(deadline=None, max_examples=20)
@given(sentences=SENTENCES)
def test_a_beam_of_one_takes_the_likeliest_token_each_time(
    build: Callable[[], Model[Any]], sentences: list[list[int]]
) -> None:
    found = find(build(), padded(sentences), [8] * len(sentences), SearchConfig(beam_size=1))
    for sentence, (hypothesis,) in zip(sentences, found, strict=True):
        rows = log_probabilities(build(), padded([sentence]), hypothesis.tokens)
        rows = rows.index_fill(1, torch.tensor([PAD, BOS]), -torch.inf)
        output = hypothesis.tokens + [EOS] * hypothesis.finished
        assert rows.argmax(dim=1).tolist()[: len(output)] == output
