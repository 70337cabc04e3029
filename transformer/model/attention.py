"""Multi-head attention, in two parts: what is looked at, and the looking."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transformer.model.dropout import dropout
from transformer.model.packing import Packing

SMALL = 64 * 64  # scores of a head and a sentence
FP32_BYTES = torch.float32.itemsize


class KeyValue(NamedTuple):
    """Keys and values of one layer, each [B, H, S, C]; packed [H, N, C]."""

    key: Tensor
    value: Tensor

    def select(self, rows: Tensor) -> "KeyValue":
        """The sentences `rows`."""
        return KeyValue(self.key.index_select(0, rows), self.value.index_select(0, rows))


def is_small(query: Tensor, key_value: KeyValue) -> bool:
    """Whether plain matrix products are faster than torch's kernel.

    It is made for long sentences, and fast for single positions.
    """
    T, S = query.shape[2], key_value.key.shape[2]
    on_cpu = query.device.type == "cpu" and query.dtype.itemsize >= FP32_BYTES
    return on_cpu and T > 1 and T * S <= SMALL


class Padded(NamedTuple):
    """Attention within sentences that are padded to one length: [B, H, T, C]."""

    allowed: Tensor | None  # boolean, True = may attend, broadcasts to [B, H, T, S]; None: all
    causal: bool = False  # T = S, and each position sees itself and those before it
    # What is added to the scores of plain products, [B * H, T or 1, S]; None: made of `allowed`.
    bias: Tensor | None = None

    def with_bias(self, n_heads: int, dtype: torch.dtype) -> "Padded":
        """The same with its bias at hand, for several layers: `allowed` is the same for all heads.

        On a device that makes plain products, else as it is.
        """
        allowed = self.allowed
        if allowed is None or allowed.device.type != "cpu" or dtype.itemsize < FP32_BYTES:
            return self
        B, _, T, S = allowed.shape
        bias = torch.zeros(B, 1, T, S, dtype=dtype).masked_fill_(~allowed, float("-inf"))
        return self._replace(bias=bias.expand(-1, n_heads, -1, -1).flatten(0, 1))

    def attend(self, query: Tensor, key_value: KeyValue, dropout_p: float) -> Tensor:
        """What each `query` [B, H, T, C] gathers from `key_value`: [B, H, T, C]."""
        if is_small(query, key_value) and not torch.compiler.is_compiling():
            return self._attend_plainly(query, key_value, dropout_p)
        return F.scaled_dot_product_attention(
            query,
            key_value.key,
            key_value.value,
            attn_mask=self.allowed,
            dropout_p=dropout_p,
            is_causal=self.causal,
        )

    def _attend_plainly(self, query: Tensor, key_value: KeyValue, dropout_p: float) -> Tensor:
        B, H, T, C = query.shape
        query, key, value = (x.flatten(0, 1) for x in (query, *key_value))  # [B * H, ..., C]
        allowed, bias = self.allowed, self.bias
        if self.causal:
            allowed = causal_mask(0, T, query.device)
        scale = C**-0.5
        if bias is None and allowed is not None:
            bias = query.new_zeros(allowed.shape).masked_fill(~allowed, float("-inf"))
            bias = bias.expand(B, H, T, key.shape[1]).flatten(0, 1)
        scores = (query * scale) @ key.transpose(1, 2)  # [B * H, T, S]
        if bias is not None:
            scores += bias
        weights = dropout(scores.softmax(-1), dropout_p)
        return (weights @ value).view(B, H, T, C)


def has_kernel(query: Tensor) -> bool:
    """Whether torch's kernel for packed sentences takes `query` [..., C]."""
    if query.device.type != "cuda" or query.dtype not in {torch.float16, torch.bfloat16}:
        return False
    C = query.shape[-1]
    return C % 8 == 0 and C <= 256 and torch.cuda.get_device_capability(query.device) >= (8, 0)


def _varlen_attention() -> Callable[..., Any]:
    """Torch's kernel; its module takes a second to import, so not without need."""
    from torch.nn.attention.varlen import varlen_attn  # noqa: PLC0415

    return varlen_attn


class Packed(NamedTuple):
    """Attention within sentences that lie end to end: [H, N, C]."""

    query: Packing
    key: Packing
    causal: bool = False

    def attend(self, query: Tensor, key_value: KeyValue, dropout_p: float) -> Tensor:
        """What each `query` [H, N, C] gathers from its sentence in `key_value`: [H, N, C].

        On a GPU in half precision by torch's kernel for this, which knows no dropout.
        """
        tensors = [x.transpose(0, 1) for x in (query, *key_value)]  # [N, H, C]
        if has_kernel(query):
            assert dropout_p == 0
            gathered: Tensor = _varlen_attention()(
                *tensors,
                cu_seq_q=self.query.bounds,
                cu_seq_k=self.key.bounds,
                max_q=self.query.longest,
                max_k=self.key.longest,
                window_size=(-1, 0 if self.causal else -1),
            )
            return gathered.transpose(0, 1)
        packings = (self.query, self.key, self.key)
        padded = [
            packing.spread(x).transpose(1, 2) for packing, x in zip(packings, tensors, strict=True)
        ]
        # Padding of causal attention lies to the right, where nothing may look.
        allowed = None if self.causal else self.key.real()[:, None, None, :]
        mask = Padded(allowed, causal=self.causal)
        gathered = mask.attend(padded[0], KeyValue(padded[1], padded[2]), dropout_p)
        return self.query.pick(gathered.transpose(1, 2)).transpose(0, 1)


class Watched:
    """Attention within padded sentences that can be looked at afterwards."""

    def __init__(self, mask: Padded) -> None:
        self.mask = mask
        self.weights: list[Tensor] = []  # of each call, [B, H, T, S]

    def attend(self, query: Tensor, key_value: KeyValue, dropout_p: float) -> Tensor:
        """What each `query` [B, H, T, C] gathers from `key_value`: [B, H, T, C]."""
        allowed = self.mask.allowed
        if self.mask.causal:
            allowed = causal_mask(0, query.shape[2], query.device)
        self.weights.append(attention_weights(query, key_value.key, allowed))
        return self.mask.attend(query, key_value, dropout_p)


Mask = Padded | Packed | Watched


class AttentionWeights(NamedTuple):
    """How much each position looks at each other one, at least in fp32, by layer and head.

    A row sums to 1. What may not be seen has exactly 0; rows of padding mean nothing.
    """

    encoder: Tensor  # [L, B, H, S, S], source at source
    decoder: Tensor  # [L, B, H, T, T], target at what was read up to it
    cross: Tensor  # [L, B, H, T, S], target at source


class Attention(nn.Module):
    """Scaled dot-product attention with H heads, from queries on.

    Vaswani et al., 2017, section 3.2; with biases in all four projections.
    """

    def __init__(self, d_model: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.dropout = dropout
        self.output = nn.Linear(d_model, d_model)

    def gather(self, query: Tensor, memory: KeyValue, mask: Mask) -> Tensor:
        """What each `query` [..., H, T, C] gathers from `memory`: [..., T, D]."""
        gathered = mask.attend(query, memory, self.dropout if self.training else 0.0)
        return self.output(gathered.transpose(-2, -3).flatten(-2))  # type: ignore[no-any-return]

    def heads(self, projected: Tensor, n: int) -> tuple[Tensor, ...]:
        """`n` projections in one [..., T, n * D], cut into heads: each [..., H, T, C]."""
        parts = projected.unflatten(-1, (n, self.n_heads, -1))  # type: ignore[no-untyped-call]
        return tuple(part.transpose(-2, -3) for part in parts.unbind(-3))


class SelfAttention(Attention):
    """Attention of the positions of a sentence to each other."""

    def __init__(self, d_model: int, n_heads: int, dropout: float) -> None:
        super().__init__(d_model, n_heads, dropout)
        self.query_key_value = nn.Linear(d_model, 3 * d_model)

    def project(self, x: Tensor) -> tuple[Tensor, KeyValue]:
        """Queries [..., H, T, C], and keys and values, of `x` [..., T, D]."""
        query, key, value = self.heads(self.query_key_value(x), 3)
        return query, KeyValue(key, value)


class CrossAttention(Attention):
    """Attention of the positions of one sentence to those of another."""

    def __init__(self, d_model: int, n_heads: int, dropout: float) -> None:
        super().__init__(d_model, n_heads, dropout)
        self.query = nn.Linear(d_model, d_model)
        self.key_value = nn.Linear(d_model, 2 * d_model)

    def project(self, memory: Tensor) -> KeyValue:
        """Keys and values of `memory` [..., S, D]."""
        return KeyValue(*self.heads(self.key_value(memory), 2))

    def forward(self, x: Tensor, memory: KeyValue, mask: Mask) -> Tensor:
        """What each position of `x` [..., T, D] gathers from `memory`: [..., T, D]."""
        (query,) = self.heads(self.query(x), 1)
        return self.gather(query, memory, mask)


def causal_mask(past: int, length: int, device: torch.device) -> Tensor:
    """True where each of `length` positions after `past` others may look: [length, all]."""
    mask = torch.ones(length, past + length, dtype=torch.bool, device=device)
    return mask.tril(diagonal=past)


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    """The distribution [B, H, T, S] of `query` [B, H, T, C] over `key` [B, H, S, C].

    Vaswani et al., 2017, equation 1, at least in fp32. `mask` as in `Padded.allowed`; each
    position must be allowed to attend somewhere.
    """
    dtype = torch.promote_types(query.dtype, torch.float32)
    with torch.autocast(query.device.type, enabled=False):
        scaled = query.to(dtype) * query.shape[-1] ** -0.5
        scores: Tensor = scaled @ key.to(dtype).transpose(-1, -2)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        return scores.softmax(-1)
