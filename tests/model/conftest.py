"""Small models whose weights tell positions, heads and layers apart."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from transformer.config import ModelConfig, Tying
from transformer.model import Transformer

VOCAB_SIZE = 23
PAD = 0


@pytest.fixture
def build_model() -> Callable[..., Transformer]:
    """Builds a model in evaluation mode, in float64 if not told otherwise.

    Every parameter is drawn at random, so that biases and normalisations have an effect.
    """

    def build(dtype: torch.dtype = torch.float64, **settings: Any) -> Transformer:
        config = {
            "encoder_layers": 2,
            "decoder_layers": 3,
            "d_model": 16,
            "d_feed_forward": 24,
            "n_heads": 4,
            "tying": Tying.two_way,
            **settings,
        }
        generator = torch.Generator().manual_seed(5)
        model = Transformer(
            ModelConfig(**config),
            source_vocab_size=VOCAB_SIZE,
            target_vocab_size=VOCAB_SIZE,
            pad_id=PAD,
        )
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data = 0.4 * noise + parameter.data.mean().round()
        return model.to(dtype).eval()

    return build


@pytest.fixture
def source() -> torch.Tensor:
    """Four sentences of unequal length, padded on the right: [4, 7]."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(4, VOCAB_SIZE, (4, 7), generator=generator)
    lengths = torch.tensor([7, 2, 5, 1])
    return tokens.masked_fill(torch.arange(7) >= lengths[:, None], PAD)


@pytest.fixture
def target() -> torch.Tensor:
    """What the decoder reads, [4, 9]."""
    generator = torch.Generator().manual_seed(2)
    return torch.randint(4, VOCAB_SIZE, (4, 9), generator=generator)
