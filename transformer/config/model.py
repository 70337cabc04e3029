"""Settings of the Transformer."""

from dataclasses import dataclass
from enum import Enum

from transformer.errors import require


class Norm(Enum):
    """Where a sub-layer is normalised: after the residual sum (the paper), or on its input."""

    post = "post"
    pre = "pre"


class Tying(Enum):
    """Which embedding matrices are one parameter.

    `three_way`: source, target and output (Press and Wolf, 2017; Vaswani et al., 2017, section
    3.4); `two_way`: target and output; `none`: each its own.
    """

    three_way = "three_way"
    two_way = "two_way"
    none = "none"


@dataclass(kw_only=True)
class ModelConfig:
    """Shape and dropout; the defaults are the base model of Vaswani et al. (2017), table 3."""

    encoder_layers: int = 6
    decoder_layers: int = 6
    d_model: int = 512
    d_feed_forward: int = 2048
    n_heads: int = 8
    norm: Norm = Norm.post
    tying: Tying = Tying.three_way
    embedding_scale: bool = True  # multiply embeddings by sqrt(d_model)
    dropout: float = 0.1  # on what each sub-layer adds to its residual
    embedding_dropout: float = 0.1  # on the sum of embedding and position
    attention_dropout: float = 0.0  # on attention weights
    feed_forward_dropout: float = 0.0  # on the activation inside the feed-forward layer

    def __post_init__(self) -> None:
        sizes = ("encoder_layers", "decoder_layers", "d_model", "d_feed_forward", "n_heads")
        for name in sizes:
            value = getattr(self, name)
            require(value >= 1, f"model.{name}={value} must be at least 1")
        require(
            self.d_model % self.n_heads == 0,
            f"model.d_model={self.d_model} is not divisible by model.n_heads={self.n_heads}",
        )
        require(
            self.d_model % 2 == 0,
            f"model.d_model={self.d_model} must be even: positions are pairs of sine and cosine",
        )
        for name in ("dropout", "embedding_dropout", "attention_dropout", "feed_forward_dropout"):
            value = getattr(self, name)
            require(0 <= value < 1, f"model.{name}={value} must lie in [0, 1)")
