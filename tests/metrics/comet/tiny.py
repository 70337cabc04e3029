"""Tiny models in the format of COMET's official ones, and lines to score with them."""

import importlib.util
import random
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from transformer.config.metrics import CometConfig
from transformer.metrics.comet import comet_scores

Weights = dict[str, torch.Tensor]

needs_encoders = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="the extra comet is not installed"
)

REGRESSION, REFERENCELESS = "regression_metric", "referenceless_regression_metric"
UNIFIED = "unified_metric"
N_LAYERS, WIDTH, POSITIONS = 3, 12, 30
CONFIG: dict[str, Any] = {
    "model_type": "xlm-roberta",
    "vocab_size": 72,
    "hidden_size": WIDTH,
    "num_hidden_layers": N_LAYERS - 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": POSITIONS,
    "type_vocab_size": 1,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
HPARAMS: dict[str, Any] = {
    "encoder_model": "XLM-RoBERTa",
    "pretrained_model": "somewhere/tiny",
    "pool": "avg",
    "layer": "mix",
    "sent_layer": "mix",
    "layer_transformation": "softmax",
    "layer_norm": False,
    "hidden_sizes": [10, 6],
    "activations": "Tanh",
    "final_activation": None,
    "input_segments": ["mt", "src", "ref"],
    "train_data": ["no file"],
}
Save = Callable[..., Path]
SYLLABLES = ["ba", "ko", "mi", "lu", "ren", "schö", "ß", "汉", "ing", "tan"]


def sentence(rng: random.Random, n_words: int) -> str:
    return " ".join("".join(rng.choices(SYLLABLES, k=rng.randint(1, 3))) for _ in range(n_words))


def made_lines(seed: int) -> list[str]:
    """Short and long, empty, with unknown characters, and with words for special tokens."""
    rng = random.Random(seed)
    lines = [sentence(rng, n) for n in (1, 2, 5, 3, 40, 1, 4)]
    return [*lines, "", "  ", "ba <pad> ko", "☃ mi </s> lu", lines[1]]


SOURCES, TRANSLATIONS, REFERENCES = made_lines(1), made_lines(2), made_lines(3)
TRANSLATIONS[3] = ""  # where source and reference are not


def made_weights(kind: str, settings: Mapping[str, Any]) -> Weights:
    """Names and shapes as recorded from a checkpoint of unbabel-comet 2.2.7."""
    noise = torch.Generator().manual_seed(7)
    shapes: dict[str, Sequence[int]] = {}
    if settings["layer"] == "mix":
        shapes |= {"layerwise_attention.gamma": [1]}
        shapes |= {f"layerwise_attention.scalar_parameters.{i}": [1] for i in range(N_LAYERS)}
        shapes |= {f"layerwise_attention.dropout_{name}": [N_LAYERS] for name in ("mask", "fill")}
    sizes = [WIDTH * {REGRESSION: 6, REFERENCELESS: 4}.get(kind, 1), *settings["hidden_sizes"], 1]
    for i, (d_in, d_out) in enumerate(pairwise(sizes)):
        shapes |= {
            f"estimator.ff.{3 * i}.weight": [d_out, d_in],
            f"estimator.ff.{3 * i}.bias": [d_out],
        }
    weights = {name: torch.randn(*shape, generator=noise) for name, shape in shapes.items()}
    if importlib.util.find_spec("transformers") is not None:
        for name, value in tiny_encoder().state_dict().items():
            jitter = 0.3 * torch.randn(value.shape, generator=noise)
            weights[f"encoder.model.{name}"] = value.detach() + jitter
    return weights


def tiny_encoder() -> torch.nn.Module:
    import transformers

    torch.manual_seed(0)
    config = transformers.XLMRobertaConfig(**CONFIG)
    model: torch.nn.Module = transformers.XLMRobertaModel(config, add_pooling_layer=False)
    return model.eval()


def scores(
    root: Path, references: list[str] | None = REFERENCES, batch_size: int = 4
) -> list[float]:
    config = CometConfig(model=str(root), batch_size=batch_size)
    return comet_scores(SOURCES, TRANSLATIONS, references, config)


def change(root: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Rewrite the weights' file of `root` after `edit`."""
    file = root / "checkpoints" / "model.ckpt"
    content = torch.load(file, weights_only=True)
    edit(content)
    torch.save(content, file)
