"""Word alignments, and the pieces that they link."""

import itertools
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.config import TextNormalization, TokenizerConfig, TokenizerKind
from transformer.errors import InputError
from transformer.text.alignment import check_alignment, piece_links, read_links, word_starts
from transformer.text.tokenizer import Tokenizer, Tokenizers, train_tokenizers

SPACES = " \t\u00a0\u3000\u2009\x1f\x85"
TEXT = st.text(
    st.one_of(
        st.sampled_from("abcdefghijkl"),
        st.sampled_from(SPACES),
        st.sampled_from("\u2581ﬁ½™é\u0301\u200b漢字😀\0\r"),
    ),
    max_size=30,
)
LINK = st.tuples(st.integers(0, 200), st.integers(0, 200))


@cache
def tokenizers(kind: str, normalization: str) -> Tokenizers:
    """Pieces of the letters a to l, so that all else is spelt in bytes."""
    words = ["".join(word) for word in itertools.permutations("abcdefgh", 3)]
    pairs = [(" ".join(words[i::9]), " ".join(words[i::7]) + " i j k l") for i in range(9)]
    config = TokenizerConfig(
        kind=TokenizerKind(kind),
        vocab_size=272 if kind == "char" else 320,
        normalization=TextNormalization(normalization),
    )
    return train_tokenizers(pairs, config)


def words_of_pieces(tokenizer: Tokenizer, line: str) -> list[list[str]]:
    """The pieces of each word of `line`."""
    (starts,) = word_starts(tokenizer.model, [line])
    (ids,) = tokenizer.encode([line])
    pieces = tokenizer.pieces(ids)
    return [pieces[start:stop] for start, stop in itertools.pairwise(starts)]


@given(st.lists(LINK, max_size=20), st.lists(st.sampled_from([" ", "  ", "\t"]), min_size=20))
def test_links_are_read_once_each_in_order(links: list[tuple[int, int]], gaps: list[str]) -> None:
    line = "".join(f"{i}-{j}{gap}" for (i, j), gap in zip(links, gaps, strict=False))
    assert read_links(line) == sorted(set(links))


@pytest.mark.parametrize("text", ["0", "0-", "-1", "0_1", "0--1", "a-b", "0-1-2", "²-0", "1.0-2"])
def test_what_is_no_link_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError, match=r"is no link; write .* as in 0-0 1-2$") as error:
        read_links(f"0-0 {text} 1-1")
    assert repr(text) in str(error.value)


@given(TEXT, TEXT, LINK)
def test_a_link_must_be_between_words_that_are_there(
    source: str, target: str, link: tuple[int, int]
) -> None:
    i, j = link
    if i < len(source.split()) and j < len(target.split()):
        check_alignment(f"{i}-{j}", source, target)
    else:
        with pytest.raises(InputError, match=f"{i}-{j} links (source|target) word"):
            check_alignment(f"{i}-{j}", source, target)


def test_an_error_says_which_word_is_not_there() -> None:
    check_alignment("1-2", "a b", "c d e")
    check_alignment("", "", "")
    with pytest.raises(InputError, match=r"^2-0 links source word 2, but that sentence has 2 "):
        check_alignment("0-0 2-0", "a b", "c d e")
    with pytest.raises(InputError, match=r"^0-3 links target word 3, but that sentence has 3 "):
        check_alignment("0-3", "a b", "c d e")


@pytest.mark.parametrize("kind", ["bpe", "char", "unigram"])
@given(line=TEXT)
def test_each_word_has_the_pieces_that_spell_it(kind: str, line: str) -> None:
    tokenizer = tokenizers(kind, "identity").source
    found = words_of_pieces(tokenizer, line)
    assert len(found) == len(line.split())
    for pieces, word in zip(found, line.split(), strict=True):
        spelt = tokenizer.decode([[tokenizer._processor.piece_to_id(piece) for piece in pieces]])[0]
        # A word's first piece may hold the space before it; line ends are decoded as spaces.
        assert spelt.replace("\u2581", " ").split() == word.replace("\u2581", " ").split()


@pytest.mark.parametrize("normalization", [rule.value for rule in TextNormalization])
@pytest.mark.parametrize("kind", ["bpe", "char", "unigram"])
@given(line=TEXT)
def test_words_share_out_all_pieces_up_to_the_last_word(
    kind: str, normalization: str, line: str
) -> None:
    tokenizer = tokenizers(kind, normalization).source
    (starts,) = word_starts(tokenizer.model, [line])
    (ids,) = tokenizer.encode([line])
    assert starts == sorted(starts)
    assert len(starts) == len(line.split()) + 1
    assert starts[0] == 0
    assert starts[-1] <= len(ids)
    if line.split() and line.rstrip() == line:
        assert starts[-1] == len(ids)


EXAMPLES = [
    ("identity", "ab  cd", [["▁", "a", "b"], ["▁", "c", "d"]]),
    ("identity", "ab\u3000c", [["▁", "a", "b"], ["<0xE3>", "<0x80>", "<0x80>", "c"]]),
    ("identity", "é b", [["▁", "<0xC3>", "<0xA9>"], ["▁", "b"]]),
    ("identity", "a ", [["▁", "a"]]),
    ("nfkc", "ﬁ ab", [["▁", "f", "i"], ["▁", "a", "b"]]),
    ("nfkc", "ab\u3000c", [["▁", "a", "b"], ["▁", "c"]]),
    ("nfkc", "e\u0301 b", [["▁", "<0xC3>", "<0xA9>"], ["▁", "b"]]),
    ("nmt_nfkc", "a\u200bb c", [["▁", "a", "▁", "b"], ["▁", "c"]]),
    ("nmt_nfkc", "a \x07", [["▁", "a"], []]),
]


@pytest.mark.parametrize(("normalization", "line", "expected"), EXAMPLES)
def test_pieces_follow_the_words_of_the_raw_line(
    normalization: str, line: str, expected: list[list[str]]
) -> None:
    assert words_of_pieces(tokenizers("char", normalization).source, line) == expected


@pytest.mark.parametrize("kind", ["bpe", "char"])
@given(data=st.data())
def test_all_pieces_of_linked_words_are_linked_and_no_others(
    kind: str, data: st.DataObject
) -> None:
    both = tokenizers(kind, "identity")
    word = st.text(st.sampled_from("abcdefgh漢"), min_size=1, max_size=6)
    words: Callable[[], list[str]] = lambda: data.draw(st.lists(word, min_size=1, max_size=5))  # noqa: E731
    source, target = words(), words()
    every = list(itertools.product(range(len(source)), range(len(target))))
    links = data.draw(st.lists(st.sampled_from(every)))
    line = " ".join(f"{i}-{j}" for i, j in links)
    (blocks,) = piece_links(both, [" ".join(source)], [" ".join(target)], [line])

    found: set[tuple[int, int]] = set()
    for t, t_stop, s, s_stop in zip(*[iter(blocks)] * 4, strict=True):
        block = set(itertools.product(range(t, t_stop), range(s, s_stop)))
        assert block
        assert not block & found
        found |= block
    sides = [
        [w for w, text in enumerate(side) for _ in both.source.encode([f" {text}"])[0]]
        for side in (source, target)
    ]
    expected = {
        (t, s) for s, i in enumerate(sides[0]) for t, j in enumerate(sides[1]) if (i, j) in links
    }
    assert found == expected


def test_a_word_of_which_nothing_is_left_has_no_links() -> None:
    both = tokenizers("char", "nmt_nfkc")
    (blocks,) = piece_links(both, ["a b \x07"], ["c d \x07"], ["0-0 1-2 2-1 2-2"])
    assert blocks == [0, 2, 0, 2]


def test_joint_and_separate_tokenizers_each_cut_their_own_side() -> None:
    both = Tokenizers(tokenizers("char", "identity").source, tokenizers("bpe", "identity").source)
    (blocks,) = piece_links(both, ["abc d"], ["abc d"], ["0-0"])
    n_pieces = len(both.target.encode(["abc"])[0])
    assert n_pieces < 4
    assert blocks == [0, n_pieces, 0, 4]
