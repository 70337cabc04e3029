from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.errors import InputError
from transformer.translation.terminology import Terminology, read_terminology


def read(folder: Path, text: str) -> Terminology:
    file = folder / "terms.tsv"
    file.write_text(text, encoding="utf-8")
    return read_terminology(str(file))


def test_blank_lines_and_comments_are_no_terms(tmp_path: Path) -> None:
    terminology = read(tmp_path, "# a comment\n\ndog\tHund\n  \nred car\troter Wagen\r\n")
    assert len(terminology) == 2
    assert terminology.terms_in("a red car, a dog") == ["roter Wagen", "Hund"]


def test_a_file_without_terms_asks_for_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "").terms_in("a dog") == []


@pytest.mark.parametrize("line", ["dog", "dog\t", "\tHund", "dog\tHund\tn", "dog Hund"])
def test_a_line_of_other_than_two_fields_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(InputError, match=r"terms\.tsv, line 2: .* is no term"):
        read(tmp_path, f"cat\tKatze\n{line}\n")


def test_a_term_with_two_translations_is_named_with_both_lines(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 3: 'dog' .* 'Hund' in line 1"):
        read(tmp_path, "dog\tHund\n\ndog\tKöter\n")
    assert len(read(tmp_path, "dog\tHund\ndog\tHund\n")) == 1


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"terminology=.*none cannot be read"):
        read_terminology(str(tmp_path / "none"))


def test_a_term_is_asked_for_as_often_as_it_occurs() -> None:
    assert Terminology({"dog": "Hund"}).terms_in("a dog and a dog.") == ["Hund", "Hund"]


def test_of_terms_that_begin_together_the_longest_counts() -> None:
    terms = Terminology({"fire": "Feuer", "fire truck": "Löschzug", "truck": "Laster"})
    assert terms.terms_in("fire truck, truck, fire\u00a0truck") == [
        "Löschzug",
        "Laster",
        "Löschzug",
    ]


@pytest.mark.parametrize("text", ["dogs", "hotdog", "dog2", "dog_", "dógs", "dog\u0301"])
def test_letters_and_digits_next_to_a_term_break_it(text: str) -> None:
    assert Terminology({"dog": "Hund"}).terms_in(f"a {text} b") == []
    assert Terminology({"dog": "Hund"}).terms_in("a “dog”-like") == ["Hund"]


@pytest.mark.parametrize(
    ("text", "term"), [("我有猫了", "猫"), ("แมวดำ", "แมว"), ("ねこがいる", "ねこ")]
)
def test_scripts_without_spaces_have_terms_anywhere(text: str, term: str) -> None:
    assert Terminology({term: "cat"}).terms_in(text) == ["cat"]


def test_a_term_in_lower_case_begins_a_sentence_with_a_capital() -> None:
    terms = Terminology({"dog": "Hund", "NATO base": "Basis"})
    assert terms.terms_in("“Dog!” Dog bites. Dog DOG") == ["Hund", "Hund", "Hund"]
    assert terms.terms_in("A Dog") == []
    assert terms.terms_in("Nato base") == []


def test_an_exact_term_comes_before_a_capitalised_one() -> None:
    assert Terminology({"may": "darf", "May": "Mai"}).terms_in("May may") == ["Mai", "darf"]


@given(st.lists(st.sampled_from(["a", "b", "c", "ab"]), max_size=12), st.data())
def test_occurrences_are_those_of_a_plain_search_over_words(
    words: list[str], data: st.DataObject
) -> None:
    term = st.lists(st.sampled_from(["a", "b", "c", "ab"]), min_size=1, max_size=3).map(tuple)
    terms = data.draw(st.sets(term, min_size=1, max_size=5))
    expected, i = [], 0
    while i < len(words):
        n = next(
            (n for n in (3, 2, 1) if tuple(words[i : i + n]) in terms and i + n <= len(words)), 0
        )
        if n:
            expected.append("-".join(words[i : i + n]))
        i += n or 1
    terminology = Terminology({" ".join(term): "-".join(term) for term in terms})
    assert terminology.terms_in("  ".join(words)) == expected
