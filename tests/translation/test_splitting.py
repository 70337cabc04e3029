from collections.abc import Sequence
from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from transformer.text.cleaning import has_spaces
from transformer.translation.splitting import join, split

TEXT = st.text(st.sampled_from("abZ9 .,;!?)”–—。、中\u0301"), max_size=60)


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def characters(texts: Sequence[str]) -> list[int]:
    """As a tokenizer with a mark in front of each text, and four bytes for one character."""
    return [len(text) + 3 * text.count("中") + 1 if text.strip() else 0 for text in texts]


@given(TEXT, st.integers(1, 12))
def test_parts_are_short_enough_or_single_characters(source: str, most: int) -> None:
    parts = split(source, characters, most)
    for part, size in zip(parts, characters(parts), strict=True):
        assert size <= most or len(part) == 1


@given(TEXT, st.integers(1, 12))
def test_parts_hold_all_of_the_line_but_white_space(source: str, most: int) -> None:
    parts = split(source, characters, most)
    assert "".join("".join(parts).split()) == "".join(source.split())


@given(TEXT)
def test_a_line_that_is_short_enough_stays_as_it_is(source: str) -> None:
    assert split(source, characters, max(1, characters([source])[0])) == [source]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.integers(4, 9))
def test_no_cut_between_sentences_has_fewer_parts_or_a_smaller_largest(
    sizes: list[int], most: int
) -> None:
    sentences = [" ".join(["ab"] * size) + "." for size in sizes]
    found = split(" ".join(sentences), words, most)
    n = len(found)
    best = []
    for n_parts in range(1, n + 1):
        for inner in combinations(range(1, len(sizes)), n_parts - 1):
            borders = [0, *inner, len(sizes)]
            largest = max(sum(sizes[begin:end]) for begin, end in pairwise(borders))
            if largest <= most:
                best.append((n_parts, largest))
    assert (n, max(words(found))) == min(best)


def test_sentences_part_before_clauses_and_clauses_before_words() -> None:
    source = "One two. Three four, five six seven eight; nine ten."
    assert split(source, words, 8) == ["One two.", "Three four, five six seven eight; nine ten."]
    assert split(source, words, 6) == [
        "One two.",
        "Three four, five six seven eight;",
        "nine ten.",
    ]
    assert split("a b c d e", words, 3) == ["a b c", "d e"]


def test_initials_numbers_and_decimal_marks_end_no_part() -> None:
    for source in ("J. Smith came", "on 12. May it", "3.5 and more", "at 12:30 or", "1,000 men"):
        begin = source.split()[0] + " " + source.split()[1]
        assert split(source + ". End", words, 4)[0].startswith(begin)


def test_what_closes_a_quotation_stays_with_its_sentence() -> None:
    assert split('He said "yes." She did.', words, 3) == ['He said "yes."', "She did."]


def test_marks_of_scripts_without_spaces_part_without_them() -> None:
    def by_character(texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]

    assert split("他说「是。」她走了。", by_character, 6) == ["他说「是。」", "她走了。"]
    assert split("今天很热，我们去海边", by_character, 6) == ["今天很热，", "我们去海边"]
    assert split("今天很热我们去海边", by_character, 4) == ["今天很", "热我们", "去海边"]


def test_a_very_long_word_takes_no_time_with_the_square_of_its_length() -> None:
    for text in ("a" * 200_000, "." * 200_000, "!)" * 100_000, "," * 200_000):
        parts = split(text, lambda texts: [len(text) for text in texts], 256)
        assert "".join(parts) == text
        assert max(map(len, parts)) <= 256


def test_translations_are_joined_in_the_way_of_the_language() -> None:
    assert join(["Ja.", "", "Gut."], "de-AT") == "Ja. Gut."
    for language in ("zh", "zh_Hans", "cmn", "ja", "th-TH"):
        assert not has_spaces(language)
        assert join(["是。", "好。"], language) == "是。好。"
