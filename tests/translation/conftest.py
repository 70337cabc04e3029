"""An untrained model whose outputs differ from line to line."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from transformer.checkpoint import Contents, model_weights, save_checkpoint
from transformer.config import (
    ModelConfig,
    Precision,
    TokenizerConfig,
    TokenizerKind,
    TrainSettings,
    Tying,
)
from transformer.model import Transformer
from transformer.text.tokenizer import PAD_ID, Tokenizers, train_tokenizers
from transformer.translation import Member, Translator

CONFIG = ModelConfig(
    encoder_layers=1, decoder_layers=1, d_model=16, d_feed_forward=16, n_heads=2, tying=Tying.none
)


@pytest.fixture(scope="session")
def tokenizers() -> Tokenizers:
    config = TokenizerConfig(kind=TokenizerKind.char, vocab_size=280)
    return train_tokenizers([("abc def", "uvw xyz")] * 9, config)


@pytest.fixture
def translator(tokenizers: Tokenizers) -> Translator:
    """In float64, so that no rounding lets a line depend on its neighbours."""
    size = tokenizers.source.vocab_size
    model = Transformer(CONFIG, source_vocab_size=size, target_vocab_size=size, pad_id=PAD_ID)
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data = 0.7 * torch.randn(parameter.shape, generator=generator)
    return Translator(
        [Member(model.double().eval(), TrainSettings(model=CONFIG))],
        tokenizers,
        torch.device("cpu"),
        Precision.fp32,
    )


@pytest.fixture
def checkpoint(translator: Translator, tmp_path: Path) -> Path:
    """The same model on disk, in float32."""
    weights = {
        name: weight.float() for name, weight in model_weights(translator.members[0].model).items()
    }
    contents = Contents(weights, translator.settings, translator.tokenizers, {}, None)
    save_checkpoint(tmp_path / "model", contents)
    return tmp_path / "model"


@pytest.fixture
def draw_lines() -> Callable[[int], list[str]]:
    """Draws lines of unequal length, every fourth one blank."""

    def draw(n: int) -> list[str]:
        generator = random.Random(n)
        lines = [
            "".join(generator.choices("abcdef ", k=generator.randint(1, 14))) for _ in range(n)
        ]
        return [line if i % 4 else " " * (i % 3) for i, line in enumerate(lines)]

    return draw
