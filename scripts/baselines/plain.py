"""A plain loop over torch.nn.Transformer."""

import math
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from baselines.loop import (
    DROPOUT,
    PAD_ID,
    System,
    Task,
    compete,
    n_padded,
    n_parameters,
    plain_step,
    set_dropout,
    tensors_of,
)
from torch import Tensor, nn


class PlainTransformer(nn.Module):
    """torch.nn.Transformer with tied embeddings; drops out on residuals and embeddings."""

    def __init__(self, shape: dict[str, Any], vocab_size: int, longest: int) -> None:
        super().__init__()
        d_model = shape["d_model"]
        self.embedding = nn.Embedding(vocab_size, d_model)
        nn.init.normal_(self.embedding.weight, std=d_model**-0.5)
        self.transformer = nn.Transformer(
            d_model,
            shape["n_heads"],
            shape["encoder_layers"],
            shape["decoder_layers"],
            shape["d_feed_forward"],
            DROPOUT,
            batch_first=True,
            norm_first=shape["norm"] == "pre",
        )
        for module in self.transformer.modules():
            if isinstance(module, nn.MultiheadAttention):
                module.dropout = 0.0
            if isinstance(module, nn.TransformerEncoderLayer | nn.TransformerDecoderLayer):
                set_dropout([module.dropout], 0.0)  # inside the feed-forward layer
        self.positions = nn.Buffer(sinusoids(longest, d_model))
        self.dropout = nn.Dropout(DROPOUT)

    def embed(self, tokens: Tensor) -> Tensor:
        """[B, T] to [B, T, D]."""
        x = self.embedding(tokens) * math.sqrt(self.embedding.embedding_dim)
        return self.dropout(x + self.positions[: tokens.shape[1]])  # type: ignore[no-any-return]

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Logits [B, T, V]."""
        padding = source == PAD_ID
        causal = nn.Transformer.generate_square_subsequent_mask(target.shape[1], source.device)
        hidden = self.transformer(
            self.embed(source),
            self.embed(target),
            tgt_mask=causal,
            tgt_is_causal=True,
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
        )
        return F.linear(hidden, self.embedding.weight)


def sinusoids(length: int, d_model: int) -> Tensor:
    """Positions [length, D] of sines, then cosines (Vaswani et al., 2017, section 3.5)."""
    rates = torch.exp(-math.log(10_000.0) * torch.arange(0, d_model, 2) / d_model)
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def build(task: Task) -> System:
    """The plain loop at `task`."""
    # Its encoder would use nested tensors where nobody trains and nothing is normalised first.
    warnings.filterwarnings("ignore", message="enable_nested_tensor is True")
    model = PlainTransformer(task.model, task.vocab_size, task.longest()).to(task.device)
    words = {"parameters": n_parameters(model)}
    return System(tensors_of, n_padded, plain_step(model, model, task), words)


if __name__ == "__main__":
    compete(Task.read(Path(sys.argv[1])), build)
