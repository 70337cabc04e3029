"""Properties of the scores of a corpus."""

import math
import os
import random
import sys
from collections.abc import Sequence
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer.config import (
    BleuConfig,
    ChrfConfig,
    CometConfig,
    MetricsConfig,
    Smoothing,
    TerConfig,
)
from transformer.errors import InputError
from transformer.metrics import Score, bleu, chrf, score_corpus

PLAIN = MetricsConfig(resamples=0)
ALL = MetricsConfig(names=["bleu", "chrf", "chrf++", "ter"], resamples=30)
WORDS = ["the", "a", "red", "Old", "dog", "cat", "house", "sees,", "it's", "3.5", "(no)", "“so”"]


def noisy_lines(n: int = 60) -> tuple[list[str], list[str]]:
    """Hypotheses and references that differ from them in places; some lines are blank."""
    generator = random.Random(3)
    references = [generator.choices(WORDS, k=i % 15) for i in range(n)]
    hypotheses = [
        [word if generator.random() < 0.8 else generator.choice(WORDS) for word in line]
        for line in references
    ]
    return [" ".join(line) for line in hypotheses], [" ".join(line) for line in references]


def values(scores: Sequence[Score]) -> list[float]:
    return [score.value for score in scores]


def test_scores_come_in_the_order_of_their_names() -> None:
    hypotheses, references = noisy_lines()
    names = ["ter", "chrf++", "bleu", "chrf"]
    scores = score_corpus(hypotheses, [references], "en", MetricsConfig(names=names, resamples=0))
    assert [score.name for score in scores] == ["TER", "chrF2++", "BLEU", "chrF2"]


def test_single_metrics_are_those_of_the_whole() -> None:
    hypotheses, references = noisy_lines()
    for language in ("en", "zh"):
        scores = score_corpus(hypotheses, [references], language, PLAIN)
        assert bleu(hypotheses, references, language) == scores[0]
        assert chrf(hypotheses, references) == scores[1]


def test_equal_lines_score_best() -> None:
    lines = ["the old dog sees a red house .", "it buys 3.5 cats ."]
    assert values(score_corpus(lines, [lines], "en", PLAIN)) == pytest.approx([100, 100, 0])


def test_a_line_is_as_good_as_the_reference_that_it_equals() -> None:
    first, second = ["a b c d e", "f g h i"], ["the old dog sees it", "a red house is here"]
    hypotheses = [first[0], second[1]]
    names = ["bleu", "chrf", "chrf++"]
    config = MetricsConfig(names=names, resamples=0)
    assert values(score_corpus(hypotheses, [first, second], "en", config)) == pytest.approx(
        [100, 100, 100]
    )
    assert max(values(score_corpus(hypotheses, [first], "en", config))) < 90


def test_white_space_at_the_ends_of_lines_does_not_count() -> None:
    hypotheses, references = noisy_lines()
    config = MetricsConfig(
        names=["bleu", "chrf", "chrf++", "ter"], resamples=0, chrf=ChrfConfig(whitespace=True)
    )
    plain = score_corpus(hypotheses, [references], "en", config)
    ends = [line + "  \t" for line in hypotheses], [line + "\r" for line in references]
    assert score_corpus(ends[0], [ends[1]], "en", config) == plain


def test_chinese_edits_are_counted_in_characters() -> None:
    (ter,) = score_corpus(
        ["我们在南京"], [["我们在北京"]], "zh", MetricsConfig(names=["ter"], resamples=0)
    )
    assert ter.value == pytest.approx(20)


@pytest.mark.parametrize(
    "changed",
    [
        MetricsConfig(resamples=0, bleu=BleuConfig(tokenize="none")),
        MetricsConfig(resamples=0, bleu=BleuConfig(lowercase=True)),
        MetricsConfig(resamples=0, bleu=BleuConfig(smooth_method=Smoothing.add_k)),
        MetricsConfig(
            resamples=0, bleu=BleuConfig(smooth_method=Smoothing.floor, smooth_value=0.3)
        ),
        MetricsConfig(resamples=0, chrf=ChrfConfig(char_order=3)),
        MetricsConfig(resamples=0, chrf=ChrfConfig(beta=1)),
        MetricsConfig(resamples=0, chrf=ChrfConfig(lowercase=True)),
        MetricsConfig(resamples=0, chrf=ChrfConfig(whitespace=True)),
        MetricsConfig(resamples=0, chrf=ChrfConfig(epsilon_smoothing=True)),
        MetricsConfig(resamples=0, ter=TerConfig(normalized=True)),
        MetricsConfig(resamples=0, ter=TerConfig(asian_support=True)),
        MetricsConfig(resamples=0, ter=TerConfig(no_punctuation=True)),
        MetricsConfig(resamples=0, ter=TerConfig(case_sensitive=True)),
    ],
)
def test_each_setting_changes_the_signature_of_its_metric_alone(changed: MetricsConfig) -> None:
    hypotheses, references = noisy_lines()
    before = score_corpus(hypotheses, [references], "en", PLAIN)
    after = score_corpus(hypotheses, [references], "en", changed)
    settings_of = [changed.bleu, changed.chrf, changed.ter]
    defaults = [BleuConfig(), ChrfConfig(), TerConfig()]
    for old, new, mine, default in zip(before, after, settings_of, defaults, strict=True):
        same = old.signature == new.signature and old.name == new.name
        assert same == (mine == default)


def test_the_value_does_not_depend_on_the_bootstrap() -> None:
    hypotheses, references = noisy_lines()
    plain = score_corpus(hypotheses, [references], "en", PLAIN)
    for score, other in zip(
        plain,
        score_corpus(hypotheses, [references], "en", MetricsConfig(resamples=40)),
        strict=True,
    ):
        assert (score.mean, score.margin) == (None, None)
        assert score.value == other.value
        assert other.mean == pytest.approx(score.value, abs=5)
        assert other.margin is not None
        assert 0 < other.margin < 20
        assert "bs:40|seed:12345" in other.signature


def test_the_seed_decides_the_interval_and_nothing_else() -> None:
    hypotheses, references = noisy_lines()

    def scores(seed: int) -> list[Score]:
        config = MetricsConfig(resamples=40, seed=seed)
        return score_corpus(hypotheses, [references], "en", config)

    assert scores(0) == scores(0)
    assert values(scores(0)) == values(scores(1))
    assert [score.mean for score in scores(0)] != [score.mean for score in scores(1)]


@pytest.mark.parametrize("before", [None, "99"])
def test_the_environment_is_left_as_it_was(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if before is None:
        monkeypatch.delenv("SACREBLEU_SEED", raising=False)
    else:
        monkeypatch.setenv("SACREBLEU_SEED", before)
    environment = dict(os.environ)
    score_corpus(["a b"], [["a c"]], "en", ALL)
    assert dict(os.environ) == environment
    with pytest.raises(InputError):
        score_corpus(["a"], [["a"]], "en", MetricsConfig(bleu=BleuConfig(tokenize="words")))
    assert dict(os.environ) == environment


LINES = st.sampled_from(["", " ", "a", "a b", ".", "a b c d e", "我们", "\u3000", "🙂 a"])
STREAM_PAIRS = st.lists(st.tuples(LINES, LINES, LINES), min_size=1, max_size=4)


@pytest.mark.parametrize("language", ["en", "zh"])
@settings(max_examples=25)
@given(
    lines=STREAM_PAIRS,
    n_references=st.integers(1, 2),
    resamples=st.sampled_from([0, 1, 2, 25]),
    method=st.sampled_from(Smoothing),
    on=st.booleans(),
)
def test_whatever_the_lines_hold_scores_are_numbers(
    lines: list[tuple[str, str, str]],
    n_references: int,
    resamples: int,
    method: Smoothing,
    on: bool,
    language: str,
) -> None:
    hypotheses, *references = (list(column) for column in zip(*lines, strict=True))
    config = MetricsConfig(
        names=["bleu", "chrf", "chrf++", "ter"],
        resamples=resamples,
        bleu=BleuConfig(smooth_method=method, effective_order=on, lowercase=on),
        chrf=ChrfConfig(whitespace=on, epsilon_smoothing=on),
        ter=TerConfig(no_punctuation=on),
    )
    for score in score_corpus(hypotheses, references[:n_references], language, config):
        assert math.isfinite(score.value)
        if resamples > 1:
            assert score.mean is not None
            assert math.isfinite(score.mean)
            assert score.margin is not None
            assert 0 <= score.margin < math.inf
        else:
            assert (score.mean, score.margin) == (None, None)


def test_blank_translations_score_zero() -> None:
    assert bleu(["", ""], ["a b c d", "e f g h"], "en").value == 0
    scores = score_corpus(["", ""], [["a b c d", "e f g h"]], "en", MetricsConfig(resamples=20))
    assert [(score.value, score.mean, score.margin) for score in scores] == [
        (0, 0, 0),
        (0, 0, 0),
        (100, 100, 0),
    ]


def test_unequal_counts_are_refused_with_both_named() -> None:
    with pytest.raises(InputError, match="2 translations but 3 references"):
        bleu(["a", "b"], ["a", "b", "c"], "en")
    with pytest.raises(InputError, match="0 translations but 1 references"):
        score_corpus([], [["a"]], "en", PLAIN)
    with pytest.raises(InputError, match="1 translations but 2 lines in reference 2 of 3"):
        score_corpus(["a"], [["a"], ["a", "b"], ["a"]], "en", PLAIN)
    with pytest.raises(InputError, match="1 translations but 2 sources"):
        score_corpus(["a"], [["a"]], "en", PLAIN, ["a", "b"])


@pytest.mark.parametrize(("references", "message"), [([[]], "no line"), ([], "no references")])
def test_nothing_to_score_is_refused(references: list[list[str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_corpus([], references, "en", PLAIN)


def fake_comet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A COMET that compares how long a line is with source and reference together."""
    module = ModuleType("transformer.metrics.comet")

    def comet_scores(
        sources: Sequence[str],
        hypotheses: Sequence[str],
        references: Sequence[str],
        config: CometConfig,
    ) -> list[float]:
        lines = zip(sources, hypotheses, references, strict=True)
        return [len(h.split()) / (len(s.split()) + len(r.split())) for s, h, r in lines]

    vars(module).update(comet_scores=comet_scores, comet_signature=lambda _: "model:fake")
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_comet_is_the_mean_of_its_segments_with_an_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_comet(monkeypatch)
    config = MetricsConfig(names=["comet"], resamples=200, comet=CometConfig(model="fake"))
    hypotheses, sources = ["a b", "a", ""] * 10, ["a", "a", "a"] * 10
    (score,) = score_corpus(hypotheses, [sources], "en", config, sources)
    assert (score.name, score.value) == ("COMET", 0.5)
    assert score.mean == pytest.approx(0.5, abs=0.05)
    # 1.96 standard errors of values whose variance is 1/6.
    assert score.margin == pytest.approx(1.96 * (1 / 6 / 30) ** 0.5, rel=0.25)
    assert score.signature == "nrefs:1|bs:200|seed:12345|model:fake"


def test_comet_with_several_references_is_the_mean_over_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_comet(monkeypatch)
    config = MetricsConfig(names=["comet"], resamples=0, comet=CometConfig(model="fake"))
    (score,) = score_corpus(["a b"], [["a"], ["a b c"]], "en", config, ["a"])
    assert score.value == pytest.approx((2 / 2 + 2 / 4) / 2)
    assert score.signature == "nrefs:2|model:fake"


def test_comet_without_sources_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_comet(monkeypatch)
    config = MetricsConfig(names=["comet"], comet=CometConfig(model="fake"))
    with pytest.raises(InputError, match="needs the sources"):
        score_corpus(["a"], [["a"]], "en", config)
