"""Several models that search as one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from transformer.config import EnsembleMean
from transformer.search.protocol import AttendingModel


@dataclass(frozen=True)
class EnsembleState:
    """What the members remember, each for itself."""

    members: list[Any]

    def select(self, rows: Tensor, /) -> "EnsembleState":
        """The state of the rows [B', K'] of this one."""
        return EnsembleState([member.select(rows) for member in self.members])


class Ensemble:
    """Models with one vocabulary, of whose distributions the mean is taken at each token.

    The geometric mean is scaled to sum to 1 (a log-linear combination), the arithmetic one does so
    by itself. `weights`, one a model, are scaled to sum to 1; where none are given, they are equal.
    A model of weight 0 is not run.
    """

    def __init__(
        self,
        models: Sequence[AttendingModel[Any]],
        weights: Sequence[float] = (),
        mean: EnsembleMean = EnsembleMean.geometric,
    ) -> None:
        pairs = list(zip(models, weights or [1.0] * len(models), strict=True))
        total = math.fsum(weight for _, weight in pairs)
        assert total > 0
        self.models = [model for model, weight in pairs if weight > 0]
        self.weights = [weight / total for _, weight in pairs if weight > 0]
        self.mean = mean

    def start(self, source: Tensor, /) -> EnsembleState:
        """The state before the first token: a row for each row of `source` [B, S]."""
        return EnsembleState([model.start(source) for model in self.models])

    def step(self, tokens: Tensor, state: EnsembleState, /) -> Tensor:
        """Logits [B * K, T, V] of the mean of what follows each of `tokens` [B * K, T].

        Of several models, at least in fp32.
        """
        average = Average(self.weights, self.mean)
        for model, member in zip(self.models, state.members, strict=True):
            average.add(model.step(tokens, member))
        return average.logits

    def attend(self, tokens: Tensor, state: EnsembleState, /) -> tuple[Tensor, Tensor]:
        """What `step` gives, and the mean of where the models look, [B * K, T, S]."""
        average = Average(self.weights, self.mean)
        looks = []
        for model, member, weight in zip(self.models, state.members, self.weights, strict=True):
            logits, attention = model.attend(tokens, member)
            average.add(logits)
            looks.append(weight * attention)
        return average.logits, torch.stack(looks).sum(0)


class Average:
    """The mean of distributions that come one by one, so that only one is held beside it."""

    def __init__(self, weights: Sequence[float], mean: EnsembleMean) -> None:
        self.weights = weights
        self.mean = mean
        self.n_added = 0
        self.logits = torch.empty(0)  # of the mean, [..., V]; at the end

    def add(self, logits: Tensor) -> None:
        """Take in the `logits` [..., V] of the next one."""
        weight = self.weights[self.n_added]
        self.n_added += 1
        if len(self.weights) == 1:
            self.logits = logits
            return
        dtype = torch.promote_types(logits.dtype, torch.float32)
        log_probabilities = logits.log_softmax(dim=-1, dtype=dtype)
        if self.mean is EnsembleMean.geometric:
            log_probabilities *= weight
        else:
            log_probabilities += math.log(weight)
        if self.n_added == 1:
            self.logits = log_probabilities
        elif self.mean is EnsembleMean.geometric:
            self.logits += log_probabilities
        else:
            torch.logaddexp(self.logits, log_probabilities, out=self.logits)
