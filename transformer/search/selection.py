"""Which continuations of a beam are kept."""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 64  # tokens of which only the best is looked at first
LARGE = 2**16  # values of a table from which blocks are faster


@dataclass(frozen=True)
class Candidates:
    """All continuations of the K live hypotheses of B sentences.

    The log-probability of a hypothesis with one more token is its `offset`, that of all tokens so
    far, and the logit of that token, which is normalised: its log-probability.
    """

    logits: Tensor  # [B, K, V]; -inf: may not follow
    offsets: Tensor  # [B, K]; -inf: no hypothesis

    def of(self, places: slice) -> "Candidates":
        """The continuations of the hypotheses in some `places`."""
        return Candidates(self.logits[:, places], self.offsets[:, places])


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


class Best:
    """The most probable continuations of all hypotheses together: beam search itself."""

    def choose(self, candidates: Candidates, n: int) -> Chosen:
        """The best `n` of the `candidates` of each sentence, or all if they are fewer."""
        logits = candidates.logits
        B, K, V = logits.shape
        values, tokens = top(logits.reshape(B * K, V), min(n, V))
        m = values.size(1)
        totals = values.view(B, K, m) + candidates.offsets.unsqueeze(2)
        log_probabilities, places = totals.flatten(1).topk(min(n, K * m))
        return Chosen(log_probabilities, places // m, tokens.view(B, K * m).gather(1, places))


class Diverse:
    """The most probable continuations group by group, each shunning the tokens of those before.

    Vijayakumar et al., 2016, with the Hamming distance. `diversity` is what each group that has
    taken a token costs at its next choice; unlike there, it is not carried on in the scores, which
    stay the model's.
    """

    def __init__(self, groups: int, diversity: float) -> None:
        self.groups = groups
        self.diversity = diversity

    def choose(self, candidates: Candidates, n: int) -> Chosen:
        """The best `n` of the `candidates` of each sentence, an equal part of each group."""
        B, K, V = candidates.logits.shape
        size = n // self.groups
        costs = candidates.logits.new_zeros(B, V)
        found = []
        for group in range(self.groups):
            # Before the first token all groups are one hypothesis.
            places = slice(0, 1) if K == 1 else slice(group * size, (group + 1) * size)
            part = candidates.of(places)
            chosen = Best().choose(Candidates(part.logits - costs[:, None], part.offsets), size)
            costs.scatter_add_(1, chosen.tokens, _diversity(chosen, self.diversity))
            paid = (part.logits + part.offsets.unsqueeze(2)).flatten(1)
            unpaid = paid.gather(1, chosen.parents * V + chosen.tokens)
            filled = size - chosen.tokens.size(1)
            found.append(
                Chosen(
                    F.pad(unpaid, (0, filled), value=-math.inf),
                    F.pad(chosen.parents, (0, filled)) + places.start,
                    F.pad(chosen.tokens, (0, filled)),
                )
            )
        parts = ([c.log_probabilities, c.parents, c.tokens] for c in found)
        return Chosen(*(torch.cat(column, dim=1) for column in zip(*parts, strict=True)))


def _diversity(chosen: Chosen, diversity: float) -> Tensor:
    """What each token of `chosen` will cost; nothing where the place is empty."""
    is_there = chosen.log_probabilities > -math.inf
    return is_there.to(chosen.log_probabilities.dtype) * diversity


def top(rows: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The `n` greatest values of each row of [N, V], in order, and their columns: each [N, n].

    On the CPU by blocks of columns: the greatest values lie in the blocks of greatest maxima.
    """
    N, V = rows.shape
    n_blocks = V // BLOCK
    if rows.device.type != "cpu" or n_blocks < 2 * n or N * V < LARGE:
        return rows.topk(n)
    maxima = rows[:, : n_blocks * BLOCK].unflatten(1, (n_blocks, BLOCK)).amax(2)  # type: ignore[no-untyped-call]
    firsts = maxima.topk(n, sorted=False).indices * BLOCK  # [N, n]
    columns = (firsts.unsqueeze(2) + torch.arange(BLOCK)).flatten(1)
    rest = torch.arange(n_blocks * BLOCK, V).expand(N, -1)
    columns = torch.cat((columns, rest), dim=1)
    values, places = rows.gather(1, columns).topk(n)
    return values, columns.gather(1, places)
