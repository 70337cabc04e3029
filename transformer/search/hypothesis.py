"""One hypothesis as the caller sees it, and many as the search holds them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Hypothesis:
    """An output of the search."""

    tokens: list[int]  # without BOS and EOS
    score: float  # log_probability, normalised for length
    log_probability: float  # of the tokens and of the EOS behind them
    finished: bool  # False: cut at the length limit, before any EOS


@dataclass
class Hypotheses:
    """N hypotheses of each of B sentences; one that scores -inf is an empty place.

    All begin with BOS. One that is shorter than the others is filled up with EOS, so that a
    hypothesis is finished exactly if it holds EOS.
    """

    tokens: Tensor  # [B, N, T]
    log_probabilities: Tensor  # [B, N]
    scores: Tensor  # [B, N]

    def only(self, mask: Tensor) -> "Hypotheses":
        """Those where `mask` [B, N] is True; the other places are empty."""
        return Hypotheses(
            self.tokens,
            self.log_probabilities.masked_fill(~mask, -math.inf),
            self.scores.masked_fill(~mask, -math.inf),
        )

    def filled_up(self, eos_id: int) -> "Hypotheses":
        """The same with an EOS more."""
        return replace(self, tokens=F.pad(self.tokens, (0, 1), value=eos_id))

    def beside(self, other: "Hypotheses") -> "Hypotheses":
        """These and then the `other` ones of the same sentences."""
        return Hypotheses(
            torch.cat((self.tokens, other.tokens), dim=1),
            torch.cat((self.log_probabilities, other.log_probabilities), dim=1),
            torch.cat((self.scores, other.scores), dim=1),
        )

    def best(self, n: int) -> "Hypotheses":
        """The `n` with the best scores, in their order."""
        scores, places = self.scores.topk(n)
        return Hypotheses(
            self.tokens.take_along_dim(places.unsqueeze(2), dim=1),
            self.log_probabilities.gather(1, places),
            scores,
        )

    def of(self, sentences: Tensor) -> "Hypotheses":
        """The hypotheses of some `sentences`: an int64 index, or a mask [B]."""
        return Hypotheses(
            self.tokens[sentences], self.log_probabilities[sentences], self.scores[sentences]
        )

    def read(self, eos_id: int) -> Iterator[list[Hypothesis]]:
        """The hypotheses of each sentence in turn, without the empty places."""
        table = (self.tokens[:, :, 1:], self.scores, self.log_probabilities)
        for rows in zip(*(column.tolist() for column in table), strict=True):
            yield [
                _read(tokens, score, log_probability, eos_id)
                for tokens, score, log_probability in zip(*rows, strict=True)
                if score > -math.inf
            ]


def _read(tokens: list[int], score: float, log_probability: float, eos_id: int) -> Hypothesis:
    finished = eos_id in tokens
    length = tokens.index(eos_id) if finished else len(tokens)
    return Hypothesis(tokens[:length], score, log_probability, finished)
