"""One hypothesis as the caller sees it, and many as the search holds them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """An output of the search."""

    tokens: list[int]  # without BOS and EOS
    score: float  # by which it was ranked
    log_probability: float  # of the tokens and of the EOS behind them
    token_log_probabilities: list[float]  # of each of them, EOS included where there is one
    finished: bool  # False: cut at the length limit, before any EOS


@dataclass
class Hypotheses:
    """N hypotheses of each of B sentences; one that scores -inf is an empty place.

    All begin with BOS. One that is shorter than the others is filled up with EOS, so that a
    hypothesis is finished exactly if it holds EOS.
    """

    tokens: Tensor  # [B, N, T]
    steps: Tensor  # [B, N, T], log-probability of each token; 0 of BOS
    log_probabilities: Tensor  # [B, N], their sums
    scores: Tensor  # [B, N]

    def only(self, mask: Tensor) -> "Hypotheses":
        """Those where `mask` [B, N] is True; the other places are empty."""
        return replace(
            self,
            log_probabilities=self.log_probabilities.masked_fill(~mask, -math.inf),
            scores=self.scores.masked_fill(~mask, -math.inf),
        )

    def filled_up(self, length: int, eos_id: int) -> "Hypotheses":
        """The same with so many EOS that all have `length` tokens."""
        missing = length - self.tokens.size(2)
        tokens = F.pad(self.tokens, (0, missing), value=eos_id)
        return replace(self, tokens=tokens, steps=F.pad(self.steps, (0, missing)))

    def beside(self, other: "Hypotheses") -> "Hypotheses":
        """These and then the `other` ones of the same sentences."""
        return Hypotheses(
            torch.cat((self.tokens, other.tokens), dim=1),
            torch.cat((self.steps, other.steps), dim=1),
            torch.cat((self.log_probabilities, other.log_probabilities), dim=1),
            torch.cat((self.scores, other.scores), dim=1),
        )

    def best(self, n: int) -> "Hypotheses":
        """The `n` with the best scores, in their order."""
        scores, places = self.scores.topk(n)
        return Hypotheses(
            self.tokens.take_along_dim(places.unsqueeze(2), dim=1),
            self.steps.take_along_dim(places.unsqueeze(2), dim=1),
            self.log_probabilities.gather(1, places),
            scores,
        )

    def of(self, sentences: Tensor) -> "Hypotheses":
        """The hypotheses of some `sentences`: an int64 index, or a mask [B]."""
        return Hypotheses(
            self.tokens[sentences],
            self.steps[sentences],
            self.log_probabilities[sentences],
            self.scores[sentences],
        )

    def in_groups(self, n: int) -> "Hypotheses":
        """The same with each sentence's hypotheses cut into `n` groups, a sentence a group."""
        return Hypotheses(
            self.tokens.unflatten(1, (n, -1)).flatten(0, 1),  # type: ignore[no-untyped-call]
            self.steps.unflatten(1, (n, -1)).flatten(0, 1),  # type: ignore[no-untyped-call]
            self.log_probabilities.reshape(len(self.scores) * n, -1),
            self.scores.reshape(len(self.scores) * n, -1),
        )

    def read(self, eos_id: int) -> Iterator[list[Hypothesis]]:
        """The hypotheses of each sentence in turn, without the empty places."""
        table = (self.tokens[:, :, 1:], self.steps[:, :, 1:], self.scores, self.log_probabilities)
        for rows in zip(*(column.tolist() for column in table), strict=True):
            yield [
                _read(tokens, steps, score, log_probability, eos_id)
                for tokens, steps, score, log_probability in zip(*rows, strict=True)
                if score > -math.inf
            ]


def _read(
    tokens: list[int], steps: list[float], score: float, log_probability: float, eos_id: int
) -> Hypothesis:
    finished = eos_id in tokens
    length = tokens.index(eos_id) if finished else len(tokens)
    return Hypothesis(
        tokens=tokens[:length],
        score=score,
        log_probability=log_probability,
        token_log_probabilities=steps[: length + finished],
        finished=finished,
    )
