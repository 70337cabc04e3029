"""Properties of the scores of texts against each other."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.tokenizers import tokenizer_ja_mecab

from transformer.config import Utility
from transformer.errors import InputError
from transformer.metrics import pairwise
from transformer.metrics.pairwise import Floats

WORDS = ["a", "aa", "ab", "the", "it's", "3.5", "(no)", "“so”", "&amp;", "<skipped>", "ü", "\u0308"]
LINES = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
TEXTS = st.one_of(
    LINES,
    st.text(alphabet="ab c.", max_size=20),
    st.text(alphabet="我们在北京 。a2", max_size=12),
    st.text(max_size=8),
)


def brute_force(utility: Utility, texts: list[str], language: str) -> Floats:
    metric: BLEU | CHRF = CHRF()
    if utility is Utility.bleu:
        metric = BLEU(effective_order=True, tokenize="zh" if language == "zh" else "13a")
    return np.array(
        [
            [metric.sentence_score(hypothesis, [reference]).score for reference in texts]
            for hypothesis in texts
        ]
    )


@pytest.mark.parametrize("utility", Utility)
@pytest.mark.parametrize("language", ["de", "zh"])
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=6))
def test_scores_are_those_of_sacrebleu(utility: Utility, language: str, texts: list[str]) -> None:
    scores = pairwise(utility, texts, language)
    assert scores.shape == (len(texts), len(texts))
    assert np.abs(scores - brute_force(utility, texts, language)).max() < 1e-9


@pytest.mark.parametrize("utility", Utility)
def test_long_texts_with_much_in_common_score_as_with_sacrebleu(utility: Utility) -> None:
    generator = random.Random(4)
    base = generator.choices(WORDS, k=60)
    texts = [
        " ".join(word if generator.random() < 0.8 else generator.choice(WORDS) for word in base)
        for _ in range(12)
    ]
    scores = pairwise(utility, texts, "de")
    assert np.abs(scores - brute_force(utility, texts, "de")).max() < 1e-9
    assert 5 < scores.min() < scores.max() - 5


@pytest.mark.parametrize("utility", Utility)
def test_blank_texts_score_nothing(utility: Utility) -> None:
    texts = ["", "  ", "a b c d", ""]
    scores = pairwise(utility, texts, "de")
    assert scores[2, 2] == pytest.approx(100)
    scores[2, 2] = 0
    assert not scores.any()


@pytest.mark.parametrize("utility", Utility)
def test_no_texts_have_no_scores(utility: Utility) -> None:
    assert pairwise(utility, [], "de").shape == (0, 0)


def test_a_missing_tokenizer_is_named_before_anything_is_scored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tokenizer_ja_mecab, "MeCab", None)
    with pytest.raises(InputError, match=r"transformer-mt\[ja\]"):
        pairwise(Utility.bleu, ["a"], "ja-X-none")
