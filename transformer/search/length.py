"""What the log-probability of a hypothesis is divided by, so that long ones can compete."""

from transformer.config import LengthNormalization, SearchConfig


def normaliser(length: int, config: SearchConfig) -> float:
    """The divisor for a hypothesis of `length` tokens, EOS counted; it never falls with length.

    `wu` is the length penalty of Wu et al., 2016, equation 14; their coverage penalty is left out.
    """
    match config.normalization:
        case LengthNormalization.wu:
            return float(((5 + length) / 6) ** config.length_penalty)
        case LengthNormalization.plain:
            return float(length**config.length_penalty)
        case LengthNormalization.none:
            return 1.0
