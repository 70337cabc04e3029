"""What may follow a hypothesis."""

from typing import Protocol

from torch import Tensor


class Rule(Protocol):
    """Something that the outputs of B sentences must keep to, while K of each grow."""

    def restrict(self, logits: Tensor, tokens: Tensor) -> None:
        """Set to -inf, in `logits` [B, K, V], what may not follow `tokens` [B, K, T].

        The tokens begin with BOS. They are those that the last call of `follow` made.
        """
        ...

    def follow(self, parents: Tensor, tokens: Tensor) -> None:
        """The outputs are those of the places `parents` [B, K'], each with one of `tokens` more."""
        ...

    def keep(self, sentences: Tensor) -> None:
        """Forget all but the int64 `sentences`, which stay in order."""
        ...
