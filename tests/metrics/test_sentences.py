"""Properties of the scores of single sentences."""

import random
import sys
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from transformer.config import BleuConfig, CometConfig, MetricsConfig
from transformer.errors import InputError
from transformer.metrics import score_corpus, score_sentences

NAMES = ["bleu", "chrf", "chrf++", "ter"]
LINES = st.lists(st.sampled_from(["a", "B", "the", "c.", "(no)", "3,5", "“so”"]), max_size=9).map(
    " ".join
)


@settings(max_examples=40)
@given(lines=st.lists(st.tuples(LINES, LINES, LINES), min_size=1, max_size=5))
@pytest.mark.parametrize("name", NAMES)
def test_they_are_sacrebleus_own(lines: list[tuple[str, str, str]], name: str) -> None:
    metrics = {
        "bleu": BLEU(effective_order=True),
        "chrf": CHRF(),
        "chrf++": CHRF(word_order=2),
        "ter": TER(),
    }
    hypotheses, *references = ([row[i] for row in lines] for i in range(3))
    scores = score_sentences(name, hypotheses, references, "en", MetricsConfig())
    assert scores == [metrics[name].sentence_score(row[0], row[1:]).score for row in lines]


@pytest.mark.parametrize("name", NAMES)
def test_a_sentence_does_not_depend_on_its_neighbours(name: str) -> None:
    generator = random.Random(1)
    words = ["the", "old", "dog", "sees", "a", "house."]
    hypotheses, references = (
        [" ".join(generator.choices(words, k=6)) for _ in "12345"] for _ in "ab"
    )
    together = score_sentences(name, hypotheses, [references], "en", MetricsConfig())
    alone = [
        score_sentences(name, [hypothesis], [[reference]], "en", MetricsConfig())[0]
        for hypothesis, reference in zip(hypotheses, references, strict=True)
    ]
    assert together == alone
    assert len(set(together)) > 1


def test_bleu_leaves_out_orders_that_a_line_is_too_short_for() -> None:
    config = MetricsConfig(bleu=BleuConfig(effective_order=False))
    assert score_sentences("bleu", ["a b"], [["a b"]], "en", config) == pytest.approx([100])
    assert not config.bleu.effective_order


def test_settings_and_language_have_their_effect() -> None:
    config = MetricsConfig(bleu=BleuConfig(lowercase=True))
    assert score_sentences("bleu", ["A b"], [["a B"]], "en", config) == pytest.approx([100])
    assert score_sentences("bleu", ["A b"], [["a B"]], "en", MetricsConfig()) == [0]
    assert score_sentences("ter", ["我们在南京"], [["我们在北京"]], "zh", config) == pytest.approx(
        [20]
    )


def test_comets_segments_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def comet_scores(*args: object) -> list[float]:
        calls.append(args)
        return [0.25, 0.75]

    module = ModuleType("transformer.metrics.comet")
    vars(module).update(comet_scores=comet_scores, comet_signature=lambda _: "model:fake")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    config = MetricsConfig(names=["comet"], resamples=0, comet=CometConfig(model="fake"))
    lines = (["a", "b"], [["c", "d"]], "en", config, ["s", "t"])
    assert score_sentences("comet", *lines) == [0.25, 0.75]
    assert len(calls) == 1
    assert [score.value for score in score_corpus(*lines)] == [0.5]
    with pytest.raises(InputError, match="needs the sources"):
        score_sentences("comet", *lines[:-1])


def test_unequal_counts_and_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="1 translations but 2 references"):
        score_sentences("chrf", ["a"], [["a", "b"]], "en", MetricsConfig())
    with pytest.raises(InputError, match="no line"):
        score_sentences("chrf", [], [[]], "en", MetricsConfig())
