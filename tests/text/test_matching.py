"""Keys see through how a text is written, and the index finds what their equality finds."""

import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.text.matching import LeakIndex, match_key, near_key

# Combining marks, letters that grow when folded or normalised, halves of syllables, wide forms.
HARD = st.sampled_from(
    [
        *list("aAbß ., 1９٣̣́ͅﬁﬃİıſǅΐŉ½²Ⅳ㎏ﷺ각각ががﾞＡ中々〇ー！，"),
        "é",
        "\u200b",
        "️",
        "❤",
        "कि",
        "̈́",
        "Ω",
        "と",
        "й",
        "й",
    ]
)
TEXTS = st.lists(HARD, max_size=50).map("".join) | st.text(max_size=60)


@given(TEXTS)
def test_a_key_does_not_see_case_spaces_and_punctuation(text: str) -> None:
    key = match_key(text)
    assert key == match_key(f" {text} … !")
    assert all(unicodedata.category(c)[0] in "LMN" for c in key)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert match_key(unicodedata.normalize(form, text)) == key


@given(st.text(st.characters(codec="ascii")))
def test_the_short_way_of_ascii_leads_to_the_same_key(text: str) -> None:
    longer = match_key(text + "ж")
    assert match_key(text) == longer[:-1]
    assert near_key(text) == near_key(text + "ж")[:-1]
    assert match_key(text.upper()) == match_key(text)


@given(TEXTS)
def test_a_near_key_does_not_see_digits_either(text: str) -> None:
    zeros = "".join("0" if c.isdecimal() else c for c in match_key(text))
    assert near_key(text) == zeros


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("“Straße”, ﬁve ＡＢＣ!", "strassefiveabc"),
        ("हिन्दी में", "हिन्दीमें"),
        ("它在二〇一三年。", "它在二〇一三年"),
        ("❤\ufe0f — …", ""),
        ("snake_case-2", "snakecase2"),
    ],
)
def test_a_key_is_letters_marks_and_numbers(text: str, key: str) -> None:
    assert match_key(text) == key


@given(st.lists(TEXTS, min_size=1, max_size=6), st.data())
def test_the_index_finds_what_equal_keys_find(kept: list[str], data: st.DataObject) -> None:
    """Whatever is looked at first: also where a text of the sets begins or ends another."""
    base = st.sampled_from(kept)
    texts = data.draw(
        st.lists(TEXTS | base | st.builds(str.__add__, base, TEXTS) | base.map(str.upper))
    )
    index = LeakIndex([("test", kept, kept[::-1])])
    keys = {match_key(text) for text in kept} - {""}
    found = index.find(texts, texts)
    assert found.tolist() == [3 if match_key(text) in keys else 0 for text in texts]


@given(TEXTS, st.integers(0, 60), TEXTS)
def test_a_long_text_is_found_by_another_spelling_of_it(text: str, at: int, mark: str) -> None:
    long = text + "Ä lange Zeit, bevor die Straße кончается здесь 中文也可以"
    index = LeakIndex([("test", [long], ["x"])])
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        other = unicodedata.normalize(form, long)
        assert index.find([other[:at] + other[at:] + "!"], ["y"]).tolist() == [1]
    changed = long[:at] + mark + long[at:]
    expected = int(match_key(changed) == match_key(long))
    assert index.find([changed], [""]).tolist() == [expected]


def test_a_letter_that_begins_where_the_first_look_ends_is_seen_whole() -> None:
    for n in range(10, 30):
        text = "x" * 13 + "." * (n - 13) + "é" + "ж" * 60
        index = LeakIndex([("test", [text], [""])])
        assert index.find([unicodedata.normalize("NFD", text)], [""]).tolist() == [1]


def test_each_side_is_looked_for_on_its_own_side() -> None:
    index = LeakIndex([("a", ["One."], ["Eins."]), ("b", ["Two", "One"], ["Zwei", "Uno"])])
    sources, targets = ["one", "x", "ONE!", "eins", ""], ["x", "zwei", "eins", "one", "…"]
    assert index.find(sources, targets).tolist() == [1, 2, 3, 0, 0]
    assert index.names("one", "x") == ["a", "b"]
    assert index.names("x", "uno") == ["b"]
    assert index.names("two", "eins") == ["b", "a"]
    assert index.names("", "…") == []


def test_an_index_may_go_to_another_process() -> None:
    index = pickle.loads(pickle.dumps(LeakIndex([("a", ["Größe"], ["size"])])))
    assert index.find(["größe", "große", "x"], ["x", "x", "Size"]).tolist() == [1, 0, 2]
    assert index.names("größe", "x") == ["a"]


def test_an_index_of_nothing_finds_nothing() -> None:
    assert LeakIndex([]).find(["a", ""], ["b", ""]).tolist() == [0, 0]
