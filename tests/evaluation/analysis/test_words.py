"""Words of text in any script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.evaluation.analysis.words import folded, is_single, parts, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" - … ", []),
        ('"Hello," she said.', ["hello", "she", "said"]),
        ("It’s l'homme-là !", ["it's", "l'homme-là"]),
        ("我用iPhone。你呢？", ["我", "用", "iphone", "你", "呢"]),
        ("カメラ、ビデオ", ["カ", "メ", "ラ", "ビ", "デ", "オ"]),
        ("हिन्दी।", ["हिन्दी"]),
        ("나는 학교에 간다.", ["나는", "학교에", "간다"]),
        ("3.5 %", ["3.5"]),
    ],
)
def test_words_stand_between_spaces_or_are_characters(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text())
def test_no_word_is_empty_or_has_a_space(text: str) -> None:
    assert all(word and not word.isspace() and len(word.split()) == 1 for word in words(text))


@given(st.text())
def test_parts_folded_later_are_the_words(text: str) -> None:
    assert [word for word in map(folded, parts(text)) if word] == words(text)


@given(st.text(), st.text())
def test_words_of_two_lines_are_those_of_each(first: str, second: str) -> None:
    assert words(f"{first}\n{second}") == words(first) + words(second)


def test_single_characters_are_those_of_scripts_without_spaces() -> None:
    assert [is_single(word) for word in ("我", "カ", "ก", "a", "나", "我们", "7")] == [
        *([True] * 3),
        *([False] * 4),
    ]
