"""Warnings, each with text that deserves it and text that does not."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.config import BleuConfig, MetricsConfig
from transformer.evaluation.analysis import TrainingText, cautions, differing_signatures
from transformer.evaluation.analysis.writing import capitals, signs_of_tokens

ENGLISH = [
    f'The old man, number {i}, walks to Paris ({i} km)... It is late: "Go!"' for i in range(120)
]
GERMAN = [
    f"Der alte Mann, Nummer {i}, geht nach Paris ({i} km) … Es ist spät: „Los!“" for i in range(120)
]
FRENCH = [
    f"Le vieil homme, numéro {i}, va où ? « À Paris ; {i} % ! » dit-il : voilà." for i in range(120)
]
CHINESE = [f"这个老人，第{i}号，去巴黎。时间很晚了！" for i in range(120)]
JAPANESE = [f"老人{i}は、パリへ行きます。もう遅いです！" for i in range(120)]
KOREAN = [f"노인 {i}명이 파리에 갑니다. 늦었어요!" for i in range(120)]
THAI = [f"ชายชราคนที่ {i} ไปปารีส มันดึกแล้ว" for i in range(120)]
GEORGIAN = [f"მოხუცი კაცი {i} მიდის პარიზში, უკვე გვიანია." for i in range(120)]
RAW = {
    "en": ENGLISH,
    "de": GERMAN,
    "fr": FRENCH,
    "zh": CHINESE,
    "ja": JAPANESE,
    "ka": GEORGIAN,
}
QUIET = MetricsConfig(names=["chrf"])


def told(
    translations: list[str],
    *references: list[str],
    language: str = "de",
    **more: Any,
) -> list[str]:
    return cautions("sys.de", translations, references, language=language, **more)


def tokenised(text: str) -> str:
    for mark in ",.:!?()":
        text = text.replace(mark, f" {mark} ")
    return " ".join(text.split())


@pytest.mark.parametrize("language", RAW)
@pytest.mark.parametrize("other", RAW)
def test_raw_text_of_any_language_is_accused_of_nothing(language: str, other: str) -> None:
    texts, sources = RAW[language], RAW[other]
    more: dict[str, Any] = {} if language == other else {"sources": sources}
    assert told(texts, texts, language=language, source_language="xx", **more) == []


def test_korean_and_thai_are_warned_of_the_tokenizer_alone() -> None:
    assert told(KOREAN, KOREAN, language="ko", config=QUIET) == []
    assert told(THAI, THAI, language="th", config=QUIET) == []


@pytest.mark.parametrize("text", [*ENGLISH[:1], *FRENCH[:1], *CHINESE[:1], "Well ... 5 .NET , .5"])
def test_raw_lines_have_no_signs_of_tokens(text: str) -> None:
    assert [sign.what for sign in signs_of_tokens([text.replace(" , ", " ")])] == []


@given(st.lists(st.sampled_from([*ENGLISH[:3], *FRENCH[:3], *GERMAN[:3], *CHINESE[:3], "", " "])))
def test_any_mixture_of_raw_lines_has_no_signs_of_tokens(texts: list[str]) -> None:
    assert signs_of_tokens(texts) == []


@pytest.mark.parametrize(
    ("texts", "sign"),
    [
        ([tokenised(text) for text in ENGLISH], "space before commas"),
        ([text.replace("，", " ， ").replace("。", " 。") for text in CHINESE], "space before"),
        ([" ".join(text) for text in JAPANESE], "between Chinese or Japanese"),
        ([f"▁{text}".replace(" ", " ▁") for text in GERMAN], "subword marks"),
        ([text.replace("alte", "al@@ te") for text in GERMAN], "subword marks"),
        ([text.replace("Paris", "l &apos; ami") for text in FRENCH], "escapes of Moses"),
        ([text.replace("Mann", "Geh @-@ weg") for text in GERMAN], "escapes of Moses"),
    ],
)
def test_tokenised_text_is_accused_wherever_it_is(texts: list[str], sign: str) -> None:
    ours = [line for line in told(texts, GERMAN, config=QUIET) if sign in line]
    theirs = [line for line in told(GERMAN, texts, config=QUIET) if sign in line]
    assert len(ours) == len(theirs) == 1
    assert ours[0].startswith("sys.de looks tokenised")
    assert theirs[0].startswith("the reference looks tokenised")
    assert "as in line 1;" in ours[0]


def test_a_few_odd_lines_are_no_tokenised_text() -> None:
    texts = [*GERMAN[:118], tokenised(GERMAN[118]), "Kauf &quot;das&quot;"]
    assert told(texts, GERMAN) == []
    # Of what hardly any text has, few lines are enough.
    marked = [*GERMAN[:116], *(f"▁{text}" for text in GERMAN[116:])]
    assert "4 lines, as in line 117" in told(marked, GERMAN)[0]


def test_the_second_reference_is_named() -> None:
    found = told(GERMAN, GERMAN, [tokenised(text) for text in GERMAN])
    assert [line.partition(" looks")[0] for line in found] == ["reference 2"]


def lowered(texts: list[str]) -> list[str]:
    return [text.lower() for text in texts]


def test_lower_cased_text_is_accused_unless_the_references_are_so_too() -> None:
    assert ["sys.de looks lower-cased" in line for line in told(lowered(GERMAN), GERMAN)] == [True]
    found = told(lowered(GERMAN), lowered(GERMAN))
    assert [line.partition(":")[0] for line in found] == ["the reference looks lower-cased"]
    assert "the reference" in told(GERMAN, lowered(GERMAN))[0]


def test_scripts_without_case_and_a_few_letters_have_no_share_of_capitals() -> None:
    assert capitals(CHINESE) is capitals(THAI) is capitals(GEORGIAN) is None
    assert capitals(["ja", "nein"]) is None
    assert capitals(["a" * 150 + "A" * 50]) == pytest.approx(1 / 4)


def test_text_in_the_wrong_script_is_accused() -> None:
    found = told(ENGLISH, CHINESE, language="zh")
    assert found[0].startswith("sys.de is not in the script of language zh in 120 lines")
    assert "the reference is not in the script" in told(CHINESE, ENGLISH, language="zh")[0]
    assert told(CHINESE, CHINESE, language="xx", config=QUIET) == []


def test_a_share_that_references_have_too_is_told_of_these_alone() -> None:
    mixed = [*CHINESE[:60], *ENGLISH[:60]]
    found = told(mixed, mixed, language="zh")
    assert [line.partition(" is not")[0] for line in found] == ["the reference"]


def test_a_few_lines_in_another_script_are_fine() -> None:
    assert told([*CHINESE[:115], *["OK"] * 5], CHINESE, language="zh") == []


def test_translations_in_the_language_of_the_source_are_accused() -> None:
    found = told(ENGLISH, GERMAN, sources=ENGLISH, source_language="en")
    assert "sys.de looks written in the language of the source, en, in 120 lines" in found[0]
    # Not only where they are copies.
    turned = ENGLISH[60:] + ENGLISH[:60]
    assert "language of the source" in told(turned, GERMAN, sources=ENGLISH)[0]
    assert told(GERMAN, GERMAN, source_language="de")[0].startswith("source and target language")


@pytest.mark.parametrize(
    ("language", "tokenizer", "better"),
    [
        ("zh", "13a", "zh"),
        ("zh-TW", "intl", "zh"),
        ("ja", "13a", "ja-mecab"),
        ("ja", "zh", "ja-mecab"),
        ("ko", "13a", "ko-mecab"),
        ("th", None, "flores200 or char"),
        ("de", "zh", "13a"),
        ("de", "char", "13a"),
        ("de", "none", "13a"),
    ],
)
def test_a_tokenizer_of_another_language_is_named_with_a_better_one(
    language: str, tokenizer: str | None, better: str
) -> None:
    texts = {"zh": CHINESE, "ja": JAPANESE, "ko": KOREAN, "th": THAI, "de": GERMAN}[language[:2]]
    config = MetricsConfig(bleu=BleuConfig(tokenize=tokenizer))
    found = told(texts, texts, language=language, config=config)
    assert len(found) == 1
    assert f"metrics.bleu.tokenize={better}" in found[0]
    without = MetricsConfig(names=["chrf"], bleu=config.bleu)
    assert told(texts, texts, language=language, config=without) == []


@pytest.mark.parametrize(
    ("language", "tokenizer"),
    [("zh", "char"), ("ja", "flores200"), ("de", "intl"), ("de", None), ("zh", None), ("ko", None)],
)
def test_a_tokenizer_that_fits_is_not_named(language: str, tokenizer: str | None) -> None:
    texts = {"zh": CHINESE, "ja": JAPANESE, "de": GERMAN, "ko": KOREAN}[language]
    config = MetricsConfig(bleu=BleuConfig(tokenize=tokenizer))
    assert told(texts, texts, language=language, config=config) == []


def test_references_and_sources_seen_in_training_are_counted() -> None:
    keys = [f"deraltemannnummer{i}gehtnachparis{i}kmesistspätlos" for i in range(2)]
    training = TrainingText(Counter(), 1, 1, frozenset(), frozenset(keys))
    found = told(GERMAN, GERMAN, training=training, sources=ENGLISH)
    assert len(found) == 1
    assert "2 of 120 references of the test set (1.7%) occur in the training text" in found[0]
    assert told(GERMAN, FRENCH, training=training, sources=ENGLISH) == []
    both = TrainingText(Counter(), 1, 1, frozenset(keys), frozenset(keys))
    assert len(told(GERMAN, GERMAN, training=both, sources=GERMAN)) == 2


def test_under_a_hundredth_seen_in_training_is_not_worth_a_word() -> None:
    key = "deraltemannnummer0gehtnachparis0kmesistspätlos"
    training = TrainingText(Counter(), 1, 1, frozenset([key]), frozenset([key]))
    assert told(GERMAN, GERMAN, training=training, sources=ENGLISH) == []
    assert len(told(GERMAN[:100], GERMAN[:100], training=training)) == 1


def test_few_lines_and_double_lines_are_told() -> None:
    assert told(GERMAN[:100], GERMAN[:100]) == []
    assert "has 99 lines; scores of fewer than 100" in told(GERMAN[:99], GERMAN[:99])[0]
    assert "has 1 line;" in told(GERMAN[:1], GERMAN[:1])[0]
    double = [*GERMAN[:110], *GERMAN[:10]]
    assert "10 lines that are there before" in told(double, double)[0]
    assert told(double, double, sources=ENGLISH) == []


def test_empty_references_and_translations_are_told() -> None:
    holes = ["", " ", *GERMAN[2:]]
    assert (
        "the reference of news is empty in 2 lines, as in line 1"
        in told(GERMAN, holes, test_set="news")[0]
    )
    assert "sys.de is empty in 2 lines" in told(holes, GERMAN)[0]
    assert told(["", *GERMAN[1:]], GERMAN) == []
    assert not any("sys.de is empty" in line for line in told(holes, holes))


def test_a_mostly_empty_stream_of_references_is_told_once() -> None:
    sparse = [*GERMAN[:40], *[""] * 80]
    found = told(GERMAN, GERMAN, sparse)
    assert len(found) == 1
    assert "reference 2 of the test set is empty in 80 of 120 lines" in found[0]


def test_each_caution_is_one_line() -> None:
    texts = [f"▁{tokenised(text)}".lower() for text in ENGLISH[:50]] + [""] * 9
    found = told(texts, [*CHINESE[:58], ""], sources=texts, language="zh", source_language="zh")
    assert len(found) >= 7
    assert not any("\n" in line for line in found)
    assert len(set(found)) == len(found)


BLEU = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.5.1"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (BLEU, None),
        ("nrefs:1|bs:1000|seed:12345|case:mixed|eff:no|tok:13a|smooth:exp|version:2.5.1", None),
        ("nrefs:1|ar:10000|seed:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.5.1", None),
        (BLEU.replace("13a", "intl"), ["tok", "13a for a", "intl for b", "cannot be compared"]),
        (BLEU.replace("mixed", "lc"), ["case", "lc for b"]),
        (BLEU.replace("nrefs:1", "nrefs:2"), ["nrefs", "2 for b"]),
        (BLEU.replace("eff:no|", ""), ["eff", "none for b"]),
        (BLEU.replace("2.5.1", "2.6.0"), ["version", "2.6.0 for b", "may differ"]),
        (f"{BLEU}|model.ckpt", ["the model", "model.ckpt for b"]),
    ],
)
def test_signatures_differ_in_what_changes_a_score(other: str, words: list[str] | None) -> None:
    found = differing_signatures({"a": BLEU, "b": other})
    assert len(found) == (words is not None)
    assert all(word in found[0] for word in words or [])


def test_one_signature_or_none_differs_from_nothing() -> None:
    assert differing_signatures({}) == differing_signatures({"a": BLEU}) == []
