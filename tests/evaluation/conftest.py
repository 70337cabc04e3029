"""A run's folder with an untrained checkpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from transformer.checkpoint import Contents, link_checkpoint, model_weights, save_checkpoint
from transformer.config import (
    FilesConfig,
    ModelConfig,
    SearchConfig,
    TokenizerConfig,
    TrainSettings,
)
from transformer.model import Transformer
from transformer.text.tokenizer import PAD_ID, train_tokenizers

Pairs = list[tuple[str, str]]
Write = Callable[..., None]
PAIRS = [(f"the {a} is {b}", f"das {a} ist {b}") for a in "abcdef" for b in ("old", "new", "red")]


@pytest.fixture
def pairs() -> Pairs:
    """Those of all splits."""
    return PAIRS


@pytest.fixture
def write() -> Write:
    """Writes pairs to the two files of a stem."""

    def write(stem: Path, pairs: Pairs, languages: tuple[str, str] = ("en", "de")) -> None:
        for column, language in enumerate(languages):
            text = "".join(pair[column] + "\n" for pair in pairs)
            stem.with_suffix(f".{language}").write_text(text, encoding="utf-8")

    return write


@pytest.fixture
def make_run(tmp_path: Path, write: Write) -> Callable[..., TrainSettings]:
    """Makes the folder for data with other settings, and gives the settings of all."""

    def make(**changes: Any) -> TrainSettings:
        for split in ("train", "valid", "test"):
            write(tmp_path / split, PAIRS)
        stems = {split: str(tmp_path / split) for split in ("train", "valid", "test")}
        data: dict[str, Any] = stems | changes
        settings = TrainSettings(
            data=FilesConfig(source="en", target="de", cache_dir=str(tmp_path / "cache"), **data),
            model=ModelConfig(
                d_model=16, d_feed_forward=16, n_heads=2, encoder_layers=1, decoder_layers=1
            ),
            search=SearchConfig(beam_size=2, max_length_offset=4),
            run_dir=str(tmp_path / "run"),
        )
        tokenizers = train_tokenizers(PAIRS, TokenizerConfig(vocab_size=278))
        torch.manual_seed(1)
        size = tokenizers.source.vocab_size
        model = Transformer(
            settings.model, source_vocab_size=size, target_vocab_size=size, pad_id=PAD_ID
        )
        folder = tmp_path / "run" / "checkpoints" / "00000001"
        save_checkpoint(folder, Contents(model_weights(model), settings, tokenizers, {}, None))
        link_checkpoint("best", folder)
        (tmp_path / "run" / "translations").mkdir()
        return settings

    return make


@pytest.fixture
def settings(make_run: Callable[..., TrainSettings]) -> TrainSettings:
    """Those of a run with one test set."""
    return make_run()
