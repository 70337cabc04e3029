"""Each rule drops what it is about, its limit itself kept, and nothing else."""

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.config import CleaningConfig, Duplicates
from transformer.text.cleaning.rules import asked, rules

OFF: dict[str, Any] = {"empty": False, "duplicates": Duplicates.none}
WORDS = st.lists(st.text("abß ", max_size=12), max_size=6).map(" ".join)


def dropped(
    pairs: list[tuple[str, str]], languages: tuple[str, str] = ("en", "de"), **settings: Any
) -> list[tuple[int, str]]:
    """Rows that the one rule asked for drops, and why."""
    (rule,) = rules(CleaningConfig(**{**OFF, **settings}), languages, warn=False)
    return list(rule([source for source, _ in pairs], [target for _, target in pairs]))


def keeps(source: str, target: str, *languages: str, **settings: Any) -> bool:
    first, second = languages or ("en", "de")
    return not dropped([(source, target)], (first, second), **settings)


def test_a_pair_with_a_blank_side_is_empty() -> None:
    pairs = [("a", "b"), ("", "b"), ("a", " \u3000\t"), ("a", "b"), ("", "")]
    assert dropped(pairs, empty=True) == [(1, "empty"), (2, "empty"), (4, "empty")]
    assert dropped(pairs[:1], empty=True) == []


@given(st.text(), st.text())
def test_copies_are_the_same_but_for_case_and_spaces(source: str, target: str) -> None:
    same = source.casefold().split() == target.casefold().split()
    assert keeps(source, target, copies=True) == (not same)
    assert not keeps(source, f"  {source.upper()}\t".casefold(), copies=True) or (
        source.upper().casefold() != source.casefold()
    )


def test_copies_whose_first_characters_differ_in_case_are_found() -> None:
    for source, target in (("STRASSE a", "straße  A"), ("ﬁn", "FIN"), ("ß", "SS"), ("a b", "A B")):
        assert not keeps(source, target, copies=True)
    assert keeps("ab", "a b", copies=True)


@given(WORDS, WORDS, st.integers(1, 5), st.floats(1, 4))
def test_limits_on_words_and_characters_keep_what_reaches_them(
    source: str, target: str, limit: int, ratio: float
) -> None:
    words = [source.split(), target.split()]
    counts = [len(side) for side in words]
    sums = [sum(map(len, side)) for side in words]
    fewer, more = sorted(counts)
    fits = {
        "min_words": fewer >= limit,
        "max_words": more <= limit,
        "max_characters": max(len(source), len(target)) <= limit,
        "max_word_ratio": more <= ratio * max(fewer, 1),
        "min_word_length": all(s >= n * ratio for n, s in zip(counts, sums, strict=True)),
        "max_word_length": all(s <= n * ratio for n, s in zip(counts, sums, strict=True)),
    }
    for name, kept in fits.items():
        value = limit if name in {"min_words", "max_words", "max_characters"} else ratio
        settings: dict[str, Any] = {name: value}
        expected = [] if kept else [(0, name)]
        assert dropped([(source, target)], **settings) == expected
    both = [name for name in ("min_words", "max_word_ratio") if not fits[name]]
    assert dropped([(source, target)], min_words=limit, max_word_ratio=ratio) == [
        (0, name) for name in both[:1]
    ]


def test_rules_on_words_are_not_asked_of_languages_without_spaces() -> None:
    text, chinese = "one two three four", "一二三四五六七八九十"
    limits: list[dict[str, Any]] = [
        {"min_words": 2},
        {"max_word_ratio": 2.0},
        {"max_word_length": 8.0},
    ]
    for settings in limits:
        assert keeps(text, chinese, "en", "zh-TW", **settings)
        assert not keeps(text, chinese, "en", "ko", **settings)
        assert not keeps(text, chinese, "en", "vi", **settings)
    assert not keeps("one", chinese, "en", "ja", min_words=2)
    assert not keeps(text, chinese, "en", "zh", max_characters=9)


def test_either_side_with_few_letters_is_dropped() -> None:
    assert keeps("in 1999", "42", letters=0.0)
    assert keeps("in 99", "ja 42", letters=0.5)
    assert not keeps("in 1999", "ja", letters=0.5)
    assert not keeps("ja", "in 1999", letters=0.5)


def test_either_side_in_another_script_is_dropped() -> None:
    pairs = [("yes", "да"), ("да", "да"), ("yes", "yes"), ("1", "2")]
    assert dropped(pairs, ("en", "ru"), script=True) == [(1, "script"), (2, "script")]
    assert dropped(pairs, ("en", "sr"), script=True) == [(1, "script")]
    assert dropped(pairs, ("en", "sr-Cyrl"), script=True) == [(1, "script"), (2, "script")]


def test_pairs_whose_numbers_differ_are_dropped() -> None:
    assert dropped([("in 1999", "1999"), ("in 1999", "1998")], numbers=True) == [(1, "numbers")]


def test_either_side_in_another_language_is_dropped() -> None:
    pytest.importorskip("py3langid")
    english, german = "We walked along the river.", "Wir sind am Fluss entlang gegangen."
    pairs = [(english, german), (german, german), (english, english), (german, english)]
    assert dropped(pairs, language=True) == [(1, "language"), (2, "language"), (3, "language")]


@pytest.mark.parametrize("rule", ["script", "language"])
def test_of_an_unknown_language_one_warning_says_that_the_rule_is_off(
    rule: str, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("py3langid")
    config = CleaningConfig(**{**OFF, rule: True})
    with caplog.at_level(logging.WARNING):
        rules(config, ("qq", "qq"), warn=False)
        assert not caplog.messages
        (made,) = rules(config, ("qq", "qq"), warn=True)
    assert [f"cleaning.{rule}" in message for message in caplog.messages] == [True]
    assert "qq" in caplog.messages[0]
    assert list(made(["это русский текст"], ["这是中文的句子吧"])) == []


def test_names_of_the_rules_asked_for_come_in_the_order_of_the_settings() -> None:
    assert asked(CleaningConfig(**OFF)) == []
    config = CleaningConfig(
        copies=True, min_words=1, max_word_ratio=2.0, letters=0.1, script=True, language=True
    )
    names = ["empty", "copies", "min_words", "max_word_ratio", "letters", "script", "language"]
    assert asked(config) == names
