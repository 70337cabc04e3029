"""Attention drawn at random."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from transformer.pictures.attention import Looks

Draw = Callable[..., Looks]


@pytest.fixture(scope="session")
def draw() -> Draw:
    """Draws the attention of a pair of sentences."""

    def draw(
        source: Sequence[str], target: Sequence[str], encoder: int = 2, decoder: int = 3, H: int = 4
    ) -> Looks:
        generator = np.random.Generator(np.random.PCG64(len(source)))
        S, T = len(source) + 1, len(target) + 1

        def weights(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
            *outer, columns = shape
            return generator.dirichlet(np.full(columns, 0.3), outer).astype(np.float32)

        causal = np.tril(weights(decoder, H, T, T) + 1e-3)
        causal /= causal.sum(-1, keepdims=True)
        return Looks(
            [*source, "</s>"],
            [*target, "</s>"],
            weights(encoder, H, S, S),
            causal.astype(np.float32),
            weights(decoder, H, T, S),
        )

    return draw
