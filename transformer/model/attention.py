"""Multi-head attention, in two parts: what is looked at, and the looking."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class KeyValue(NamedTuple):
    """Keys and values of one layer, each [B, H, S, C]."""

    key: Tensor
    value: Tensor

    def append(self, other: "KeyValue") -> "KeyValue":
        """These positions, then those of `other`."""
        return KeyValue(
            torch.cat([self.key, other.key], dim=2), torch.cat([self.value, other.value], dim=2)
        )

    def select(self, rows: Tensor) -> "KeyValue":
        """The sentences `rows`."""
        return KeyValue(self.key.index_select(0, rows), self.value.index_select(0, rows))


class Attention(nn.Module):
    """Scaled dot-product attention with H heads.

    Vaswani et al., 2017, section 3.2; with biases in all four projections.
    """

    def __init__(self, d_model: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.dropout = dropout
        self.query = nn.Linear(d_model, d_model)
        self.key_value = nn.Linear(d_model, 2 * d_model)
        self.output = nn.Linear(d_model, d_model)

    def project(self, memory: Tensor) -> KeyValue:
        """Keys and values of `memory` [B, S, D]."""
        key_value = self.key_value(memory).unflatten(-1, (2, self.n_heads, -1))  # [B, S, 2, H, C]
        key, value = key_value.permute(2, 0, 3, 1, 4).unbind(0)  # [B, H, S, C]
        return KeyValue(key, value)

    def forward(self, x: Tensor, memory: KeyValue, mask: Tensor | None) -> Tensor:
        """What each position of `x` [B, T, D] gathers from `memory`: [B, T, D].

        `mask` is boolean, True = may attend, and broadcasts to [B, H, T, S].
        """
        query = self.heads(self.query(x))
        gathered = F.scaled_dot_product_attention(
            query,
            memory.key,
            memory.value,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.output(gathered.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def heads(self, query: Tensor) -> Tensor:
        """[B, T, D] cut into heads: [B, H, T, C]."""
        heads: Tensor = query.unflatten(-1, (self.n_heads, -1))  # type: ignore[no-untyped-call]
        return heads.transpose(1, 2)


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    """The distribution [B, H, T, S] of `query` [B, H, T, C] over `key` [B, H, S, C].

    Vaswani et al., 2017, equation 1, at least in fp32. `mask` as in `Attention.forward`; each
    position must be allowed to attend somewhere.
    """
    dtype = torch.promote_types(query.dtype, torch.float32)
    with torch.autocast(query.device.type, enabled=False):
        scaled = query.to(dtype) * query.shape[-1] ** -0.5
        scores: Tensor = scaled @ key.to(dtype).transpose(-1, -2)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        return scores.softmax(-1)
