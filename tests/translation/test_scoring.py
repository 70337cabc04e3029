"""The scores of given translations."""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from transformer.config import (
    EnsembleMean,
    LengthNormalization,
    ModelConfig,
    PhrasebookConfig,
    Precision,
    SearchConfig,
    Tying,
)
from transformer.model import Transformer
from transformer.search import SpecialIds, Task, search
from transformer.search.ensemble import Ensemble
from transformer.search.protocol import AttendingModel
from transformer.text.batching import pad
from transformer.text.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Tokenizers
from transformer.translation import scoring as module
from transformer.translation.models import Watched
from transformer.translation.request import Output
from transformer.translation.scoring import Scored, Scorer, plan_pairs
from transformer.translation.sources import Sources

SPECIAL = SpecialIds(PAD_ID, UNK_ID, BOS_ID, EOS_ID)
CPU = torch.device("cpu")
VOCAB_SIZE = 10  # so few that EOS is often among the best
SENTENCES = st.lists(
    st.lists(st.integers(4, VOCAB_SIZE - 1), min_size=1, max_size=6), min_size=1, max_size=4
)
CONFIGS = st.builds(
    lambda beam_size, **others: SearchConfig(beam_size=beam_size, n_best=beam_size, **others),
    beam_size=st.integers(1, 4),
    normalization=st.sampled_from(LengthNormalization),
    length_penalty=st.sampled_from([0.0, 0.6, 1.3]),
    coverage_penalty=st.sampled_from([0.0, 0.4]),
)
Draw = Callable[[int], list[str]]


@dataclass
class TableState:
    rows: list[tuple[int, ...]]  # the first token of the source, its length, the tokens so far
    width: int

    def select(self, rows: Tensor, /) -> "TableState":
        return replace(self, rows=[self.rows[row] for row in rows.flatten().tolist()])


class TableModel:
    """Logits of VOCAB_SIZE tokens and attention, drawn by source and tokens so far."""

    def start(self, source: Tensor, /) -> TableState:
        lengths = (source != PAD_ID).sum(1)
        rows: list[tuple[int, ...]] = [
            (int(row[0]), int(n)) for row, n in zip(source, lengths, strict=True)
        ]
        return TableState(rows, source.size(1))

    def step(self, tokens: Tensor, state: TableState, /) -> Tensor:
        return self.attend(tokens, state)[0]

    def attend(self, tokens: Tensor, state: TableState, /) -> tuple[Tensor, Tensor]:
        logits = torch.zeros(*tokens.shape, VOCAB_SIZE, dtype=torch.float64)
        looks = torch.zeros(*tokens.shape, state.width, dtype=torch.float64)
        for i, row in enumerate(tokens.tolist()):
            for j, token in enumerate(row):
                state.rows[i] = (*state.rows[i], token)
                generator = random.Random(str(state.rows[i]))
                drawn = [generator.gauss(0, 2) for _ in range(VOCAB_SIZE + state.rows[i][1])]
                logits[i, j] = torch.tensor(drawn[:VOCAB_SIZE])
                looks[i, j, : len(drawn) - VOCAB_SIZE] = (
                    torch.tensor(drawn[VOCAB_SIZE:]).double().softmax(0)
                )
        return logits, looks


def network(seed: int, vocab_size: int = VOCAB_SIZE) -> Watched:
    config = ModelConfig(
        encoder_layers=1,
        decoder_layers=2,
        d_model=16,
        d_feed_forward=16,
        n_heads=2,
        tying=Tying.none,
    )
    model = Transformer(
        config, source_vocab_size=vocab_size, target_vocab_size=vocab_size, pad_id=PAD_ID
    )
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            values = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.data = 0.4 * values
    return Watched(model.double().eval(), layer=-2, heads=())


@cache
def models() -> dict[str, AttendingModel[Any]]:
    both = [network(4), network(10)]
    return {
        "table": TableModel(),
        "transformer": both[0],
        "geometric": Ensemble(both, [1.0, 3.0]),
        "arithmetic": Ensemble(both, mean=EnsembleMean.arithmetic),
    }


@pytest.fixture
def scorer(tokenizers: Tokenizers) -> Scorer:
    """In float64, so that no rounding lets a pair depend on its neighbours."""
    return Scorer(
        network(4, tokenizers.source.vocab_size),
        Sources(tokenizers, PhrasebookConfig(), 256),
        CPU,
        Precision.fp32,
    )


@pytest.fixture
def pairs(draw_lines: Draw) -> list[tuple[str, str]]:
    """Pairs of unequal length, some blank on either side or on both."""
    return [
        *zip(draw_lines(14), draw_lines(15)[1:], strict=True),
        ("", " "),
        ("\t", "ab"),
        ("c", ""),
    ]


def assert_same(found: Sequence[Output], expected: Sequence[Output]) -> None:
    for output, other in zip(found, expected, strict=True):
        assert (output.text, output.tokens) == (other.text, other.tokens)
        assert output.alignment == other.alignment
        assert output.score == pytest.approx(other.score, abs=1e-10)
        pairs = zip(output.attention or [], other.attention or [], strict=True)
        assert all(row == pytest.approx(other_row, abs=1e-10) for row, other_row in pairs)
        assert list(output.token_log_probabilities) == pytest.approx(
            list(other.token_log_probabilities), abs=1e-10
        )


EACH_MODEL = pytest.mark.parametrize("name", sorted(models()))


@EACH_MODEL
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sentences=SENTENCES, config=CONFIGS, limit=st.integers(1, 6))
def test_what_the_search_found_is_scored_as_the_search_did(
    tokenizers: Tokenizers,
    name: str,
    sentences: list[list[int]],
    config: SearchConfig,
    limit: int,
) -> None:
    scorer = Scorer(
        models()[name], Sources(tokenizers, PhrasebookConfig(), 256), CPU, Precision.fp32
    )
    source = pad([[*ids, EOS_ID] for ids in sentences], 8)
    tasks = [Task(longest=limit + number) for number in range(len(sentences))]
    found = search(scorer.model, source, tasks, config, SPECIAL)
    flat = [(ids, h) for ids, hypotheses in zip(sentences, found, strict=True) for h in hypotheses]
    scored = scorer.score_tokens(
        [ids for ids, _ in flat],
        [h.tokens + [EOS_ID] * h.finished for _, h in flat],
        50,
        attend=config.coverage_penalty > 0,
    )
    for (_, hypothesis), given_back in zip(flat, scored, strict=True):
        assert given_back.log_probabilities == pytest.approx(
            hypothesis.token_log_probabilities, abs=1e-10
        )
        total = math.fsum(given_back.log_probabilities)
        assert total == pytest.approx(hypothesis.log_probability, abs=1e-10)
        assert given_back.score(config) == pytest.approx(hypothesis.score, abs=1e-10)


@EACH_MODEL
def test_outputs_that_end_and_outputs_that_are_cut_are_among_those(name: str) -> None:
    sources = pad([[first, 6, EOS_ID] for first in range(4, VOCAB_SIZE)], 3)
    tasks = [Task(longest=3)] * len(sources)
    found = search(models()[name], sources, tasks, SearchConfig(n_best=5), SPECIAL)
    finished = [h.finished for hypotheses in found for h in hypotheses]
    assert 5 < sum(finished) < len(finished) - 5


@pytest.mark.parametrize("logits", [1, 3000, 2**25])
@pytest.mark.parametrize("batch_tokens", [1, 40, 10_000])
@pytest.mark.parametrize("window", [1, 5, 4096])
def test_parts_batches_and_windows_change_nothing(
    scorer: Scorer,
    pairs: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    logits: int,
    batch_tokens: int,
    window: int,
) -> None:
    config = SearchConfig(coverage_penalty=0.2)
    alone = [
        next(scorer.score_pairs([pair], config, alignment=True, attention=True)) for pair in pairs
    ]
    assert len({output.score for output in alone}) > 10, "the order must show"
    monkeypatch.setattr(module, "LOGITS", logits)
    monkeypatch.setattr(module, "WINDOW", window)
    config = replace(config, batch_tokens=batch_tokens)
    found = list(scorer.score_pairs(iter(pairs), config, alignment=True, attention=True))
    assert_same(found, alone)


def test_a_score_is_the_models_probability_of_the_pieces_and_eos(scorer: Scorer) -> None:
    (output,) = scorer.score_pairs([("abc", "uv")], SearchConfig(length_penalty=2.0))
    source, target = (
        side.encode([text])[0]
        for side, text in ((scorer.tokenizers.source, "abc"), (scorer.tokenizers.target, "uv"))
    )
    with torch.inference_mode():
        state = scorer.model.start(torch.tensor([[*source, EOS_ID]]))
        rows = scorer.model.step(torch.tensor([[BOS_ID, *target]]), state)[0].log_softmax(1)
    expected = [float(rows[i, token]) for i, token in enumerate([*target, EOS_ID])]
    assert output.token_log_probabilities == pytest.approx(expected, abs=1e-10)
    assert output.log_probability == pytest.approx(sum(expected), abs=1e-10)
    assert output.score == pytest.approx(sum(expected) / ((5 + len(expected)) / 6) ** 2)
    assert output.text == "uv"
    assert output.tokens == ["▁", "u", "v"]
    assert output.finished
    assert output.alignment is None
    assert output.attention is None


def test_blank_lines_are_scored_as_what_they_are(scorer: Scorer) -> None:
    pairs = [("", ""), (" ", "\u3000"), ("", "ab"), ("ab", " ")]
    config = SearchConfig(coverage_penalty=0.5)
    blank, spaces, invented, deleted = scorer.score_pairs(
        pairs, config, alignment=True, attention=True
    )
    for output, text in ((blank, ""), (spaces, "\u3000")):
        assert (output.score, output.log_probability, output.text) == (0.0, 0.0, text)
        assert len(output.token_log_probabilities) == len(output.tokens) == 0
        assert output.alignment == output.attention == []
    assert len(invented.token_log_probabilities) == len(invented.tokens) + 1 == 4
    assert invented.attention == [[1.0]] * 4
    assert invented.alignment == deleted.alignment == []
    assert len(deleted.token_log_probabilities) == 1
    assert deleted.score < 0


def test_attention_is_of_the_pieces_and_eos_and_links_are_of_words(scorer: Scorer) -> None:
    source, target = "ab def  c", " uv x"
    (output,) = scorer.score_pairs(
        [(source, target)], SearchConfig(), alignment=True, attention=True
    )
    assert output.attention is not None
    assert output.alignment is not None
    n_source = len(scorer.tokenizers.source.encode([source])[0])
    assert len(output.attention) == len(output.tokens) + 1
    assert {len(row) for row in output.attention} == {n_source + 1}
    assert [sum(row) for row in output.attention] == pytest.approx([1.0] * len(output.attention))
    assert [j for _, j in output.alignment] == [0, 1]
    assert {i for i, _ in output.alignment} <= {0, 1, 2}
    (links,) = scorer.score_pairs([(source, target)], SearchConfig(), alignment=True)
    assert links.attention is None
    assert links.alignment == output.alignment


def test_pairs_are_read_no_further_than_a_window_ahead(
    scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WINDOW", 2)
    read = []

    def endless() -> Iterator[tuple[str, str]]:
        while True:
            read.append("abc")
            yield "abc", "uvw"

    assert len(list(islice(scorer.score_pairs(endless(), SearchConfig()), 3))) == 3
    assert len(read) == 4


def test_nothing_is_scored_as_nothing(scorer: Scorer) -> None:
    assert list(scorer.score_pairs([], SearchConfig())) == []


def test_a_model_that_gives_no_probability_is_an_error(tokenizers: Tokenizers) -> None:
    class BrokenModel(TableModel):
        def attend(self, tokens: Tensor, state: TableState, /) -> tuple[Tensor, Tensor]:
            logits, looks = super().attend(tokens, state)
            return logits * math.nan, looks

    scorer = Scorer(
        BrokenModel(), Sources(tokenizers, PhrasebookConfig(), 256), CPU, Precision.fp32
    )
    with pytest.raises(FloatingPointError, match="NaN"):
        scorer.score_tokens([[5]], [[6, EOS_ID]], 100, attend=False)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_normalised_in_single_precision(
    tokenizers: Tokenizers, dtype: torch.dtype
) -> None:
    class HalfModel(TableModel):
        def attend(self, tokens: Tensor, state: TableState, /) -> tuple[Tensor, Tensor]:
            logits, looks = super().attend(tokens, state)
            return logits.to(dtype), looks

    half = Scorer(HalfModel(), Sources(tokenizers, PhrasebookConfig(), 256), CPU, Precision.fp32)
    (found,) = half.score_tokens([[5]], [[6, 7, EOS_ID]], 100, attend=False)
    model = HalfModel()
    logits = model.step(torch.tensor([[BOS_ID, 6, 7]]), model.start(torch.tensor([[5, EOS_ID]])))
    rows = logits[0].double().log_softmax(1)
    expected = [float(rows[i, token]) for i, token in enumerate([6, 7, EOS_ID])]
    assert found.log_probabilities == pytest.approx(expected, abs=1e-5)


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), max_size=20), st.integers(1, 100)
)
def test_batches_keep_to_their_budget_and_hold_each_pair_once(
    lengths: list[tuple[int, int]], batch_tokens: int
) -> None:
    batches = list(plan_pairs(lengths, batch_tokens))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(max(lengths[row]) for row in batch)
        assert len(batch) * longest <= batch_tokens or len(batch) == 1


def test_coverage_counts_each_source_token_up_to_1() -> None:
    attention = torch.tensor([[0.5, 0.25, 0.25], [0.75, 0.25, 0.0]])
    config = SearchConfig(normalization=LengthNormalization.none, coverage_penalty=2.0)
    expected = -3.0 + 2 * (math.log(1) + math.log(0.5) + math.log(0.25))
    assert Scored([-1.0, -2.0], attention).score(config) == pytest.approx(expected)
