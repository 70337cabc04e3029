"""What a model with tags and context reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.translation.conftest import MARKS, data_of
from transformer.config import DataConfig
from transformer.errors import InputError
from transformer.text.tokenizer import Tokenizers
from transformer.translation.sources import Sources, chosen_language, target_languages

DE, ZH, _, SEP = range(-4, 0)  # ids of MARKS, from the end of the vocabulary
PIECES = st.lists(st.integers(4, 99), max_size=6)


def marks(tokenizers: Tokenizers) -> list[int]:
    return tokenizers.source.ids(MARKS)


def test_marks_write_nothing_and_are_never_read_in_text(marked: Tokenizers) -> None:
    ids = marks(marked)
    assert ids == list(range(marked.source.vocab_size - 4, marked.source.vocab_size))
    (letters,) = marked.source.encode(["ab"])
    assert marked.source.decode([[ids[0], *letters[:2], ids[3], *letters[2:], ids[1]]]) == ["ab"]
    assert not {*marked.source.encode(["<2de> <sep> <bt>"])[0]} & {*ids}


def test_the_tag_comes_first_where_there_are_several_languages(marked: Tokenizers) -> None:
    ids = marks(marked)
    both, one = (Sources(marked, data_of(*each), 9) for each in (("de", "zh"), ("zh",)))
    assert both.read([7, 8], "de").ids == [ids[DE], 7, 8]
    assert both.read([7, 8], "zh").ids == [ids[ZH], 7, 8]
    assert both.read([7, 8], "zh").first == 1
    assert one.read([7, 8], "zh").ids == [7, 8]


def test_the_nearest_sentences_come_in_their_order(marked: Tokenizers) -> None:
    ids = marks(marked)
    sources = Sources(marked, data_of("de", "zh", source=2, target=1), 100)
    found = sources.read([7, 8], "zh", [[4], [5, 5], [6]])
    assert found.ids == [ids[ZH], 5, 5, ids[SEP], 6, ids[SEP], 7, 8]
    assert (found.first, found.n_sentences, found.n_before) == (6, 2, 2)
    assert found.length == 4
    assert sources.written([9], [[4], [5, 5], [6]], 2) == ([6, ids[SEP], 9], 2)
    assert sources.written([9], [[4]], 0) == ([9], 0)


@given(
    line=PIECES,
    before=st.lists(PIECES, max_size=5),
    most=st.integers(1, 20),
    source=st.integers(1, 4),
    target=st.integers(0, 4),
)
def test_as_many_sentences_as_fit_are_there(
    marked: Tokenizers,
    line: list[int],
    before: list[list[int]],
    most: int,
    source: int,
    target: int,
) -> None:
    target = min(source, target)
    sources = Sources(marked, data_of("de", "zh", source=source, target=target), most)
    found = sources.read(line, "de", before)
    de, _, _, separator = marks(marked)
    begin = found.ids[: found.first]
    assert found.ids[found.first :] == line
    assert begin[0] == de
    assert begin.count(separator) == found.n_sentences <= source
    assert found.n_sentences == 0 or len(found.ids) <= most
    kept = before[len(before) - found.n_sentences :]
    assert begin[1:] == [id_ for sentence in kept for id_ in (*sentence, separator)]
    assert all(kept)
    if found.n_sentences < min(source, len(before)):
        further = before[-1 - found.n_sentences]
        assert not further or len(found.ids) + len(further) + 1 > most
    translated = kept[-target:] if target else []
    assert found.length == len(line) + sum(len(sentence) + 1 for sentence in translated)


@pytest.mark.parametrize(("most", "n"), [(5, 0), (6, 1), (9, 1), (10, 2)])
def test_tag_sentences_and_line_have_the_most_pieces_together(
    marked: Tokenizers, most: int, n: int
) -> None:
    sources = Sources(marked, data_of("de", "zh", source=3, target=3), most)
    before = [[8, 8, 8], [9, 9]]
    assert sources.read([6, 7], "de", before).n_sentences == n
    alone, _ = sources.written([6, 7, 7], before, 3)
    assert alone.count(marks(marked)[SEP]) == n


def test_what_counts_of_an_output_is_behind_the_last_separator(marked: Tokenizers) -> None:
    separator = marks(marked)[SEP]
    alone, after = (Sources(marked, data_of("de", source=2, target=n), 9) for n in (0, 2))
    for tokens, begin in (([], 0), ([5, 6], 0), ([5, separator], 2), ([separator, 5, 6], 1)):
        assert after.own(tokens) == begin
        assert alone.own(tokens) == 0
    assert after.own([5, separator, 6, separator, 7]) == 4


@pytest.mark.parametrize(
    "data", [data_of("de", "zh"), data_of("de", source=1)], ids=["tags", "separator"]
)
def test_a_tokenizer_without_the_marks_is_an_error(
    tokenizers: Tokenizers, data: DataConfig
) -> None:
    with pytest.raises(InputError, match=r"has no piece <(2de|sep)>"):
        Sources(tokenizers, data, 9)


def test_a_language_is_chosen_or_the_only_one() -> None:
    two, one = (target_languages(data_of(*each)) for each in (("de", "zh"), ("de",)))
    assert chosen_language(None, one) == chosen_language("de", one) == "de"
    assert chosen_language("zh", two) == "zh"
    for asked, data, message in (
        (None, two, "the model translates into de, zh; give target_language=de, say"),
        ("fr", two, "target_language=fr, but the model translates into de, zh; give one of them"),
        ("zh", one, "target_language=zh, but the model translates into de alone"),
    ):
        with pytest.raises(InputError) as error:
            chosen_language(asked, data)
        assert str(error.value) == message
