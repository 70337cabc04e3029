"""Properties of what is marked in a translation."""

from hypothesis import given
from hypothesis import strategies as st

from transformer.pictures.difference import Span, differences


def differing(spans: list[Span]) -> str:
    return "|".join(span.text for span in spans if span.differs)


@given(st.text(), st.text(), st.booleans())
def test_the_spans_are_the_texts(first: str, second: str, by_characters: bool) -> None:
    found = differences(first, second, by_characters=by_characters)
    assert ["".join(span.text for span in spans) for spans in found] == [first, second]


@given(st.text(), st.booleans())
def test_a_text_does_not_differ_from_itself(text: str, by_characters: bool) -> None:
    first, second = differences(text, text, by_characters=by_characters)
    assert differing(first) == differing(second) == ""


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("xyz")))
def test_texts_without_a_common_word_differ_wholly(first: list[str], second: list[str]) -> None:
    found = differences(" ".join(first), " ".join(second))
    assert [differing(spans) for spans in found] == [" ".join(first), " ".join(second)]


def test_words_and_signs_that_differ_are_marked_in_both() -> None:
    translation, reference = differences("Das Haus ist rot.", "Das alte Haus war rot!")
    assert differing(translation) == "ist|."
    assert differing(reference) == "alte|war|!"


def test_space_between_two_words_that_differ_is_marked_with_them() -> None:
    translation, _ = differences("ein sehr altes Haus", "ein Haus")
    assert differing(translation) == "sehr altes"


def test_a_language_without_spaces_is_compared_by_characters() -> None:
    translation, reference = differences("我喜欢茶", "我喜欢咖啡", by_characters=True)
    assert (differing(translation), differing(reference)) == ("茶", "咖啡")
    whole, _ = differences("我喜欢茶", "我喜欢咖啡")
    assert differing(whole) == "我喜欢茶"
