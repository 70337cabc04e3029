"""Which continuations of a beam are kept."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Candidates:
    """All continuations of the K live hypotheses of B sentences.

    The log-probability of a hypothesis with one more token is its `offset` and that token's logit:
    the offset is the log-probability so far less the logarithm of the sum of exponentials.
    """

    logits: Tensor  # [B, K, V]; -inf: may not follow
    offsets: Tensor  # [B, K]; -inf: no hypothesis


@dataclass(frozen=True)
class Chosen:
    """The K' continuations that are kept, best first; what is -inf is an empty place."""

    log_probabilities: Tensor  # [B, K'], of the hypotheses with their new token
    parents: Tensor  # [B, K'], places of the hypotheses continued
    tokens: Tensor  # [B, K']


class Selection(Protocol):
    """A way of choosing among continuations."""

    def choose(self, candidates: Candidates, n: int) -> Chosen:
        """The best `n` of the `candidates` of each sentence, or all if they are fewer."""
        ...
