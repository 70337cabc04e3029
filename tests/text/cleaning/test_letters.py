"""Shares of letters and of scripts."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.text.cleaning.letters import enough_letters, mostly_of, script_of


@given(st.text(), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_letters_are_counted_with_their_marks(text: str, least: float) -> None:
    signs = [c for c in text if not c.isspace()]
    letters = [c for c in signs if unicodedata.category(c)[0] in "LM" or c in "\u200c\u200d〇"]
    assert enough_letters(least)(text) == (len(letters) >= least * len(signs))


def test_vowel_signs_make_no_text_poor_in_letters() -> None:
    assert enough_letters(0.9)("हिन्दी में लिखा हुआ")


@pytest.mark.parametrize(
    ("letter", "script"),
    [
        ("a", "Latn"),
        ("Ａ", "Latn"),
        ("ж", "Cyrl"),
        ("ω", "Grek"),
        ("中", "Hani"),
        ("々", "Hani"),
        ("あ", "Hira"),
        ("ｱ", "Kana"),
        ("ー", "Kana"),
        ("한", "Hang"),
        ("ع", "Arab"),
        ("ก", "Thai"),
        ("ク", "Kana"),
        ("א", "Hebr"),
        ("क", "Deva"),
        ("ა", "Geor"),
        ("µ", ""),
        ("ʼ", ""),
        ("𝐀", ""),
    ],
)
def test_a_letter_is_of_its_script(letter: str, script: str) -> None:
    assert script_of(letter) == script


@pytest.mark.parametrize(
    ("text", "scripts", "fits"),
    [
        ("Он сказал: OK", {"Cyrl"}, True),
        ("He said да", {"Cyrl"}, False),
        ("He said да", {"Latn"}, True),
        ("Größe", {"Latn"}, True),
        ("2013 … 15 %", {"Cyrl"}, True),
        ("", {"Cyrl"}, True),
        ("abдв", {"Cyrl"}, True),
        ("abcдв", {"Cyrl"}, False),
        ("我用Twitter吧", {"Hani"}, True),
        ("我用Twitter", {"Hani"}, False),
        ("私はＴＶを見る", {"Hani", "Hira", "Kana"}, True),
        ("Tom 说", {"Latn"}, True),
        ("Tom 说了", {"Latn"}, False),
    ],
)
def test_most_letters_must_be_of_the_scripts(text: str, scripts: set[str], fits: bool) -> None:
    assert mostly_of(frozenset(scripts))(text) == fits
