"""Tiny models on the disk."""

import io
import json
import random
from pathlib import Path

import pytest
import sentencepiece
import torch
import yaml

from tests.metrics.comet.tiny import CONFIG, HPARAMS, REGRESSION, Save, made_weights, sentence


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an encoder's settings and SentencePiece model, as XLM-R has them."""
    folder, model, rng = tmp_path_factory.mktemp("encoder"), io.BytesIO(), random.Random(0)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(sentence(rng, 8) for _ in range(300)),
        model_writer=model,
        vocab_size=CONFIG["vocab_size"] - 2,
        minloglevel=2,
    )
    (folder / "sentencepiece.bpe.model").write_bytes(model.getvalue())
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


@pytest.fixture
def save(tmp_path: Path, encoder: Path) -> Save:
    """A function that writes a model as the official package does, and returns its folder."""

    def write(kind: str = REGRESSION, name: str = "tiny-comet", **hparams: object) -> Path:
        root, settings = tmp_path / name, {**HPARAMS, **hparams}
        (root / "checkpoints").mkdir(parents=True)
        (root / "encoder").symlink_to(encoder)
        (root / "hparams.yaml").write_text(yaml.safe_dump({**settings, "class_identifier": kind}))
        content = {
            "epoch": 1,
            "pytorch-lightning_version": "2.6.6",
            "state_dict": made_weights(kind, settings),
            "callbacks": {},
            "optimizer_states": [],
            "hyper_parameters": settings,
        }
        torch.save(content, root / "checkpoints" / "model.ckpt")
        return root

    return write
