"""Settings of the search for a translation."""

from dataclasses import dataclass
from enum import Enum

from transformer.errors import require


class LengthNormalization(Enum):
    """What the log-probability of a hypothesis of T tokens (with EOS) is divided by.

    `wu`: ((5 + T) / 6) ** length_penalty (Wu et al., 2016, equation 14, without the coverage
    term); `plain`: T ** length_penalty; `none`: 1.
    """

    wu = "wu"
    plain = "plain"
    none = "none"


@dataclass(kw_only=True)
class SearchConfig:
    """Beam search; beam_size=1 is greedy search."""

    beam_size: int = 5
    n_best: int = 1  # hypotheses a sentence, best first
    normalization: LengthNormalization = LengthNormalization.wu
    length_penalty: float = 1.0  # exponent of the normalisation
    # A sentence of S source pieces gets at most max_length_ratio * S + max_length_offset pieces.
    max_length_ratio: float = 1.5
    max_length_offset: int = 30
    batch_tokens: int = 16_384  # padded source pieces of a batch, times the beam

    def __post_init__(self) -> None:
        for name in ("beam_size", "n_best", "batch_tokens"):
            value = getattr(self, name)
            require(value >= 1, f"search.{name}={value} must be at least 1")
        require(
            self.n_best <= self.beam_size,
            f"search.n_best={self.n_best} is larger than search.beam_size={self.beam_size}",
        )
        require(
            0 <= self.length_penalty <= 10,
            f"search.length_penalty={self.length_penalty} must lie in [0, 10]",
        )
        require(
            0 <= self.max_length_ratio <= 100,
            f"search.max_length_ratio={self.max_length_ratio} must lie in [0, 100]",
        )
        require(
            self.max_length_offset >= 1,
            f"search.max_length_offset={self.max_length_offset} must be at least 1",
        )
