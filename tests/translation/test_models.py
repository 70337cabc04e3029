"""The models behind a translator."""

from pathlib import Path

import pytest

from transformer.checkpoint import Checkpoint, Contents, model_weights, save_checkpoint
from transformer.config import (
    AttentionConfig,
    DecodingSettings,
    EnsembleConfig,
    ModelConfig,
    TokenizerConfig,
    TokenizerKind,
    TrainSettings,
)
from transformer.errors import InputError
from transformer.search import Ensemble
from transformer.text.tokenizer import train_tokenizers
from transformer.translation import Member, Translator
from transformer.translation.models import Watched, combined, require_same_pieces


def member(n_layers: int, *, guided: float = 0.0, guided_layer: int = -1) -> Member:
    settings = TrainSettings(
        model=ModelConfig(decoder_layers=n_layers, n_heads=4, d_model=16, d_feed_forward=16)
    )
    settings.training.alignment.weight = guided
    settings.training.alignment.layer = guided_layer
    return Member(None, settings)  # type: ignore[arg-type]  # nothing of the model is asked for


def layer_of(watched: Watched, n_layers: int) -> int:
    return range(n_layers)[watched.layer]


@pytest.mark.parametrize(("n_layers", "expected"), [(1, 0), (2, 0), (6, 4)])
def test_the_last_layer_but_one_is_watched_where_there_are_two(
    n_layers: int, expected: int
) -> None:
    watched = member(n_layers).watched(AttentionConfig())
    assert layer_of(watched, n_layers) == expected
    assert list(watched.heads) == []


def test_the_layer_of_a_guided_training_is_watched() -> None:
    guided = member(6, guided=0.1, guided_layer=3)
    assert layer_of(guided.watched(AttentionConfig()), 6) == 2
    assert layer_of(guided.watched(AttentionConfig(layer=6)), 6) == 5


def test_layers_and_heads_are_counted_from_one_or_from_the_end() -> None:
    asked = {1: 0, 6: 5, -1: 5, -6: 0}
    found = {layer: layer_of(member(6).watched(AttentionConfig(layer=layer)), 6) for layer in asked}
    assert found == asked
    assert list(member(6).watched(AttentionConfig(heads=[4, 1])).heads) == [3, 0]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (AttentionConfig(layer=7), "search.attention.layer=7 is none of the 6 layers"),
        (AttentionConfig(layer=-7), "search.attention.layer=-7 is none of the 6 layers"),
        (AttentionConfig(heads=[2, 5]), r"heads=\[2, 5\] names more than the 4 heads"),
    ],
)
def test_what_no_model_has_is_named_also_where_another_has_it(
    config: AttentionConfig, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        combined([member(12), member(6)], EnsembleConfig(), config)


def test_a_single_model_is_no_ensemble() -> None:
    assert isinstance(combined([member(2)], EnsembleConfig(), AttentionConfig()), Watched)
    both = combined([member(2), member(3)], EnsembleConfig(), AttentionConfig())
    assert isinstance(both, Ensemble)


def test_models_of_different_tokenizers_are_no_ensemble(
    checkpoint: Path, translator: Translator, tmp_path: Path
) -> None:
    config = TokenizerConfig(kind=TokenizerKind.char, vocab_size=280)
    others = train_tokenizers([("abc dex", "uvw xyz")] * 9, config)
    weights = {
        name: weight.float() for name, weight in model_weights(translator.members[0].model).items()
    }
    other = tmp_path / "other"
    save_checkpoint(other, Contents(weights, translator.settings, others, {}, None))
    with pytest.raises(InputError, match=r"model and .*other have different tokenizers"):
        Translator.of(DecodingSettings(checkpoint=[str(checkpoint), str(other)], device="cpu"))
    require_same_pieces([Checkpoint(checkpoint), Checkpoint(checkpoint)])
