"""How hypotheses of different lengths compete."""

from typing import Any, TypeVar

from torch import Tensor

from transformer.config import LengthNormalization, SearchConfig

Number = TypeVar("Number", float, Tensor)


def normalised(log_probability: Number, length: Number | int, config: SearchConfig) -> Number:
    """The score of a hypothesis of `length` tokens, EOS counted; it never falls with length.

    `wu` is the length penalty of Wu et al., 2016, equation 14; `reward` that of He et al., 2016.
    """
    match config.normalization:
        case LengthNormalization.wu:
            divisor: Any = ((5 + length) / 6) ** config.length_penalty
            return log_probability / divisor  # type: ignore[no-any-return]
        case LengthNormalization.plain:
            divisor = length**config.length_penalty
            return log_probability / divisor  # type: ignore[no-any-return]
        case LengthNormalization.reward:
            return log_probability + config.length_penalty * length
        case LengthNormalization.none:
            return log_probability
