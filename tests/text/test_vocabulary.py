"""Pieces taken from a trained model, and others put behind them."""

import random
import re
from collections.abc import Callable
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from transformer.config import (
    CleaningConfig,
    FilesConfig,
    TextNormalization,
    TokenizerConfig,
    TokenizerKind,
    to_mapping,
)
from transformer.errors import InputError
from transformer.text.dataset import prepare_data
from transformer.text.tokenizer import UNK_ID, Tokenizer, Tokenizers, train_tokenizers
from transformer.text.vocabulary import build_tokenizers, cut, proto, tokenizer_key

Pairs = list[tuple[str, str]]
SIZES = {TokenizerKind.unigram: 320, TokenizerKind.bpe: 320, TokenizerKind.char: 400}
N_EXTRA = {TokenizerKind.unigram: 20, TokenizerKind.bpe: 40, TokenizerKind.char: 15}
LEARNT = pytest.mark.parametrize("kind", [TokenizerKind.unigram, TokenizerKind.bpe])
KINDS = pytest.mark.parametrize("kind", list(TokenizerKind))


@pytest.fixture(scope="module")
def cyrillic(pairs: Pairs) -> Pairs:
    """200 pairs of words in a script that `pairs` do not have, and a few that they have."""
    draw = random.Random(5)
    words = ["погода", "хорошо", "сегодня", "завтра", "дорога", "koro", "zirka"]

    def line() -> str:
        return " ".join(draw.choices(words, k=6))

    return [(line(), line()) for _ in range(200)]


@pytest.fixture(scope="module")
def same_script() -> Pairs:
    """300 pairs of words in the letters of `pairs`, some of them common, most of them rare."""
    draw = random.Random(6)
    parts = ["to", "rc", "hrun", "ko", "ro", "mis", "un", "le", "ta", "so", "nne", "ba", "str"]
    words = ["".join(draw.choices(parts, k=draw.randint(2, 4))) for _ in range(200)]
    weights = [1 / rank for rank in range(1, 201)]

    def line() -> str:
        return " ".join(draw.choices(words, weights, k=6))

    return [(line(), line()) for _ in range(300)]


@pytest.fixture
def save(tmp_path: Path, pairs: Pairs) -> Callable[..., Tokenizers]:
    """Learns pieces from `pairs` and writes them to tmp_path, as a checkpoint has them."""

    def learn(**settings: Any) -> Tokenizers:
        kind = settings.get("kind", TokenizerKind.unigram)
        config = TokenizerConfig(**{"vocab_size": SIZES[kind], **settings})
        tokenizers = train_tokenizers(pairs, config)
        tokenizers.save(tmp_path)
        return tokenizers

    return learn


def all_pieces(tokenizer: Tokenizer) -> list[str]:
    return tokenizer.pieces(range(tokenizer.vocab_size))


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("folder", ["checkpoint", "run"])
def test_the_pieces_of_a_run_or_a_checkpoint_are_taken_as_they_are(
    tmp_path: Path, pairs: Pairs, cyrillic: Pairs, joint: bool, folder: str
) -> None:
    old = train_tokenizers(pairs, TokenizerConfig(vocab_size=300, joint=joint))
    old.save(tmp_path / ("" if folder == "checkpoint" else "tokenizer"))
    config = TokenizerConfig(init_from=str(tmp_path), joint=joint, vocab_size=7_777)
    taken = build_tokenizers(cyrillic, config)
    assert taken.joint == joint
    assert (taken.source.model, taken.target.model) == (old.source.model, old.target.model)


@KINDS
@pytest.mark.parametrize("byte_fallback", [True, False])
def test_a_word_of_another_script_becomes_pieces(
    tmp_path: Path,
    save: Callable[..., Tokenizers],
    pairs: Pairs,
    cyrillic: Pairs,
    kind: TokenizerKind,
    byte_fallback: bool,
) -> None:
    size = SIZES[kind] - (0 if byte_fallback else 250)
    old = save(kind=kind, byte_fallback=byte_fallback, vocab_size=size)
    n = N_EXTRA[kind]
    config = TokenizerConfig(init_from=str(tmp_path), extra_pieces=n, character_coverage=1.0)
    extended = build_tokenizers(cyrillic, config)
    assert extended.joint
    assert all_pieces(extended.source)[: old.source.vocab_size] == all_pieces(old.source)
    assert extended.source.vocab_size == len(set(all_pieces(extended.source)))
    assert extended.source.vocab_size == old.source.vocab_size + n

    (before,), (after,) = (each.source.encode(["погода"]) for each in (old, extended))
    assert UNK_ID in before or len(before) > len("погода")
    n_pieces = len("погода") + 1 if kind is TokenizerKind.char else 2
    assert UNK_ID not in after
    assert len(after) <= n_pieces
    assert min(after[1:], default=after[0]) >= old.source.vocab_size
    lines = [source for source, _ in [*pairs[:50], *cyrillic[:50]]]
    assert extended.source.decode(extended.source.encode(lines)) == lines


@KINDS
def test_pieces_of_another_script_leave_the_cut_of_the_old_text(
    tmp_path: Path,
    save: Callable[..., Tokenizers],
    pairs: Pairs,
    cyrillic: Pairs,
    kind: TokenizerKind,
) -> None:
    old = save(kind=kind).source
    config = TokenizerConfig(init_from=str(tmp_path), extra_pieces=N_EXTRA[kind])
    extended = build_tokenizers(cyrillic, config).source
    lines = [line for pair in pairs for line in pair]
    assert extended.encode(lines) == old.encode(lines)


@LEARNT
def test_pieces_of_the_same_script_change_the_cut_of_the_old_text_only_where_they_occur(
    tmp_path: Path,
    save: Callable[..., Tokenizers],
    pairs: Pairs,
    same_script: Pairs,
    kind: TokenizerKind,
) -> None:
    old = save(kind=kind, vocab_size=300).source
    config = TokenizerConfig(init_from=str(tmp_path), extra_pieces=60)
    extended = build_tokenizers(same_script, config).source
    lines = [line for pair in pairs for line in pair]
    words = sorted({word for line in lines for word in line.split()})
    changed = 0
    for before, after in zip(old.encode(words), extended.encode(words), strict=True):
        if max(after) < old.vocab_size:
            assert after == before
            continue
        changed += 1
        starts, later = (
            set(accumulate(map(len, tokenizer.pieces(ids))))
            for tokenizer, ids in ((old, before), (extended, after))
        )
        assert kind is TokenizerKind.unigram or later < starts
    assert 0 < changed < len(words) / 2
    assert extended.decode(extended.encode(lines)) == lines


@LEARNT
def test_nearly_all_further_pieces_occur_and_each_spells_itself(
    tmp_path: Path, save: Callable[..., Tokenizers], same_script: Pairs, kind: TokenizerKind
) -> None:
    old = save(kind=kind).source
    n_old = old.vocab_size
    if kind is TokenizerKind.unigram:
        # Letters so likely that two of them often are likelier than a piece.
        model = proto.ModelProto.FromString(old.model)
        for piece in model.pieces:
            if len(piece.piece) == 1:
                piece.score = -1.5
        likely = Tokenizer(model.SerializeToString())
        Tokenizers(likely, likely).save(tmp_path)
    config = TokenizerConfig(init_from=str(tmp_path), extra_pieces=100)
    extended = build_tokenizers(same_script, config).source
    further = range(n_old, n_old + 100)
    assert cut(extended, extended.pieces(further)) == [[id_] for id_ in further]
    ids = extended.encode([line for pair in same_script for line in pair])
    assert len(set(chain.from_iterable(ids)).intersection(further)) >= 95


def test_a_merge_holds_signs_numbers_and_letters_of_one_script_apart(
    tmp_path: Path, save: Callable[..., Tokenizers]
) -> None:
    n_old = save(kind=TokenizerKind.bpe).source.vocab_size
    line = "koro123--\u043c\u0438\u0440\u4e2d\u3042 koro-123 a\u0301\u0301b"
    pairs = [(line, line)] * 9
    config = TokenizerConfig(init_from=str(tmp_path), extra_pieces=17, character_coverage=1.0)
    extended = all_pieces(build_tokenizers(pairs, config).source)[n_old:]
    assert {"123", "--", "\u043c\u0438\u0440", "\u4e2d\u3042"} <= set(extended)
    words = [piece.strip("\u2581") for piece in extended]
    classes = [r"[a-z\u0301]*", r"\d*", "-*", "[\u0430-\u044f]*", "[\u4e2d\u3042]*"]
    assert all(re.fullmatch("|".join(classes), word) for word in words)
    assert not any("\u2581" in piece[1:] for piece in extended)


def test_all_characters_are_counted_where_they_are_more_than_the_old_pieces(
    tmp_path: Path, save: Callable[..., Tokenizers], caplog: pytest.LogCaptureFixture
) -> None:
    save(kind=TokenizerKind.char, byte_fallback=False, vocab_size=35)
    signs = [chr(0x4E00 + i) for i in range(200)]
    config = TokenizerConfig(init_from=str(tmp_path), extra_pieces=1, character_coverage=1.0)
    build_tokenizers([(sign, sign) for sign in signs], config)
    assert "less than the 200 characters" in caplog.text


def test_characters_that_get_no_piece_are_counted_in_the_log(
    tmp_path: Path,
    save: Callable[..., Tokenizers],
    cyrillic: Pairs,
    caplog: pytest.LogCaptureFixture,
) -> None:
    save(vocab_size=300)
    letters = {letter for pair in cyrillic for letter in "".join(pair) if letter > "z"}
    n = len(letters)
    for extra, expected in ((n - 3, [f"the {n} characters .*; 3 of them stay bytes"]), (n, [])):
        caplog.clear()
        config = TokenizerConfig(
            init_from=str(tmp_path), extra_pieces=extra, character_coverage=1.0
        )
        build_tokenizers(cyrillic, config)
        found = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert len(found) == len(expected)
        assert all(re.search(*each) for each in zip(expected, found, strict=True))


@LEARNT
def test_a_common_word_of_known_characters_becomes_fewer_pieces(
    tmp_path: Path, save: Callable[..., Tokenizers], pairs: Pairs, kind: TokenizerKind
) -> None:
    old = save(kind=kind).source
    more = [(f"{source} koromisun", f"{target} lampesonne") for source, target in pairs]
    config = TokenizerConfig(init_from=str(tmp_path), extra_pieces=20)
    extended = build_tokenizers(more, config).source
    (before,), (after,) = (each.encode(["koromisun"]) for each in (old, extended))
    assert len(before) > len(after)
    assert max(after) >= old.vocab_size
    words = {word for pair in pairs for line in pair for word in line.split()[1:]}
    whole = [word for word in words if len(old.encode([word])[0]) == 1]
    assert len(whole) > len(words) / 2
    assert extended.encode(whole) == old.encode(whole)


def test_both_sides_are_extended_by_pieces_of_their_own(
    tmp_path: Path, save: Callable[..., Tokenizers], cyrillic: Pairs
) -> None:
    old = save(joint=False, vocab_size=300)
    pairs = [(source, target.upper()) for source, target in cyrillic]
    config = TokenizerConfig(init_from=str(tmp_path), joint=False, extra_pieces=20)
    extended = build_tokenizers(pairs, config)
    for side, before in ((extended.source, old.source), (extended.target, old.target)):
        assert all_pieces(side)[:300] == all_pieces(before)
        assert side.vocab_size == 320
    assert "О" in all_pieces(extended.target)[300:]
    assert "о" in all_pieces(extended.source)[300:]


@KINDS
def test_more_pieces_than_the_text_yields_names_how_many_it_does(
    tmp_path: Path, save: Callable[..., Tokenizers], cyrillic: Pairs, kind: TokenizerKind
) -> None:
    save(kind=kind)
    config = TokenizerConfig(init_from=str(tmp_path), extra_pieces=5_000)
    message = r"extra_pieces=\d+ is more than the text yields; .* it has \d+$"
    with pytest.raises(InputError, match=message) as error:
        build_tokenizers(cyrillic, config)
    config.extra_pieces = int(re.findall(r"\d+$", str(error.value))[0])
    largest = build_tokenizers(cyrillic, config)
    assert largest.source.vocab_size == Tokenizers.load(tmp_path).source.vocab_size + (
        config.extra_pieces
    )
    config.extra_pieces += 1
    with pytest.raises(InputError, match=message):
        build_tokenizers(cyrillic, config)


@LEARNT
def test_every_character_has_a_piece_before_words_do(
    tmp_path: Path, save: Callable[..., Tokenizers], cyrillic: Pairs, kind: TokenizerKind
) -> None:
    old = save(kind=kind).source
    letters = {letter for pair in cyrillic for letter in "".join(pair) if letter > "z"}
    n = len(letters) + 2
    config = TokenizerConfig(init_from=str(tmp_path), extra_pieces=n, character_coverage=1.0)
    extended = all_pieces(build_tokenizers(cyrillic, config).source)[old.vocab_size :]
    assert set(extended[:-2]) == letters
    assert all(len(piece) > 1 for piece in extended[-2:])


def test_further_merges_come_after_the_old_ones(
    tmp_path: Path, save: Callable[..., Tokenizers], cyrillic: Pairs
) -> None:
    n_old = save(kind=TokenizerKind.bpe).source.vocab_size
    config = TokenizerConfig(init_from=str(tmp_path), extra_pieces=30)
    model = build_tokenizers(cyrillic, config).source.model
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    scores = [processor.get_score(id_) for id_ in range(processor.vocab_size())]
    assert min(scores[:n_old]) > scores[n_old]
    assert scores[n_old:] == sorted(scores[n_old:], reverse=True)


def test_few_pieces_are_the_commonest_characters(
    tmp_path: Path, save: Callable[..., Tokenizers], cyrillic: Pairs
) -> None:
    old = save(user_symbols=["<2de>"])
    config = TokenizerConfig(init_from=str(tmp_path), extra_pieces=1)
    extended = build_tokenizers([*cyrillic, ("<2de>", "<2de>")], config).source
    assert all_pieces(extended)[old.source.vocab_size :] == ["о"]
    (ids,) = extended.encode(["koro<2de>"])
    assert extended.pieces(ids)[-1] == "<2de>"


def test_further_pieces_are_normalized_like_those_taken(
    tmp_path: Path, save: Callable[..., Tokenizers], cyrillic: Pairs
) -> None:
    save(normalization=TextNormalization.nfkc_cf)
    config = TokenizerConfig(init_from=str(tmp_path), extra_pieces=20)
    upper = [(source.upper(), target) for source, target in cyrillic]
    pieces = all_pieces(build_tokenizers(upper, config).source)
    assert "п" in "".join(pieces)
    assert "П" not in "".join(pieces)


def test_a_piece_is_cut_without_the_mark_of_a_word_before_it(
    save: Callable[..., Tokenizers],
) -> None:
    tokenizer = save().source
    pieces = ["koro", "\u2581koro", "o", "\u2581"]
    ids = cut(tokenizer, pieces)
    assert ["".join(tokenizer.pieces(row)) for row in ids] == pieces


@pytest.mark.parametrize("joint", [True, False])
def test_another_number_of_vocabularies_is_an_input_error(
    tmp_path: Path, save: Callable[..., Tokenizers], joint: bool
) -> None:
    save(vocab_size=300, joint=joint)
    config = TokenizerConfig(init_from=str(tmp_path), joint=not joint)
    with pytest.raises(InputError, match=rf"set tokenizer\.joint={str(joint).lower()}"):
        tokenizer_key(config)


def test_a_folder_without_pieces_is_an_input_error(tmp_path: Path) -> None:
    name = r"^tokenizer\.init_from \(or training\.init_from\)="
    with pytest.raises(InputError, match=f"{name}.* holds no pieces"):
        tokenizer_key(TokenizerConfig(init_from=str(tmp_path)))
    with pytest.raises(InputError, match=f"{name}.* is no folder"):
        tokenizer_key(TokenizerConfig(init_from=str(tmp_path / "none")))
    with pytest.raises(InputError, match=r"^tokenizer\.init_from is empty; give a run's"):
        TokenizerConfig(init_from="")


def test_extra_pieces_without_pieces_to_extend_are_an_input_error() -> None:
    with pytest.raises(InputError, match=r"^tokenizer\.extra_pieces=9 .* tokenizer\.init_from"):
        tokenizer_key(TokenizerConfig(extra_pieces=9))


def test_a_symbol_that_the_pieces_taken_lack_is_an_input_error(
    tmp_path: Path, save: Callable[..., Tokenizers]
) -> None:
    save(user_symbols=["<2de>"])
    tokenizer_key(TokenizerConfig(init_from=str(tmp_path), user_symbols=["<2de>"]))
    with pytest.raises(InputError, match=r"^tokenizer\.user_symbols=\['<2fr>'\] are no pieces"):
        tokenizer_key(TokenizerConfig(init_from=str(tmp_path), user_symbols=["<2fr>", "<2de>"]))


def test_settings_that_take_no_pieces_have_the_key_they_always_had() -> None:
    config = TokenizerConfig(vocab_size=300)
    new = {"init_from", "extra_pieces", "source_sampling", "target_sampling"}
    expected = {name: value for name, value in to_mapping(config).items() if name not in new}
    assert tokenizer_key(config) == expected


def test_the_corpus_is_prepared_anew_where_the_pieces_differ_and_not_where_their_folder_does(
    tmp_path: Path, files_config: Callable[..., FilesConfig], pairs: Pairs
) -> None:
    config = TokenizerConfig(kind=TokenizerKind.char, vocab_size=400)
    train_tokenizers(pairs, config).save(tmp_path / "a")
    train_tokenizers(pairs, config).save(tmp_path / "b" / "tokenizer")
    config.normalization = TextNormalization.nfkc
    train_tokenizers(pairs, config).save(tmp_path / "c")
    data = files_config(train=pairs, valid=pairs[:9])

    def place(name: str, **settings: Any) -> Path:
        folder = str(tmp_path / name)
        tokenizer = TokenizerConfig(init_from=folder, **settings)
        return prepare_data(data, tokenizer, CleaningConfig()).folder

    assert place("a") == place("b") == place("b", vocab_size=99, seed=2)
    assert place("a") != place("c")
    more = [(f"{source} дом", target) for source, target in pairs]
    data = files_config(train=more, valid=pairs[:9])
    distinct = {
        place("a"),
        place("a", extra_pieces=1),
        place("a", extra_pieces=2),
        place("a", extra_pieces=2, seed=2),
    }
    assert len(distinct) == 4


@LEARNT
def test_the_vocabulary_that_fits_is_told_with_the_tags_in_it(kind: TokenizerKind) -> None:
    pairs, tags = [("ab cd abc", "ef gh efg")] * 9, ["<2de>", "<2zh>", "<bt>"]
    config = TokenizerConfig(kind=kind, vocab_size=5)
    with pytest.raises(InputError, match=r"vocab_size=5 is too small.* fits is \d+") as error:
        build_tokenizers(pairs, config, tags)
    config.vocab_size = int(re.findall(r"fits is (\d+)", str(error.value))[0])
    assert build_tokenizers(pairs, config, tags).source.vocab_size == config.vocab_size
    config.vocab_size = 8000
    with pytest.raises(InputError, match=r"vocab_size=8000 is too large.* fits is \d+") as error:
        build_tokenizers(pairs, config, tags)
    config.vocab_size = int(re.findall(r"\d+$", str(error.value))[0])
    assert build_tokenizers(pairs, config, tags).source.vocab_size == config.vocab_size
