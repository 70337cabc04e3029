"""Word alignments read from attention."""

import itertools
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from transformer.config import TextNormalization, TokenizerConfig, TokenizerKind
from transformer.text.alignment import read_links, word_starts
from transformer.text.tokenizer import EOS_ID, UNK_ID, Tokenizer, train_tokenizers
from transformer.translation.alignment import format_alignment, word_links, written_word_starts

KINDS = pytest.mark.parametrize("kind", ["bpe", "char", "unigram"])
WORDS = ["".join(word) for word in itertools.permutations("abcdefgh", 3)]


@cache
def tokenizer(kind: str, *symbols: str, byte_fallback: bool = True) -> Tokenizer:
    pairs = [(" ".join(WORDS[i::9]), " ".join(WORDS[i::7]) + " i j k l") for i in range(9)]
    config = TokenizerConfig(
        kind=TokenizerKind(kind),
        vocab_size=(280 if kind == "char" else 320) - 256 * (not byte_fallback),
        normalization=TextNormalization.identity,
        user_symbols=list(symbols),
        byte_fallback=byte_fallback,
    )
    return train_tokenizers(pairs, config).target


def ids(tokens: Tokenizer, *pieces: str) -> list[int]:
    return [tokens._processor.piece_to_id(piece) for piece in pieces]


def words_of(tokens: Tokenizer, output: list[int]) -> list[list[str]]:
    """The pieces of each word of `output`."""
    (starts,) = written_word_starts(tokens.model, [output])
    return [tokens.pieces(output[start:end]) for start, end in itertools.pairwise(starts)]


@KINDS
@settings(max_examples=50)
@given(data=st.data())
def test_any_pieces_are_shared_out_among_the_words_they_spell(
    kind: str, data: st.DataObject
) -> None:
    tokens = tokenizer(kind, "<x>", "a\u2581b")
    anything = st.integers(0, tokens.vocab_size - 1)
    letters = st.sampled_from(ids(tokens, "\u2581", "a", "b", "<x>", "a\u2581b", "<0xE6>"))
    output = data.draw(st.lists(st.one_of(anything, letters), max_size=25))
    (starts,) = written_word_starts(tokens.model, [output])
    (text,) = tokens.decode([output])
    assert len(starts) == len(text.split()) + 1
    assert starts == sorted(starts)
    assert starts[0] == 0
    assert starts[-1] <= len(output)
    for number, place in enumerate(starts[1:], start=1):
        # What is written up to the end of a word's pieces holds that word as it is, or more.
        (written,) = tokens.decode([output[:place]])
        assert len(written.split()) >= number or "\ufffd" in text


@KINDS
@settings(max_examples=50)
@given(line=st.text(st.sampled_from("abcdefgh \u3000漢é😀\r"), max_size=25))
def test_pieces_of_a_line_as_it_is_encoded_belong_to_the_words_of_the_line(
    kind: str, line: str
) -> None:
    tokens = tokenizer(kind)
    line = " ".join(line.strip().split(" "))
    found = list(written_word_starts(tokens.model, tokens.encode([line])))
    assert found == list(word_starts(tokens.model, [line if line.strip() else ""]))


EXAMPLES = [
    (["▁", "a", "b", "▁", "c"], [["▁", "a", "b"], ["▁", "c"]]),
    (["a", "b", "▁", "c", "▁"], [["a", "b"], ["▁", "c"]]),
    (["▁", "▁", "a"], [["▁", "▁", "a"]]),
    (["<0xE6>", "<0xBC>", "<0xA2>", "▁", "a"], [["<0xE6>", "<0xBC>", "<0xA2>"], ["▁", "a"]]),
    (["a", "<0x20>", "b"], [["a"], ["<0x20>", "b"]]),
    (["a", "<0x0A>", "b"], [["a"], ["<0x0A>", "b"]]),
    (["a", "<0xE6>", "b"], [["a", "<0xE6>", "b"]]),
    (["▁", "<x>", "a", "▁", "<x>"], [["▁", "<x>", "a"], ["▁", "<x>"]]),
    (["a▁b", "c"], [["a▁b"], ["c"]]),
    (["a▁b", "▁", "c"], [["a▁b"], [], ["▁", "c"]]),
    ([], []),
    (["▁"], []),
]


@pytest.mark.parametrize(("pieces", "expected"), EXAMPLES)
def test_pieces_belong_to_words(pieces: list[str], expected: list[list[str]]) -> None:
    tokens = tokenizer("char", "<x>", "a\u2581b")
    assert words_of(tokens, ids(tokens, *pieces)) == expected


def test_an_unknown_piece_is_a_word() -> None:
    tokens = tokenizer("char", byte_fallback=False)
    a = ids(tokens, "a")[0]
    assert words_of(tokens, [a, UNK_ID, a]) == [["a"], ["<unk>"], ["a"]]
    assert tokens.decode([[a, UNK_ID, a]]) == ["a \u2047 a"]


def test_many_outputs_are_read_together() -> None:
    tokens = tokenizer("char")
    outputs = [ids(tokens, "a", "▁", "b"), [], [EOS_ID], ids(tokens, "c")]
    assert list(written_word_starts(tokens.model, outputs)) == [[0, 1, 3], [0], [0], [0, 1]]
    assert list(written_word_starts(tokens.model, [])) == []


def plain_links(
    attention: list[list[float]], source: list[int], target: list[int]
) -> list[tuple[int, int]]:
    links = []
    for j, (top, bottom) in enumerate(itertools.pairwise(target)):
        sums = {
            i: sum(attention[t][s] for t in range(top, bottom) for s in range(left, right))
            for i, (left, right) in enumerate(itertools.pairwise(source))
            if left < right
        }
        if top < bottom and sums:
            links.append((max(sums, key=lambda i: (sums[i], -i)), j))
    return links


def draw_starts(data: st.DataObject, n_pieces: int) -> list[int]:
    return [0, *sorted(data.draw(st.lists(st.integers(0, n_pieces), max_size=6)))]


@settings(max_examples=60)
@given(st.data(), st.integers(1, 8), st.integers(1, 8))
def test_each_target_word_is_linked_with_the_source_word_it_looks_at_most(
    data: st.DataObject, T: int, S: int
) -> None:
    # Sums of these are exact, and often equal.
    part = st.integers(0, 3).map(lambda quarters: quarters / 4)
    attention = data.draw(st.lists(st.lists(part, min_size=S, max_size=S), min_size=T, max_size=T))
    source, target = draw_starts(data, S), draw_starts(data, T)
    found = word_links(torch.tensor(attention), source, target)
    assert found == plain_links(attention, source, target)


def looks(*rows: list[float]) -> Tensor:
    return torch.tensor(rows)


def test_pieces_of_a_word_look_together() -> None:
    # The second word's three pieces look at word 0 once very hard, at word 1 twice.
    attention = looks([0.9, 0.1, 0], [1.0, 0, 0], [0.3, 0.7, 0], [0.3, 0.7, 0], [0, 0, 1])
    assert word_links(attention, [0, 1, 2], [0, 1, 4]) == [(0, 0), (0, 1)]
    assert word_links(attention, [0, 1, 2], [0, 2, 4]) == [(0, 0), (1, 1)]
    # Two pieces of the source together outweigh a third.
    assert word_links(looks([0.3, 0.3, 0.4]), [0, 2, 3], [0, 1]) == [(0, 0)]


def test_eos_of_the_source_is_linked_with_nothing() -> None:
    assert word_links(looks([0.1, 0.2, 0.7], [0, 0, 1]), [0, 1, 2], [0, 1]) == [(1, 0)]


def test_of_equal_words_the_first_is_linked() -> None:
    assert word_links(looks([0.25, 0.25, 0.5, 0.0]), [0, 1, 2, 3], [0, 1]) == [(2, 0)]
    assert word_links(looks([0.25, 0.25, 0.25, 0.25]), [0, 1, 2, 3], [0, 1]) == [(0, 0)]


def test_a_word_without_pieces_has_no_link() -> None:
    assert word_links(looks([0.0, 0.0]), [0, 0, 1], [0, 0, 1]) == [(1, 1)]
    assert word_links(looks([1.0]), [0], [0]) == []
    assert word_links(looks([1.0]), [0], [0, 1]) == []


@given(st.sets(st.tuples(st.integers(0, 99), st.integers(0, 99))))
def test_links_are_read_as_they_were_written(links: set[tuple[int, int]]) -> None:
    assert read_links(format_alignment(sorted(links))) == sorted(links)
    assert format_alignment([(0, 0), (1, 2)]) == "0-0 1-2"
