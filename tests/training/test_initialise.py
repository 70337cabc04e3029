"""Fine-tuning: the weights of a checkpoint in a model of the same or another vocabulary."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from transformer.checkpoint import Contents, model_weights, save_checkpoint
from transformer.config import (
    ModelConfig,
    Norm,
    TokenizerConfig,
    TokenizerKind,
    TrainingConfig,
    TrainSettings,
    Tying,
)
from transformer.errors import InputError
from transformer.model import Transformer
from transformer.text.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Tokenizers, train_tokenizers
from transformer.text.vocabulary import build_tokenizers
from transformer.training.initialise import initialise, match

Pairs = list[tuple[str, str]]
Save = Callable[[Tokenizers, ModelConfig], tuple[TrainSettings, Transformer]]
SMALL = ModelConfig(encoder_layers=1, decoder_layers=1, d_model=16, d_feed_forward=24, n_heads=2)
PAIRS = [("ba koro mi", "das kleine mit"), ("sunta koro", "sonne kleine"), ("mi ba", "mit das")]
OTHERS = [("корова мимо ba", "дом mit koro"), ("корова koro", "дом kleine"), ("мимо", "дом")]
TYINGS = pytest.mark.parametrize("tying", list(Tying))


def learn(pairs: Pairs, *, joint: bool = True, **settings: Any) -> Tokenizers:
    """Pieces for each character, or those that `settings` ask for."""
    config = {"kind": TokenizerKind.char, "vocab_size": 60, "byte_fallback": False, **settings}
    return build_tokenizers(pairs, TokenizerConfig(joint=joint, **config))


def build(config: ModelConfig, tokenizers: Tokenizers, seed: int) -> Transformer:
    torch.manual_seed(seed)
    model = Transformer(
        config,
        source_vocab_size=tokenizers.source.vocab_size,
        target_vocab_size=tokenizers.target.vocab_size,
        pad_id=PAD_ID,
    )
    return model.eval()


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes a checkpoint; gives the settings that begin with it, and its model."""

    def write(tokenizers: Tokenizers, config: ModelConfig) -> tuple[TrainSettings, Transformer]:
        model = build(config, tokenizers, seed=1)
        pieces = TokenizerConfig(joint=tokenizers.joint)
        settings = TrainSettings(model=config, tokenizer=pieces)
        contents = Contents(model_weights(model), settings, tokenizers, metrics={}, training=None)
        save_checkpoint(tmp_path / "old", contents)
        training = TrainingConfig(init_from=str(tmp_path / "old"))
        return replace(settings, training=training), model

    return write


def logits(model: Transformer, tokenizers: Tokenizers, pair: tuple[str, str]) -> Tensor:
    (source,) = tokenizers.source.encode([pair[0]])
    (target,) = tokenizers.target.encode([pair[1]])
    with torch.no_grad():
        state = model.start(torch.tensor([[*source, EOS_ID]]))
        return model.step(torch.tensor([[BOS_ID, *target]]), state)  # [1, T, V]


@pytest.mark.parametrize(
    ("tying", "joint"),
    [*((tying, True) for tying in Tying), (Tying.two_way, False), (Tying.none, False)],
)
def test_with_the_same_pieces_the_model_is_the_checkpoint(
    save: Save, tying: Tying, joint: bool
) -> None:
    tokenizers = learn(PAIRS, joint=joint)
    settings, old = save(tokenizers, replace(SMALL, tying=tying))
    model = build(settings.model, tokenizers, seed=2)
    assert not torch.equal(*(logits(each, tokenizers, PAIRS[0]) for each in (old, model)))
    initialise(model, settings, tokenizers)
    assert torch.equal(*(logits(each, tokenizers, PAIRS[0]) for each in (old, model)))


@TYINGS
def test_with_further_pieces_the_logits_of_the_old_ones_stay(
    save: Save, tmp_path: Path, tying: Tying
) -> None:
    tokenizers = learn(PAIRS)
    settings, old = save(tokenizers, replace(SMALL, tying=tying))
    extended = learn(OTHERS, init_from=str(tmp_path / "old"), extra_pieces=5)
    V = tokenizers.source.vocab_size
    assert extended.source.vocab_size == V + 5
    model = build(settings.model, extended, seed=2)
    initialise(model, settings, extended)
    for name in ("source_embedding", "target_embedding", "output"):
        weight, before = getattr(model, name).weight, getattr(old, name).weight
        assert torch.equal(weight[:V], before)
    after, before = (
        logits(each.double(), pieces, PAIRS[0])
        for each, pieces in ((model, extended), (old, tokenizers))
    )
    torch.testing.assert_close(after[..., :V], before, rtol=0, atol=1e-12)


@pytest.mark.parametrize("joint", [True, False])
def test_with_a_new_vocabulary_equal_pieces_keep_their_rows(save: Save, joint: bool) -> None:
    before = learn(PAIRS, joint=joint)
    after = learn(OTHERS, joint=joint)
    settings, old = save(before, replace(SMALL, tying=Tying.none))
    model = build(settings.model, after, seed=2)
    initialise(model, settings, after)
    sides = {
        "source_embedding": (before.source, after.source),
        "target_embedding": (before.target, after.target),
        "output": (before.target, after.target),
    }
    for name, (left, right) in sides.items():
        ids = {piece: i for i, piece in enumerate(left.pieces(range(left.vocab_size)))}
        pieces = right.pieces(range(right.vocab_size))
        common = [piece for piece in pieces if piece in ids]
        assert len(common) > 4
        assert [ids[piece] for piece in common] != [pieces.index(piece) for piece in common]
        rows = getattr(model, name).weight[[pieces.index(piece) for piece in common]]
        assert torch.equal(rows, getattr(old, name).weight[[ids[piece] for piece in common]])
    theirs, ours = (dict(each.named_parameters()) for each in (old, model))
    others = [name for name in theirs if name.partition(".")[0] not in sides]
    assert others
    assert all(torch.equal(theirs[name], ours[name]) for name in others)


def test_a_joint_vocabulary_may_become_one_for_each_side(save: Save) -> None:
    before, after = learn(PAIRS), learn(PAIRS, joint=False)
    settings, old = save(before, replace(SMALL, tying=Tying.two_way))
    model = build(settings.model, after, seed=2)
    initialise(model, settings, after)
    shared = [logits(old, before, PAIRS[0]), logits(model, after, PAIRS[0])]
    pieces = after.target.pieces(range(after.target.vocab_size))
    ids = [before.target.pieces(range(before.target.vocab_size)).index(piece) for piece in pieces]
    torch.testing.assert_close(shared[0][..., ids], shared[1])


def test_a_further_piece_begins_as_the_mean_of_those_that_spelt_it(save: Save) -> None:
    before = learn(PAIRS)
    after = learn(PAIRS * 20, kind=TokenizerKind.bpe, vocab_size=40)
    settings, old = save(before, SMALL)
    model = build(settings.model, after, seed=2)
    initialise(model, settings, after)
    letters = before.target.pieces(range(before.target.vocab_size))
    pieces = after.target.pieces(range(after.target.vocab_size))
    longer = [i for i, piece in enumerate(pieces) if i > EOS_ID and len(piece) > 1]
    assert len(longer) > 5
    for i in longer:
        rows = old.output.weight[[letters.index(letter) for letter in pieces[i]]]
        torch.testing.assert_close(model.output.weight[i], rows.mean(0))


def test_a_piece_of_unknown_characters_stays_as_it_was_drawn(save: Save) -> None:
    before, after = learn(PAIRS), learn(OTHERS)
    settings, _ = save(before, SMALL)
    model = build(settings.model, after, seed=2)
    fresh = model.output.weight.detach().clone()
    initialise(model, settings, after)
    i = after.target.pieces(range(after.target.vocab_size)).index("к")
    assert torch.equal(model.output.weight[i], fresh[i])
    k = after.target.pieces(range(after.target.vocab_size)).index("k")
    assert not torch.equal(model.output.weight[k], fresh[k])


def test_characters_that_were_bytes_begin_as_their_bytes() -> None:
    old = train_tokenizers(PAIRS, TokenizerConfig(kind=TokenizerKind.char, vocab_size=280))
    rows = match(old.source, learn(OTHERS).source)
    n_letters = len(set("корва мимо дом") - {" "})
    assert len(rows.spelt) == n_letters
    assert {len(spelling) for spelling in rows.spelt.values()} == {2}


def test_a_byte_is_never_spelt_by_letters() -> None:
    letters = learn([("<0x12 3456789 ABCDEF>", "<>")], character_coverage=1.0).source
    with_bytes = train_tokenizers(PAIRS, TokenizerConfig(kind=TokenizerKind.char, vocab_size=280))
    assert UNK_ID not in letters.encode(["<0x41>"])[0]
    spelt = match(letters, with_bytes.source).spelt
    assert not any("x" in piece for piece in with_bytes.source.pieces(list(spelt)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"d_model": 32}, "model.d_model=16, not 32;"),
        ({"norm": Norm.pre, "n_heads": 4}, "model.n_heads=2, not 4; model.norm=post, not pre;"),
        ({"tying": Tying.none}, "model.tying=three_way, not none;"),
        ({"embedding_scale": False}, "model.embedding_scale=true, not false;"),
    ],
)
def test_another_shape_of_the_model_names_the_settings_that_differ(
    save: Save, changed: dict[str, Any], message: str
) -> None:
    tokenizers = learn(PAIRS)
    settings, _ = save(tokenizers, SMALL)
    settings = replace(settings, model=replace(SMALL, **changed))
    model = build(settings.model, tokenizers, seed=2)
    with pytest.raises(InputError) as error:
        initialise(model, settings, tokenizers)
    assert str(error.value).startswith(f"training.init_from={settings.training.init_from} has ")
    assert message in str(error.value)


def test_dropout_may_differ(save: Save) -> None:
    tokenizers = learn(PAIRS)
    settings, _ = save(tokenizers, SMALL)
    settings = replace(settings, model=replace(SMALL, dropout=0.5, attention_dropout=0.3))
    initialise(build(settings.model, tokenizers, seed=2), settings, tokenizers)


def test_where_there_is_no_checkpoint_the_setting_is_named(tmp_path: Path) -> None:
    tokenizers = learn(PAIRS)
    training = TrainingConfig(init_from=str(tmp_path / "none"))
    settings = TrainSettings(model=SMALL, training=training)
    with pytest.raises(InputError, match=r"^training\.init_from=.*none does not exist$"):
        initialise(build(SMALL, tokenizers, seed=2), settings, tokenizers)


def test_the_log_says_how_many_pieces_were_taken_over(
    save: Save, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizers = learn(PAIRS)
    settings, _ = save(tokenizers, SMALL)
    V = tokenizers.source.vocab_size
    with caplog.at_level(logging.INFO, logger="transformer"):
        initialise(build(SMALL, tokenizers, seed=2), settings, tokenizers)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith(f"{V} of {V} pieces taken over, 0 as the mean of their parts, 0 fresh")
