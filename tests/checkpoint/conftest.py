"""Small checkpoints."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from transformer.checkpoint import Contents, model_weights, save_checkpoint
from transformer.config import ModelConfig, TokenizerConfig, TokenizerKind, TrainSettings, Tying
from transformer.model import Transformer
from transformer.text.tokenizer import PAD_ID, Tokenizers, train_tokenizers

TRAINING = {"position": {"update": 3}, "tensors": [torch.arange(4.0)], "best": None, "name": "a"}


@pytest.fixture(scope="session")
def tokenizers() -> Tokenizers:
    config = TokenizerConfig(kind=TokenizerKind.char, vocab_size=14, byte_fallback=False)
    return train_tokenizers([("abc de", "fgh"), ("cab", "hgf fg")] * 4, config)


@pytest.fixture
def contents(tokenizers: Tokenizers) -> Callable[..., Contents]:
    """Makes the contents of a checkpoint, with weights drawn from `seed`."""

    def make(seed: int = 0, tying: Tying = Tying.three_way, **metrics: float) -> Contents:
        torch.manual_seed(seed)
        config = ModelConfig(
            encoder_layers=1,
            decoder_layers=1,
            d_model=8,
            d_feed_forward=8,
            n_heads=2,
            tying=tying,
        )
        size = tokenizers.source.vocab_size
        model = Transformer(config, source_vocab_size=size, target_vocab_size=size, pad_id=PAD_ID)
        return Contents(
            model_weights(model), TrainSettings(model=config), tokenizers, metrics, TRAINING
        )

    return make


@pytest.fixture
def saved(tmp_path: Path, contents: Callable[..., Contents]) -> Path:
    folder = tmp_path / "run" / "checkpoints" / "00000003"
    save_checkpoint(folder, contents(loss=1.5))
    return folder


@pytest.fixture
def read_all() -> Callable[[Path], dict[str, bytes]]:
    """Reads all files under a folder."""

    def read(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    return read
