"""What the search asks of a model, and what a caller asks of the search."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from torch import Tensor


class State(Protocol):
    """What a model remembers of B sources and of K outputs of each so far."""

    def select(self, rows: Tensor, /) -> Self:
        """The state of the rows [B', K'] of this one, which has them sentence by sentence.

        Those of a line of `rows` (int64) continue outputs of one and the same sentence, which may
        repeat; sentences may be left out, not doubled.
        """
        ...


S = TypeVar("S", bound=State)


class Model(Protocol[S]):
    """Scores the next token of each row of its state."""

    def start(self, source: Tensor, /) -> S:
        """The state before the first token: a row for each row of `source` [B, S]."""
        ...

    def step(self, tokens: Tensor, state: S, /) -> Tensor:
        """Logits [B * K, T, V] of what follows each of `tokens` [B * K, T]; advances `state`."""
        ...


class AttendingModel(Model[S], Protocol[S]):
    """A model that also shows what it looks at."""

    def attend(self, tokens: Tensor, state: S, /) -> tuple[Tensor, Tensor]:
        """What `step` gives, and how much each position looks at the source [B * K, T, S].

        Each row is a distribution over the real tokens of its source.
        """
        ...


@dataclass(frozen=True)
class SpecialIds:
    """The tokens of the target side that are not text."""

    pad: int
    unk: int
    bos: int
    eos: int


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is asked of one sentence's outputs; lengths count EOS."""

    longest: int
    shortest: int = 1
    number: int = 0  # of the sentence among all: samples are drawn by it, whatever its batch
    # Tokens that the output begins with; then, if given, what of V may follow them, as a mask.
    prefix: Sequence[int] = ()
    after_prefix: Tensor | None = None  # [V]
    include: Sequence[Sequence[int]] = ()  # phrases of tokens that must occur
    exclude: Sequence[str] = ()  # texts that must not occur, as whole words


@dataclass(frozen=True)
class Vocabulary:
    """The text of each token, for constraints on text: SentencePiece's pieces, spaces as U+2581."""

    pieces: Sequence[str]
