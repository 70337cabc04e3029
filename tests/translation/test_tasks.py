from collections.abc import Callable

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from transformer.config import TextNormalization, TokenizerConfig, TokenizerKind
from transformer.errors import InputError
from transformer.text.tokenizer import EOS_ID, Tokenizer, learn
from transformer.translation.tasks import TargetVocabulary, phrase_of, prefix_of

TEXT = ["ein Mann mit einem Hund", "eine Frau, die im Park 2 Hunde sieht"] * 9


def tokenizer_of(*, byte_fallback: bool, symbols: tuple[str, ...] = ()) -> Tokenizer:
    config = TokenizerConfig(
        kind=TokenizerKind.bpe,
        vocab_size=400,
        byte_fallback=byte_fallback,
        user_symbols=list(symbols),
        normalization=TextNormalization.nfkc,
    )
    return Tokenizer(learn(TEXT, config, fewer=True))


@pytest.fixture(scope="module")
def with_bytes() -> TargetVocabulary:
    return TargetVocabulary(tokenizer_of(byte_fallback=True, symbols=("<PH1>",)))


@pytest.fixture(scope="module")
def without_bytes() -> TargetVocabulary:
    return TargetVocabulary(tokenizer_of(byte_fallback=False))


PREFIX = st.text(st.sampled_from("einMaHud ,2€<s>\u0301\u2581ﬁ\t"), max_size=12)


@given(text=PREFIX, data=st.data())
def test_what_keeps_to_a_prefix_begins_with_its_text(
    with_bytes: TargetVocabulary, text: str, data: st.DataObject
) -> None:
    tokens, mask = prefix_of(text, with_bytes)
    allowed = range(4, len(with_bytes.pieces))
    following = mask.nonzero().flatten().tolist() if mask is not None else allowed
    rest = data.draw(st.lists(st.sampled_from(allowed), max_size=4))
    output = [*tokens, data.draw(st.sampled_from(following)), *rest]
    tokenizer = with_bytes.tokenizer
    normalised = tokenizer.decode(tokenizer.encode([text]))[0]
    assert tokenizer.decode([output])[0].startswith(normalised)


@given(text=PREFIX)
def test_the_pieces_of_a_prefix_keep_to_it(with_bytes: TargetVocabulary, text: str) -> None:
    tokens, mask = prefix_of(text, with_bytes)
    ids = with_bytes.tokenizer.encode([text])[0]
    assert ids[: len(tokens)] == tokens
    if len(tokens) < len(ids):
        assert mask is not None
        assert mask[ids[-1]]


def test_an_unfinished_word_goes_on(with_bytes: TargetVocabulary) -> None:
    tokens, mask = prefix_of("ein Ma", with_bytes)
    assert mask is not None
    last = with_bytes.tokenizer.encode(["ein Ma"])[0][-1]
    begun = with_bytes.pieces[last]
    follow = [with_bytes.pieces[i] for i in mask.nonzero().flatten().tolist()]
    expected = [piece for piece in with_bytes.pieces if piece.startswith(begun)]
    assert sorted(follow) == sorted(expected)
    assert with_bytes.tokenizer.decode([[*tokens, last]])[0] == "ein Ma"


def test_behind_white_space_a_word_begins_or_the_output_ends(
    with_bytes: TargetVocabulary,
) -> None:
    for text in ("ein ", "ein\u3000"):
        tokens, mask = prefix_of(text, with_bytes)
        assert mask is not None
        assert tokens == with_bytes.tokenizer.encode(["ein"])[0]
        expected = [piece.startswith("\u2581") for piece in with_bytes.pieces]
        expected[EOS_ID] = True
        assert mask.tolist() == expected
    assert not with_bytes.beginning_with("\u2581")[EOS_ID]


def test_special_pieces_do_not_continue_a_prefix_that_looks_like_them(
    without_bytes: TargetVocabulary,
) -> None:
    assert not without_bytes.beginning_with("<").any()


def test_no_bytes_of_a_character_are_taken_back(with_bytes: TargetVocabulary) -> None:
    tokens, mask = prefix_of("ein €", with_bytes)
    assert with_bytes.tokenizer.decode([tokens])[0] == "ein €"
    assert mask is None


def test_a_blank_prefix_asks_for_nothing(with_bytes: TargetVocabulary) -> None:
    assert prefix_of("", with_bytes) == prefix_of("  ", with_bytes) == ([], None)


def test_masks_are_shared_and_kept(with_bytes: TargetVocabulary) -> None:
    first, second = (prefix_of(text, with_bytes)[1] for text in ("ein Ma", "die Ma"))
    assert first is second
    assert isinstance(first, torch.Tensor)
    assert first.shape == (with_bytes.tokenizer.vocab_size,)


@pytest.mark.parametrize("ask", [prefix_of, phrase_of])
def test_text_without_pieces_is_named(
    without_bytes: TargetVocabulary, ask: Callable[[str, TargetVocabulary], object]
) -> None:
    with pytest.raises(InputError, match="'ein Öl' holds characters"):
        ask("ein Öl", without_bytes)


def test_a_blank_phrase_is_refused(with_bytes: TargetVocabulary) -> None:
    with pytest.raises(InputError, match="is blank"):
        phrase_of(" ", with_bytes)


@given(text=st.text(st.sampled_from("einMaHud ,2"), min_size=1, max_size=12))
def test_a_phrase_stands_within_a_sentence_as_whole_words(
    with_bytes: TargetVocabulary, text: str
) -> None:
    assume(text.strip())
    tokenizer = with_bytes.tokenizer
    ids = phrase_of(text, with_bytes)
    around = tokenizer.encode(["ein"])[0]
    words = " ".join(text.split(" ")).split()
    assert tokenizer.decode([[*around, *ids, *around]])[0].split() == ["ein", *words, "ein"]


def test_a_phrase_of_a_language_without_spaces_brings_none() -> None:
    tokenizer = tokenizer_of(byte_fallback=True)
    ids = phrase_of("Hund", TargetVocabulary(tokenizer, spaces=False))
    around = tokenizer.encode(["ein"])[0]
    assert tokenizer.decode([[*around, *ids]])[0] == "einHund"


def test_a_piece_that_is_never_cut_is_a_phrase_by_itself(with_bytes: TargetVocabulary) -> None:
    assert phrase_of("<PH1>", with_bytes) == [with_bytes.symbols["<PH1>"]]
