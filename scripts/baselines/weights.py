"""A model's weights by the project's own names, as arrays that every system can be made of.

It needs NumPy alone, so that systems run in environments of their own. Beside the parameters there
are `target_embedding.weight` and `output.weight`, tied or not, and `positions` [longest, D].
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

Shape = Mapping[str, Any]  # fields of the project's ModelConfig
Weights = Mapping[str, Any]  # arrays

# What each layer of either stack is made of, in the order in which it is run.
PARTS = {
    "encoder": {"attention": "attention_residual", "feed_forward": "feed_forward_residual"},
    "decoder": {
        "self_attention": "self_residual",
        "cross_attention": "cross_residual",
        "feed_forward": "feed_forward_residual",
    },
}
# The linear layers of a part: how many matrices lie on one another in each.
LINEAR = {
    "attention": {"query_key_value": 3, "output": 1},
    "self_attention": {"query_key_value": 3, "output": 1},
    "cross_attention": {"query": 1, "key_value": 2, "output": 1},
}


def read(file: str) -> dict[str, Any]:
    """The weights that `write` kept."""
    with np.load(file) as arrays:
        return dict(arrays)


def write(weights: Weights, file: Path) -> None:
    """Keep `weights` in `file`, which is NumPy's .npz."""
    np.savez(file, **weights)  # type: ignore[arg-type,unused-ignore]


def projections(weights: Weights, name: str) -> Iterator[tuple[Any, Any]]:
    """Weight and bias of each projection of the attention `name`: query, key, value, output."""
    for linear, n in LINEAR[name.rpartition(".")[2]].items():
        yield from zip(
            np.split(weights[f"{name}.{linear}.weight"], n),
            np.split(weights[f"{name}.{linear}.bias"], n),
            strict=True,
        )


def draw(shape: Shape, vocab_size: int, longest: int) -> dict[str, Any]:
    """Random weights: matrices and positions with standard deviation D ** -0.5, no biases."""
    d_model = shape["d_model"]
    generator = np.random.Generator(np.random.PCG64(1))

    def matrix(n_rows: int, n_columns: int) -> Any:
        drawn = generator.standard_normal((n_rows, n_columns), dtype=np.float32)
        return drawn * np.float32(d_model**-0.5)

    embedding = matrix(vocab_size, d_model)
    weights = {"positions": matrix(longest, d_model)}
    for name in ("source_embedding", "target_embedding", "output"):
        weights[f"{name}.weight"] = embedding
    for name, n_out, n_in in _linear_layers(shape):
        weights |= {f"{name}.weight": matrix(n_out, n_in), f"{name}.bias": _filled(n_out, 0)}
    for name in _norms(shape):
        weights |= {f"{name}.weight": _filled(d_model, 1), f"{name}.bias": _filled(d_model, 0)}
    return weights


def _filled(n: int, value: float) -> Any:
    return np.full(n, value, np.float32)


def _layers(shape: Shape) -> Iterator[tuple[str, dict[str, str]]]:
    """The name and the parts of each layer."""
    for stack, parts in PARTS.items():
        for number in range(shape[f"{stack}_layers"]):
            yield f"{stack}.{number}", parts


def _linear_layers(shape: Shape) -> Iterator[tuple[str, int, int]]:
    """The name of each linear layer, and its widths: out of it, into it."""
    D, F = shape["d_model"], shape["d_feed_forward"]
    for layer, parts in _layers(shape):
        for part in parts:
            for linear, n in LINEAR.get(part, {}).items():
                yield f"{layer}.{part}.{linear}", n * D, D
        yield from [(f"{layer}.feed_forward.inner", F, D), (f"{layer}.feed_forward.outer", D, F)]


def _norms(shape: Shape) -> Iterator[str]:
    """The name of each layer norm."""
    of_layers = (
        f"{layer}.{residual}.norm" for layer, parts in _layers(shape) for residual in parts.values()
    )
    final = ["encoder_norm", "decoder_norm"] if shape["norm"] == "pre" else []
    return chain(of_layers, final)
