"""Encoder and decoder layers."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from transformer.config import ModelConfig, Norm
from transformer.model.attention import CrossAttention, KeyValue, Mask, SelfAttention
from transformer.model.cache import Cache
from transformer.model.dropout import Dropout

Sublayer = Callable[[Tensor], Tensor]


class PostNorm(nn.Module):
    """A residual connection normalised after the sum (Vaswani et al., 2017, section 3.1)."""

    def __init__(self, d_model: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, sublayer: Sublayer) -> Tensor:
        """`x` and what `sublayer` makes of it, summed, both [B, T, D]."""
        return self.norm(x + self.dropout(sublayer(x)))  # type: ignore[no-any-return]


class PreNorm(PostNorm):
    """A residual connection whose sub-layer sees its input normalised (Wang et al., 2019).

    The residual stream itself is never normalised, so a stack of these ends with a LayerNorm.
    """

    def forward(self, x: Tensor, sublayer: Sublayer) -> Tensor:
        """`x` and what `sublayer` makes of it, summed, both [B, T, D]."""
        return x + self.dropout(sublayer(self.norm(x)))  # type: ignore[no-any-return]


RESIDUALS = {Norm.post: PostNorm, Norm.pre: PreNorm}


def build_residual(config: ModelConfig) -> PostNorm:
    """The residual connection of `config.norm`."""
    return RESIDUALS[config.norm](config.d_model, config.dropout)


def build_final_norm(config: ModelConfig) -> nn.Module:
    """What a stack of layers ends with."""
    return nn.LayerNorm(config.d_model) if config.norm is Norm.pre else nn.Identity()


def build_self_attention(config: ModelConfig) -> SelfAttention:
    """Self-attention of the model's width."""
    return SelfAttention(config.d_model, config.n_heads, config.attention_dropout)


class FeedForward(nn.Module):
    """The position-wise network, D to F to D (Vaswani et al., 2017, equation 2)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.inner = nn.Linear(config.d_model, config.d_feed_forward)
        self.outer = nn.Linear(config.d_feed_forward, config.d_model)
        self.dropout = Dropout(config.feed_forward_dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] to [B, T, D]."""
        inner = F.relu(self.inner(x), inplace=True)
        return self.outer(self.dropout(inner))  # type: ignore[no-any-return]


class EncoderLayer(nn.Module):
    """Self-attention over the source, then the feed-forward network."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention = build_self_attention(config)
        self.attention_residual = build_residual(config)
        self.feed_forward = FeedForward(config)
        self.feed_forward_residual = build_residual(config)

    def forward(self, x: Tensor, mask: Mask) -> Tensor:
        """[..., S, D] to [..., S, D]; `mask` lets real tokens be seen."""

        def attend(y: Tensor) -> Tensor:
            return self.attention.gather(*self.attention.project(y), mask)

        x = self.attention_residual(x, attend)
        return self.feed_forward_residual(x, self.feed_forward)  # type: ignore[no-any-return]


class DecoderLayer(nn.Module):
    """Masked self-attention over the target, cross-attention, feed-forward network."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attention = build_self_attention(config)
        self.self_residual = build_residual(config)
        self.cross_attention = CrossAttention(
            config.d_model, config.n_heads, config.attention_dropout
        )
        self.cross_residual = build_residual(config)
        self.feed_forward = FeedForward(config)
        self.feed_forward_residual = build_residual(config)

    def forward(
        self,
        x: Tensor,
        past: Cache | None,
        causal: Mask,
        memory: KeyValue,
        source: Mask,
    ) -> tuple[Tensor, KeyValue]:
        """`x` [..., T, D] transformed, and the keys and values of its positions.

        `past` holds those of the positions before, and takes these in; `causal` lets no position
        see a later one, `source` lets real tokens be seen.
        """
        own: KeyValue | None = None

        def attend(y: Tensor) -> Tensor:
            nonlocal own
            query, own = self.self_attention.project(y)
            present = own if past is None else past.append(own)
            return self.self_attention.gather(query, present, causal)

        x = self.self_residual(x, attend)
        x = self.cross_residual(x, lambda y: self.cross_attention(y, memory, source))
        assert own is not None
        return self.feed_forward_residual(x, self.feed_forward), own
