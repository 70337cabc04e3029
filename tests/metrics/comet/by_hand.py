"""Scores as the papers and the format say, without batches."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch
from numpy.typing import NDArray

from tests.metrics.comet.tiny import N_LAYERS, POSITIONS, REFERENCELESS, tiny_encoder

Floats = NDArray[np.float64]


class ByHand:
    """Scores one by one, in float64, without padding, as the papers and the format say."""

    def __init__(self, root: Path, settings: Mapping[str, Any]) -> None:
        content = torch.load(root / "checkpoints" / "model.ckpt", weights_only=True)
        self.settings = settings
        self.weights = {k: v.double().numpy() for k, v in content["state_dict"].items()}
        self.encoder = tiny_encoder().double()
        self.encoder.load_state_dict(
            {
                name.removeprefix("encoder.model."): value
                for name, value in content["state_dict"].items()
                if name.startswith("encoder.")
            }
        )
        model = root / "encoder" / "sentencepiece.bpe.model"
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(model))

    def ids(self, text: str) -> list[int]:
        """XLM-R's: SentencePiece's moved by one, beside <s> 0, <pad> 1, </s> 2 and <unk> 3."""
        ids: list[int] = []
        for i, part in enumerate(text.split("<pad>")):
            for j, words in enumerate(part.split("</s>")):
                ids += [1] * (i > 0 and j == 0) + [2] * (j > 0)
                ids += [piece + 1 if piece else 3 for piece in self.pieces.encode(words)]
        return [0, *ids[: POSITIONS - 6], 2]

    def vector(self, ids: list[int], pool: str) -> Floats:
        with torch.no_grad():
            tokens = torch.tensor([ids])
            found = self.encoder(
                tokens, attention_mask=torch.ones_like(tokens), output_hidden_states=True
            )
        layers = [layer[0].numpy() for layer in found.hidden_states]
        if pool == "default":
            return np.asarray(layers[-1][0])
        states = self.mixed(layers)
        words = np.array(ids) != 1
        if pool == "cls":
            return np.asarray(states[0])
        kept = states[words]
        return np.asarray(kept.max(0) if pool == "max" else kept.sum(0) / len(ids))

    def mixed(self, layers: list[Floats]) -> Floats:
        if isinstance(self.settings["layer"], int):
            return layers[self.settings["layer"]]
        if self.settings["layer_norm"]:
            layers = [(x - x.mean()) / x.std() for x in layers]
        names = [f"layerwise_attention.scalar_parameters.{i}" for i in range(N_LAYERS)]
        values = np.concatenate([self.weights[name] for name in names])
        sparse = self.settings["layer_transformation"] == "sparsemax"
        shares = projected(values) if sparse else np.exp(values) / np.exp(values).sum()
        mixed = sum(share * layer for share, layer in zip(shares, layers, strict=True))
        return np.asarray(self.weights["layerwise_attention.gamma"] * mixed)

    def estimate(self, features: Floats) -> float:
        for i in range(3):
            weight, bias = (self.weights[f"estimator.ff.{3 * i}.{p}"] for p in ("weight", "bias"))
            features = weight @ features + bias
            features = np.tanh(features) if i < 2 else features
        last = float(features[0])
        return 1 / (1 + np.exp(-last)) if self.settings["final_activation"] else last

    def apart(self, kind: str, texts: Sequence[str]) -> float:
        src, mt, ref = (self.vector(self.ids(text), self.settings["pool"]) for text in texts)
        of_source = [mt * src, abs(mt - src)]
        if kind == REFERENCELESS:
            return self.estimate(np.concatenate([mt, src, *of_source]))
        return self.estimate(np.concatenate([mt, ref, mt * ref, abs(mt - ref), *of_source]))

    def together(self, *texts: str) -> float:
        ids = [0]
        for i, text in enumerate(texts):
            ids += [2] * (i > 0) + [token for token in self.ids(text)[1:] if token != 1]
        return self.estimate(self.vector(ids[: POSITIONS - 2], "cls"))


def projected(values: Floats) -> Floats:
    """The nearest point with shares that add up to 1, by bisection."""
    low, high = values.min() - 1, values.max()
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(values - middle, 0).sum() > 1 else (low, middle)
    return np.asarray(np.maximum(values - low, 0))
