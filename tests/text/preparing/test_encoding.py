"""Rows of text as ids, with tags and context."""

from dataclasses import replace

import pytest

from transformer.config import SEPARATOR, ContextConfig, TokenizerConfig, TokenizerKind
from transformer.errors import InputError
from transformer.text.preparing.encoding import Encoded, Encoder
from transformer.text.ragged import Lists
from transformer.text.tags import with_tags
from transformer.text.tokenizer import Tokenizers, train_tokenizers

FIELDS = ("source", "target", "document")
TAGS = [SEPARATOR, "<2de>", "<bt>"]
SOURCES, TARGETS = ["aa", "b", "cc", "d", "e"], ["x", "yy", "z", "ww", "v"]


@pytest.fixture(scope="module")
def tokenizers() -> Tokenizers:
    pairs = [(f"{s} abcde", f"{t} xyzwv") for s, t in zip(SOURCES, TARGETS, strict=True)] * 9
    config = TokenizerConfig(kind=TokenizerKind.char, vocab_size=16, byte_fallback=False)
    return with_tags(train_tokenizers(pairs, config), TAGS)


def pieces(tokenizers: Tokenizers, lists: Lists) -> list[str]:
    """Each list as text, control pieces written out."""
    rows, start = [], 0
    for length in lists.lengths.tolist():
        ids = lists.numbers[start : start + length].tolist()
        rows.append("".join(tokenizers.source.pieces(ids)).replace("\u2581", "_"))
        start += length
    return rows


def encode(
    tokenizers: Tokenizers,
    documents: str,
    *,
    source: int = 0,
    target: int = 0,
    most: int | None = None,
    tags: tuple[str, ...] = (),
    before: int = 0,
) -> Encoded:
    encoder = Encoder(tokenizers, ContextConfig(source=source, target=target), most, 1)
    columns = [SOURCES, TARGETS, list(documents)]
    return encoder.encode(columns, FIELDS, tags, n_before=before)


def test_tags_are_no_text(tokenizers: Tokenizers) -> None:
    ids = tokenizers.source.encode(["a<sep>b<2de>"])[0]
    assert not {tokenizers.source.ids([tag])[0] for tag in TAGS} & set(ids)
    tagged = [*tokenizers.source.ids(TAGS), *tokenizers.source.encode(["ab"])[0]]
    assert tokenizers.source.decode([tagged]) == ["ab"]


def test_a_tag_cannot_be_a_symbol_of_text() -> None:
    config = TokenizerConfig(kind=TokenizerKind.char, vocab_size=270, user_symbols=[SEPARATOR])
    learnt = train_tokenizers([("ab", "cd")] * 9, config)
    with pytest.raises(InputError, match=r"<sep> is put .* tokenizer\.user_symbols"):
        with_tags(learnt, TAGS)


def test_pieces_that_are_there_are_not_added_again(tokenizers: Tokenizers) -> None:
    assert with_tags(tokenizers, TAGS).digests() == tokenizers.digests()
    more = with_tags(tokenizers, [*TAGS, "<2zh>"])
    assert more.source.vocab_size == tokenizers.source.vocab_size + 1
    assert more.source.ids(TAGS) == tokenizers.source.ids(TAGS)
    assert more.joint


def test_a_symbol_of_the_user_is_no_tag() -> None:
    config = TokenizerConfig(kind=TokenizerKind.char, vocab_size=300, user_symbols=["<bt>"])
    learnt = train_tokenizers([("abc", "def")] * 9, replace(config, vocab_size=268))
    with pytest.raises(InputError, match=r"^<bt> is put before or between sentences"):
        with_tags(learnt, ["<bt>"])


def test_tags_stand_before_each_source_and_no_target(tokenizers: Tokenizers) -> None:
    found = encode(tokenizers, "11111", tags=("<2de>", "<bt>"))
    assert pieces(tokenizers, found.source) == [f"<2de><bt>_{text}" for text in SOURCES]
    assert pieces(tokenizers, found.target) == [f"_{text}" for text in TARGETS]
    assert found.source_lengths.tolist() == [len(text) + 1 for text in SOURCES]


def test_sentences_of_the_document_stand_before_each(tokenizers: Tokenizers) -> None:
    found = encode(tokenizers, "11122", source=2, target=1, tags=("<2de>",))
    assert pieces(tokenizers, found.source) == [
        "<2de>_aa",
        "<2de>_aa<sep>_b",
        "<2de>_aa<sep>_b<sep>_cc",
        "<2de>_d",
        "<2de>_d<sep>_e",
    ]
    assert pieces(tokenizers, found.target) == [
        "_x",
        "_x<sep>_yy",
        "_yy<sep>_z",
        "_ww",
        "_ww<sep>_v",
    ]
    assert found.source_lengths.tolist() == [3, 2, 3, 2, 2]  # of the sentences themselves


def test_as_many_sentences_are_taken_as_fit(tokenizers: Tokenizers) -> None:
    found = encode(tokenizers, "11111", source=3, most=7)
    assert pieces(tokenizers, found.source) == [
        "_aa",
        "_aa<sep>_b",
        "_b<sep>_cc",
        "_cc<sep>_d",
        "_d<sep>_e",
    ]
    both = encode(tokenizers, "11111", source=1, target=1, most=6)
    assert pieces(tokenizers, both.target) == [
        "_x",
        "_x<sep>_yy",
        "_yy<sep>_z",
        "_z<sep>_ww",
        "_ww<sep>_v",
    ]
    assert pieces(tokenizers, encode(tokenizers, "11111", source=1, target=1, most=5).target) == [
        "_x",
        "_yy",
        "_z",
        "_ww",
        "_v",
    ]


def test_rows_before_are_context_alone(tokenizers: Tokenizers) -> None:
    whole = encode(tokenizers, "11122", source=2, target=2)
    later = encode(tokenizers, "11122", source=2, target=2, before=2)
    for side in ("source", "target"):
        expected = pieces(tokenizers, getattr(whole, side))[2:]
        assert pieces(tokenizers, getattr(later, side)) == expected
    assert later.source_lengths.tolist() == whole.source_lengths[2:].tolist()


def test_links_are_moved_behind_the_tags(tokenizers: Tokenizers) -> None:
    encoder = Encoder(tokenizers, ContextConfig(), None, 1)
    columns = [["a b"], ["x"], ["1-0"]]
    plain, tagged = (
        encoder.encode(columns, ("source", "target", "alignment"), tags)
        for tags in ((), ("<2de>", "<bt>"))
    )
    assert plain.links is not None
    assert tagged.links is not None
    assert plain.links.numbers.tolist() == [0, 2, 2, 4]  # target pieces, source pieces
    assert tagged.links.numbers.tolist() == [0, 2, 4, 6]
