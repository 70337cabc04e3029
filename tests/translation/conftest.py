"""An untrained model whose outputs differ from line to line."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sentencepiece import sentencepiece_model_pb2

from transformer.checkpoint import Contents, model_weights, save_checkpoint
from transformer.config import (
    ContextConfig,
    DataConfig,
    FilesConfig,
    ModelConfig,
    Precision,
    TokenizerConfig,
    TokenizerKind,
    TrainSettings,
    Tying,
)
from transformer.model import Transformer
from transformer.text.tokenizer import PAD_ID, Tokenizer, Tokenizers, train_tokenizers
from transformer.translation import Member, Translator
from transformer.translation.options import Options

proto: Any = sentencepiece_model_pb2  # its classes are made when it is imported

CONFIG = ModelConfig(
    encoder_layers=1, decoder_layers=1, d_model=16, d_feed_forward=16, n_heads=2, tying=Tying.none
)


@pytest.fixture(scope="session")
def tokenizers() -> Tokenizers:
    config = TokenizerConfig(kind=TokenizerKind.char, vocab_size=280)
    return train_tokenizers([("abc def", "uvw xyz")] * 9, config)


MARKS = ("<2de>", "<2zh>", "<bt>", "<sep>")  # the last pieces of `marked`


@pytest.fixture(scope="session")
def marked(tokenizers: Tokenizers) -> Tokenizers:
    """The same with control pieces."""
    model = proto.ModelProto.FromString(tokenizers.source.model)
    piece = proto.ModelProto.SentencePiece
    model.pieces.extend(piece(piece=mark, score=0, type=piece.CONTROL) for mark in MARKS)
    tokenizer = Tokenizer(model.SerializeToString())
    return Tokenizers(tokenizer, tokenizer)


def data_of(*languages: str, source: int = 0, target: int = 0) -> FilesConfig:
    """The data of a model that translates into `languages`, with sentences before each one."""
    return FilesConfig(
        source="en",
        target=languages[0],
        train=[{"path": language, "target": language} for language in languages],
        valid="valid",
        context=ContextConfig(source=source, target=target),
    )


def build(tokenizers: Tokenizers, settings: TrainSettings, options: Options | None) -> Translator:
    size = tokenizers.source.vocab_size
    model = Transformer(CONFIG, source_vocab_size=size, target_vocab_size=size, pad_id=PAD_ID)
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data = 0.7 * torch.randn(parameter.shape, generator=generator)
    return Translator(
        [Member(model.double().eval(), settings)],
        tokenizers,
        torch.device("cpu"),
        Precision.fp32,
        options=options,
    )


@pytest.fixture
def translator(tokenizers: Tokenizers) -> Translator:
    """In float64, so that no rounding lets a line depend on its neighbours."""
    return build(tokenizers, TrainSettings(model=CONFIG), None)


@pytest.fixture
def translator_of(marked: Tokenizers) -> Callable[..., Translator]:
    """Makes translators of models with tags and context, in float64 as well."""

    def make(data: DataConfig, **options: Any) -> Translator:
        asked = Options(**{"max_source_pieces": 256, **options})
        return build(marked, TrainSettings(model=CONFIG, data=data), asked)

    return make


def save(translator: Translator, folder: Path) -> Path:
    """The model on disk, in float32."""
    weights = {
        name: weight.float() for name, weight in model_weights(translator.members[0].model).items()
    }
    contents = Contents(weights, translator.settings, translator.tokenizers, {}, None)
    save_checkpoint(folder, contents)
    return folder


@pytest.fixture
def checkpoint(translator: Translator, tmp_path: Path) -> Path:
    """The model of `translator` on disk."""
    return save(translator, tmp_path / "model")


@pytest.fixture
def checkpoint_of(translator_of: Callable[..., Translator], tmp_path: Path) -> Callable[..., Path]:
    """Puts models with tags and context on disk."""

    def make(data: DataConfig, name: str = "model") -> Path:
        return save(translator_of(data), tmp_path / name)

    return make


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
