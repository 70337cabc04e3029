"""SentencePiece models: what they learn, encode and give back."""

import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from transformer.config import TextNormalization, TokenizerConfig, TokenizerKind
from transformer.errors import InputError, Stopped
from transformer.text.tokenizer import (
    BOS_ID,
    EOS_ID,
    PAD_ID,
    SPECIAL_PIECES,
    UNK_ID,
    Tokenizer,
    Tokenizers,
    train_tokenizers,
)

Pairs = list[tuple[str, str]]
# U+2581 is SentencePiece's mark of a space, and comes back as one.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"))
SIZES = {TokenizerKind.unigram: 320, TokenizerKind.bpe: 320, TokenizerKind.char: 400}


def words(text: str) -> list[str]:
    """The text up to the number of spaces between its words."""
    return text.replace("\u2581", " ").strip(" ").split(" ")


@pytest.fixture(scope="module", params=list(TokenizerKind), ids=lambda kind: kind.name)
def tokenizer(request: pytest.FixtureRequest, pairs: Pairs) -> Tokenizer:
    config = TokenizerConfig(kind=request.param, vocab_size=SIZES[request.param])
    return train_tokenizers(pairs, config).source


@example("a\0b")
@example("\u2028\u0085\v\f\t")
@example("👩‍👩‍👧 שלום <s></s><unk><pad><0x0A> ▅")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXT)
def test_text_comes_back_up_to_spaces(tokenizer: Tokenizer, text: str) -> None:
    (ids,) = tokenizer.encode([text])
    if not text.strip():
        assert ids == []
        return
    assert min(ids, default=EOS_ID + 1) > EOS_ID  # text never spells a special piece
    (decoded,) = tokenizer.decode([ids])
    assert [word for word in words(decoded) if word] == [word for word in words(text) if word]


def test_special_pieces_have_fixed_ids(tokenizer: Tokenizer) -> None:
    assert tokenizer.pieces([PAD_ID, UNK_ID, BOS_ID, EOS_ID]) == list(SPECIAL_PIECES)
    assert (PAD_ID, UNK_ID, BOS_ID, EOS_ID) == (0, 1, 2, 3)


def test_blank_lines_have_no_pieces(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode(["", " ", "\t", "\u3000\u00a0"]) == [[], [], [], []]
    assert tokenizer.encode([]) == []


def test_decoding_leaves_out_special_pieces(tokenizer: Tokenizer) -> None:
    (ids,) = tokenizer.encode(["koro mi"])
    framed = [BOS_ID, *ids, EOS_ID, PAD_ID, PAD_ID]
    assert tokenizer.decode([framed, [], ids]) == ["koro mi", "", "koro mi"]


def test_decoded_text_is_one_line(tokenizer: Tokenizer) -> None:
    (ids,) = tokenizer.encode(["a\nb\rc\r\nd"])
    assert tokenizer.decode([ids]) == ["a b c  d"]


def test_many_lines_encode_as_each_alone(tokenizer: Tokenizer, pairs: Pairs) -> None:
    lines = [side for pair in pairs for side in pair] * 2
    assert len(lines) > 1000
    assert tokenizer.encode(lines) == [tokenizer.encode([line])[0] for line in lines]


def test_a_tokenizer_can_be_sent_to_another_process(tokenizer: Tokenizer) -> None:
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert copy.encode(["sunta tel"]) == tokenizer.encode(["sunta tel"])


@pytest.mark.parametrize("kind", list(TokenizerKind))
def test_training_is_deterministic_and_silent(
    kind: TokenizerKind, pairs: Pairs, capfd: pytest.CaptureFixture[str]
) -> None:
    config = TokenizerConfig(kind=kind, vocab_size=SIZES[kind], sample_size=100)
    first, again = (train_tokenizers(pairs, config).source.model for _ in range(2))
    assert first == again
    config.seed += 1
    assert train_tokenizers(pairs, config).source.model != first
    assert capfd.readouterr() == ("", "")


def test_a_joint_model_serves_both_sides(pairs: Pairs) -> None:
    joint = train_tokenizers(pairs, TokenizerConfig(vocab_size=320))
    assert joint.joint
    assert joint.source is joint.target
    apart = train_tokenizers(pairs, TokenizerConfig(vocab_size=300, joint=False))
    assert not apart.joint
    assert apart.source.encode(["zirka"]) != apart.target.encode(["zirka"])


@pytest.mark.parametrize("joint", [True, False])
def test_saved_models_load_again(tmp_path: Path, pairs: Pairs, joint: bool) -> None:
    saved = train_tokenizers(pairs, TokenizerConfig(vocab_size=300, joint=joint))
    saved.save(tmp_path)
    loaded = Tokenizers.load(tmp_path)
    assert loaded.joint == joint
    assert loaded.source.model == saved.source.model
    assert loaded.target.model == saved.target.model


@pytest.mark.parametrize("content", [b"", b"junk", b"\0" * 50])
def test_a_damaged_model_is_an_input_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "joint.model").write_bytes(content)
    with pytest.raises(InputError, match=r"joint\.model is .*SentencePiece model"):
        Tokenizers.load(tmp_path)


def test_a_missing_model_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"source\.model cannot be read: No such file"):
        Tokenizers.load(tmp_path)


@pytest.mark.parametrize("kind", [TokenizerKind.unigram, TokenizerKind.bpe])
@pytest.mark.parametrize("byte_fallback", [True, False])
def test_too_large_a_vocabulary_names_the_largest_that_fits(
    pairs: Pairs, kind: TokenizerKind, byte_fallback: bool
) -> None:
    config = TokenizerConfig(kind=kind, vocab_size=8000, byte_fallback=byte_fallback)
    with pytest.raises(InputError, match=r"vocab_size=8000 is too large .* fits is \d+$") as error:
        train_tokenizers(pairs, config)
    config.vocab_size = int(re.findall(r"\d+$", str(error.value))[0])
    assert train_tokenizers(pairs, config).source.vocab_size == config.vocab_size
    config.vocab_size += 1
    with pytest.raises(InputError, match="too large"):
        train_tokenizers(pairs, config)


@pytest.mark.parametrize("kind", list(TokenizerKind))
@pytest.mark.parametrize("byte_fallback", [True, False])
def test_too_small_a_vocabulary_names_the_smallest_that_fits(
    pairs: Pairs, kind: TokenizerKind, byte_fallback: bool
) -> None:
    config = TokenizerConfig(
        kind=kind, vocab_size=5, byte_fallback=byte_fallback, user_symbols=["<a>", "<b>"]
    )
    with pytest.raises(InputError, match=r"vocab_size=5 is too small.* fits is \d+") as error:
        train_tokenizers(pairs, config)
    config.vocab_size = int(re.findall(r"fits is (\d+)", str(error.value))[0])
    assert train_tokenizers(pairs, config).source.vocab_size == config.vocab_size
    config.vocab_size -= 1
    with pytest.raises(InputError, match="too small"):
        train_tokenizers(pairs, config)


def test_the_side_whose_vocabulary_does_not_fit_is_named(pairs: Pairs) -> None:
    with pytest.raises(InputError, match="too large for the source text"):
        train_tokenizers(pairs, TokenizerConfig(vocab_size=8000, joint=False))


def test_characters_are_as_many_as_the_text_has() -> None:
    config = TokenizerConfig(kind=TokenizerKind.char, byte_fallback=False, vocab_size=1000)
    tokenizer = train_tokenizers([("abc", "cde")], config).source
    assert tokenizer.vocab_size == len(SPECIAL_PIECES) + len("abcde") + len("\u2581")


def test_without_byte_fallback_an_unseen_character_is_unknown(pairs: Pairs) -> None:
    config = TokenizerConfig(vocab_size=60, byte_fallback=False)
    tokenizer = train_tokenizers(pairs, config).source
    assert UNK_ID in tokenizer.encode(["koro \0"])[0]
    assert UNK_ID in tokenizer.encode(["koro ☃"])[0]


def test_user_symbols_are_one_piece_anywhere(pairs: Pairs) -> None:
    symbols = ["<2de>", "a,b", 'q"x', "☃☃"]
    config = TokenizerConfig(vocab_size=320, user_symbols=symbols)
    tokenizer = train_tokenizers(pairs, config).source
    for symbol in symbols:
        (ids,) = tokenizer.encode([f"koro{symbol}mi"])
        assert symbol in tokenizer.pieces(ids)
        assert tokenizer.decode([ids]) == [f"koro{symbol}mi"]


@pytest.mark.parametrize("symbol", ["<s>", "<unk>", "<0x41>", "a b", "\t", "a\0b"])
def test_a_symbol_that_cannot_be_a_piece_is_an_input_error(pairs: Pairs, symbol: str) -> None:
    with pytest.raises(InputError, match=r"tokenizer\.user_symbols: .*"):
        train_tokenizers(pairs, TokenizerConfig(vocab_size=320, user_symbols=[symbol]))


@pytest.mark.parametrize(
    "line", ["x" * 100_000, "☃" * 9_999, "☃ nul \0", "☃ block \u2585", "☃ tab \t"]
)
def test_no_training_line_is_skipped(pairs: Pairs, line: str) -> None:
    config = TokenizerConfig(vocab_size=400, kind=TokenizerKind.char, character_coverage=1.0)
    tokenizer = train_tokenizers([*pairs, (line, "y")], config).source
    (ids,) = tokenizer.encode([f"{line[0]}y"])
    assert tokenizer.pieces(ids) == ["\u2581", line[0], "y"]


@pytest.mark.parametrize("kind", list(TokenizerKind))
def test_a_very_long_line_does_not_stall_training(pairs: Pairs, kind: TokenizerKind) -> None:
    config = TokenizerConfig(vocab_size=SIZES[kind], kind=kind)
    tokenizer = train_tokenizers([*pairs, ("x" * 200_000, "y")], config).source
    assert len(tokenizer.encode(["x" * 200_000])[0]) < 200_002


def test_normalization_is_chosen_by_its_setting(pairs: Pairs) -> None:
    for normalization, expected in (
        (TextNormalization.identity, "ＡＢ"),
        (TextNormalization.nfkc, "AB"),
        (TextNormalization.nfkc_cf, "ab"),
    ):
        config = TokenizerConfig(vocab_size=320, normalization=normalization)
        tokenizer = train_tokenizers(pairs, config).source
        assert tokenizer.decode(tokenizer.encode(["ＡＢ"])) == [expected]


def test_text_from_which_nothing_can_be_learnt_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"^[^\n]*the text[^\n]*$"):
        train_tokenizers([(" ", " ")], TokenizerConfig(vocab_size=300))


@pytest.mark.parametrize("kind", [Stopped, KeyboardInterrupt])
def test_what_ends_the_walk_through_the_text_is_not_hidden_by_sentencepiece(
    kind: type[BaseException],
) -> None:
    class Interrupted:
        def __len__(self) -> int:
            return 100

        def __iter__(self) -> Iterator[tuple[str, str]]:
            yield "a b c", "d e f"
            raise kind("asked to end")

    with pytest.raises(kind, match="asked to end"):
        train_tokenizers(Interrupted(), TokenizerConfig(vocab_size=300))
