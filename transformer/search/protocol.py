"""What the search asks of a model."""

from typing import Protocol, Self, TypeVar

from torch import Tensor


class State(Protocol):
    """What a model remembers of its source and of the tokens so far, one row a hypothesis."""

    def select(self, rows: Tensor, /) -> Self:
        """The state of the int64 `rows` [N], which may repeat or drop rows of this one."""
        ...


S = TypeVar("S", bound=State)


class Model(Protocol[S]):
    """Scores the next token of each row of its state."""

    def start(self, source: Tensor, /) -> S:
        """The state before the first token: a row for each row of `source` [B, S]."""
        ...

    def step(self, tokens: Tensor, state: S, /) -> Tensor:
        """Logits [B, T, V] of what follows each of `tokens` [B, T]; advances `state` in place."""
        ...
