"""Sampling: outputs drawn from the model's distribution, or from what its settings leave of it."""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from transformer.config import SamplingConfig, SearchConfig
from transformer.errors import InputError
from transformer.search.hypothesis import Hypothesis
from transformer.search.length import normalised
from transformer.search.protocol import Model, SpecialIds, State, Task
from transformer.search.rules import NOTHING_LEFT, Rule

S = TypeVar("S", bound=State)

# What is done leaves the batch when less than this share of the sentences, or of the places of the
# sentence with the most, is in use: leaving copies what the others remember.
FULL = 0.75
# Tokens among which the limit of top_p is looked for before all of a distribution are sorted.
FIRST_RANKS = 512


@torch.inference_mode()
def sample(
    model: Model[S],
    source: Tensor,
    tasks: Sequence[Task],
    config: SearchConfig,
    special: SpecialIds,
    rules: Sequence[Rule],
) -> list[list[Hypothesis]]:
    """`config.width` samples of each row of `source` [B, S], in the order in which they are drawn.

    A sample ends with EOS, or unfinished at its task's `longest`; one that comes to where the rules
    allow no token is left out. Log-probabilities are the model's own, whatever is drawn from. What
    is drawn depends on the seed, the task's number, the number of the sample and the position
    alone: not on the batch, nor on how many samples there are. FloatingPointError where the model
    gives no probabilities, InputError where all samples of a sentence are left out.
    """
    if not tasks:
        return []
    state = model.start(source)
    samples = Samples(tasks, config, special, rules, source.device)
    while samples.growing.numel():
        rows = samples.advance(model.step(samples.last_tokens, state))
        if rows is not None:
            state = state.select(rows)
    return samples.read()


class Samples:
    """The samples of N sentences; those of B of them are in the batch, at K places each."""

    def __init__(
        self,
        tasks: Sequence[Task],
        config: SearchConfig,
        special: SpecialIds,
        rules: Sequence[Rule],
        device: torch.device,
    ) -> None:
        n, width, longest = len(tasks), config.width, max(task.longest for task in tasks)
        self.config, self.special, self.rules = config, special, rules
        self.uniforms = uniforms(tasks, width, longest, config.sampling.seed).to(device)
        self.tokens = torch.full((n, width, 1 + longest), special.eos, device=device)
        self.tokens[:, :, 0] = special.bos
        self.log_probabilities = torch.zeros_like(self.uniforms)
        self.lengths = torch.zeros(n, width, dtype=torch.int64, device=device)  # EOS counted
        self.is_lost = torch.zeros(n, width, dtype=torch.bool, device=device)  # no token allowed
        self.length = 0  # of what grows
        self.longest = torch.tensor([task.longest for task in tasks], device=device)  # [B]
        self.sentences = torch.arange(n, device=device)  # [B]
        # One place stands for all samples before the first token.
        self.places = torch.zeros(n, 1, dtype=torch.int64, device=device)  # [B, K], their samples
        self.growing = torch.ones_like(self.places, dtype=torch.bool)  # [B, K]

    @property
    def last_tokens(self) -> Tensor:
        """What the model reads next, [B * K, 1]."""
        return self._tokens()[:, :, -1].reshape(-1, 1)

    def advance(self, logits: Tensor) -> Tensor | None:
        """Draw a token of each sample by `logits` [B * K, 1, V], which may be overwritten.

        Returns the rows [B', K'] of the model's state to go on with; None: as it is.
        """
        logits = logits.view(*self.places.shape, -1)  # [B, K, V]
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        totals = logits.logsumexp(2)
        if not (totals.isfinite() | ~self.growing).all():
            raise FloatingPointError("the model gives no token a probability: NaN or -inf")
        for rule in self.rules:
            rule.restrict(logits, self._tokens())
        parents = torch.arange(self.places.size(1), device=logits.device).expand_as(self.places)
        if self.length == 0:
            shape = len(parents), self.tokens.size(1)
            parents = parents.expand(shape)
            self.places = torch.arange(shape[1], device=logits.device).expand(shape)
        self._add(logits, totals)
        return self._leave(parents, n_parents=logits.size(1))

    def _tokens(self) -> Tensor:
        """BOS and the tokens so far of what grows, [B, K, T]."""
        return self.tokens[self.sentences.unsqueeze(1), self.places, : self.length + 1]

    def _add(self, logits: Tensor, totals: Tensor) -> None:
        """A token by `logits` [B, K, V] and the logarithms of their sums of exponentials [B, K].

        Before the first token, their K is 1.
        """
        where = self.sentences.unsqueeze(1), self.places
        uniform = self.uniforms[(*where, self.length)]
        tokens = draw(*kept(logits, self.config.sampling), uniform)
        self.is_lost[where] |= self.growing & (tokens < 0)
        growing = self.growing & (tokens >= 0)
        tokens = tokens.where(growing, self.special.eos)
        scores = logits.expand(*tokens.shape, -1).gather(2, tokens.unsqueeze(2)).squeeze(2)
        scores = (scores - totals).where(growing, 0.0)
        self.log_probabilities[(*where, self.length)] = scores.double()
        self.length += 1
        self.tokens[(*where, self.length)] = tokens
        self.lengths[where] += growing
        below_limit = (self.length < self.longest).unsqueeze(1)
        self.growing = growing & below_limit & (tokens != self.special.eos)

    def _leave(self, parents: Tensor, *, n_parents: int) -> Tensor | None:
        """Let what is done leave the batch, if there is much of it.

        `parents` [B, K] are the places, of `n_parents`, that the samples had in the model's state;
        what comes back is for `advance` to return.
        """
        counts = self.growing.sum(1).tolist()
        rest = [sentence for sentence, count in enumerate(counts) if count]
        if not rest:
            self.growing = self.growing[:0]
            return None
        (B, K), width, device = parents.shape, max(counts), parents.device
        full = len(rest) >= FULL * B and width >= FULL * K
        if not full:
            first = self.growing.byte().argsort(dim=1, descending=True, stable=True)[:, :width]
            parents, self.places = parents.gather(1, first), self.places.gather(1, first)
            self.growing = self.growing.gather(1, first)
        for rule in self.rules:
            rule.follow(parents, self._tokens()[:, :, -1])
        rows = parents + torch.arange(0, B * n_parents, n_parents, device=device).unsqueeze(1)
        if not full and len(rest) < B:
            rows = rows[rest]
            self._keep(torch.tensor(rest, dtype=torch.int64, device=device))
        return None if full and n_parents == K else rows

    def _keep(self, sentences: Tensor) -> None:
        """Forget all but the int64 `sentences`, of those that grow."""
        self.sentences, self.longest = self.sentences[sentences], self.longest[sentences]
        self.places, self.growing = self.places[sentences], self.growing[sentences]
        for rule in self.rules:
            rule.keep(sentences)

    def read(self) -> list[list[Hypothesis]]:
        """The samples of each sentence, without the lost ones."""
        if self.is_lost.all(1).any():
            raise InputError(NOTHING_LEFT)
        tokens = self.tokens[:, :, 1 : self.length + 1].tolist()
        scores = self.log_probabilities[:, :, : self.length].tolist()
        return [
            [self._read(*one) for *one, is_lost in zip(*samples, strict=True) if not is_lost]
            for samples in zip(
                tokens, scores, self.lengths.tolist(), self.is_lost.tolist(), strict=True
            )
        ]

    def _read(self, tokens: list[int], scores: list[float], length: int) -> Hypothesis:
        finished = tokens[length - 1] == self.special.eos
        log_probability = math.fsum(scores[:length])
        return Hypothesis(
            tokens=tokens[: length - finished],
            score=normalised(log_probability, length, self.config),
            log_probability=log_probability,
            finished=finished,
            token_log_probabilities=scores[:length],
        )


def uniforms(tasks: Sequence[Task], width: int, longest: int, seed: int) -> Tensor:
    """Numbers in [0, 1), float64 [N, width, longest]: one for each token of each sample.

    They are Philox's (Salmon et al., 2011) with the seed and the task's number as its key and the
    number of the sample in its counter, so that none depends on `width` or `longest`.
    """
    numbers = np.empty((len(tasks), width, longest))
    for i, task in enumerate(tasks):
        for j in range(width):
            bits = np.random.Philox(key=[seed, task.number], counter=[0, 0, j, 0])
            numbers[i, j] = (bits.random_raw(longest) >> 11) * 2.0**-53
    return torch.from_numpy(numbers)


def kept(logits: Tensor, config: SamplingConfig) -> tuple[Tensor, Tensor]:
    """Weights [B, K, M] that tokens are drawn by, 0 for those cut away, and their ids.

    Weights are probabilities at the temperature over the highest one; logits [B, K, V] of -inf
    weigh 0. Each limit is held against the distribution at the temperature, not against what the
    others leave of it: a token that is drawn is within all of them, and their order does not
    matter. Of tokens with one probability, top_k and top_p may keep some.
    """
    highest = logits.amax(2, keepdim=True)
    highest = highest.masked_fill(highest == -math.inf, 0)
    # Below the least normal number, what is left are ties of the highest logit all the same.
    temperature = max(config.temperature, torch.finfo(logits.dtype).tiny)
    weights = (logits - highest).div_(temperature).exp_()
    total = weights.sum(2, keepdim=True)
    least = torch.full_like(total, config.min_p or 0)
    if config.epsilon is not None:
        least = torch.maximum(least, (config.epsilon * total).clamp(max=1))
    weights, ids = _ranked(weights, total, config)
    if config.min_p is not None or config.epsilon is not None:
        weights = weights.masked_fill(weights < least, 0)
    return weights, ids


def _ranked(weights: Tensor, total: Tensor, config: SamplingConfig) -> tuple[Tensor, Tensor]:
    """What top_k and top_p leave of `weights` [B, K, V] with the sums `total` [B, K, 1]."""
    V = weights.size(2)
    top_p = None if config.top_p == 1 else config.top_p
    if config.top_k is None and top_p is None:
        return weights, torch.arange(V, device=weights.device).expand_as(weights)
    n = min(config.top_k or FIRST_RANKS, V)
    ranked, ids = weights.topk(n)
    if top_p is None:
        return ranked, ids
    short = (ranked.sum(2, keepdim=True) < top_p * total).squeeze(2)
    if config.top_k is None and short.any():
        ranked, ids = F.pad(ranked, (0, V - n)), F.pad(ids, (0, V - n))
        ranked[short], ids[short] = weights[short].sort(dim=1, descending=True)
    above = ranked.cumsum(2) - ranked  # what the more probable ones weigh
    return ranked.masked_fill(above >= top_p * total, 0), ids


def draw(weights: Tensor, ids: Tensor, uniform: Tensor) -> Tensor:
    """One of the `ids` [B, K, M] for each `uniform` [B, N] number; -1 where all weigh 0.

    By the inverse of the distribution function; K is N or 1.
    """
    (B, K, M), N = weights.shape, uniform.size(1)
    sums = weights.cumsum(2)
    targets = uniform.view(B, K, N // K).to(sums.dtype) * sums[:, :, -1:]  # [B, K, N / K]
    drawn = torch.searchsorted(sums, targets, right=True).clamp_(max=M - 1)
    # Rounding may lead to what weighs nothing, at the end or where sums are taken in parallel.
    drawn = drawn.where(weights.gather(2, drawn) > 0, weights.argmax(2, keepdim=True))
    return ids.gather(2, drawn).where(sums[:, :, -1:] > 0, -1).view(B, N)
