"""Beam search; a beam of one is greedy search."""

import math
from collections.abc import Sequence
from itertools import zip_longest
from typing import TypeVar, cast

import torch
from torch import Tensor

from transformer.config import SearchConfig
from transformer.errors import InputError
from transformer.search.hypothesis import Hypotheses, Hypothesis
from transformer.search.length import normalised
from transformer.search.protocol import AttendingModel, Model, SpecialIds, State, Task
from transformer.search.rules import NOTHING_LEFT, Rules
from transformer.search.selection import Candidates, Chosen, Selection

S = TypeVar("S", bound=State)

# Done sentences leave the batch when they are this share of it: leaving copies what the others
# remember.
LEAVING = 1 / 8


def beam_search(
    model: Model[S],
    source: Tensor,
    tasks: Sequence[Task],
    config: SearchConfig,
    special: SpecialIds,
    rules: Rules,
    selection: Selection,
) -> list[list[Hypothesis]]:
    """The best hypotheses of each row of `source` [B, S]: `config.n_best` or all there are.

    At each length, the continuations that `selection` chooses are kept, at most `beam_size` of a
    sentence; those that end in EOS compete as finished ones by score. A sentence ends when no live
    hypothesis can still displace a finished one, or at its task's greatest length; what is cut
    there ranks behind all that is finished, with groups behind what is finished in its own.
    FloatingPointError where the model gives no probabilities, InputError where nothing is left.
    """
    state = model.start(source)
    coverage = Coverage(source != special.pad, config) if config.coverage_penalty else None
    beam = Beam(tasks, config, special, rules, selection, coverage, source.device)
    while True:
        tokens = beam.last_tokens
        if coverage is None:
            logits = model.step(tokens, state)
        else:
            logits, attention = cast(AttendingModel[S], model).attend(tokens, state)
            coverage.add(attention.squeeze(1))
        rows = beam.advance(logits.squeeze(1))
        if rows is not None:
            if len(rows) == 0:
                return beam.results
            state = state.select(rows)


class Coverage:
    """How much each source token was looked at by each live hypothesis (Wu et al., 2016).

    EOS of the source counts as a token.
    """

    def __init__(self, real: Tensor, config: SearchConfig) -> None:
        self.real = real  # [B, S]
        self.weight = config.coverage_penalty
        self.looks = torch.zeros_like(real, dtype=torch.float32).unsqueeze(1)  # [B, K, S]

    def add(self, attention: Tensor) -> None:
        """Count the `attention` [B * K, S] of one more token of each hypothesis."""
        self.looks = self.looks + attention.view(self.looks.shape)

    def follow(self, parents: Tensor) -> None:
        """The hypotheses are those of the places `parents` [B, K']."""
        self.looks = self.looks.take_along_dim(parents.unsqueeze(2), dim=1)

    def keep(self, sentences: Tensor) -> None:
        """Forget all but the int64 `sentences`."""
        self.real, self.looks = self.real[sentences], self.looks[sentences]

    def penalties(self) -> Tensor:
        """What is added to the scores [B, K]: equation 14's cp, at most 0."""
        return penalty(self.looks, self.real.unsqueeze(1), self.weight)


def penalty(looks: Tensor, real: Tensor, weight: float) -> Tensor:
    """`weight` times the logarithms [...] of `looks` [..., S], each at most 1, over `real` ones."""
    logarithms = looks.clamp(min=torch.finfo(looks.dtype).tiny, max=1).log()
    total: Tensor = weight * logarithms.masked_fill(~real, 0).sum(-1)
    return total


class Beam:
    """The hypotheses of a batch while they grow; B counts the sentences that are in it."""

    def __init__(
        self,
        tasks: Sequence[Task],
        config: SearchConfig,
        special: SpecialIds,
        rules: Rules,
        selection: Selection,
        coverage: Coverage | None,
        device: torch.device,
    ) -> None:
        B = len(tasks)
        self.config, self.special = config, special
        self.rules, self.selection, self.coverage = rules, selection, coverage
        self.results: list[list[Hypothesis]] = [[] for _ in range(B)]
        self.sentences = list(range(B))
        self.is_done = torch.zeros(B, dtype=torch.bool, device=device)
        self.limits = torch.tensor([task.longest for task in tasks], device=device)
        bos = torch.full((B, 1, 1), special.bos, device=device)
        certain = torch.zeros(B, 1, device=device)
        self.live = Hypotheses(bos, certain.unsqueeze(2), certain, certain)
        # Of each group of each sentence, [B * groups, ...]. Groups may find the same outputs.
        n = min(config.n_best, config.beam_size // config.groups)
        none = torch.full((B * config.groups, n), -math.inf, device=device)
        ends = torch.full((B * config.groups, n, 1), special.bos, device=device)
        self.finished = Hypotheses(ends, torch.zeros_like(none).unsqueeze(2), none, none)
        self.n_finished = torch.zeros(B * config.groups, dtype=torch.int64, device=device)
        self.enough = math.inf
        if config.patience is not None:
            self.enough = max(n, config.patience * config.beam_size / config.groups)

    @property
    def last_tokens(self) -> Tensor:
        """What the model reads next, [B * K, 1]."""
        return self.live.tokens[:, :, -1].reshape(-1, 1)

    def advance(self, logits: Tensor) -> Tensor | None:
        """Add a token by `logits` [B * K, V].

        The rows [B', K'] of the model's state to go on with, those of the live hypotheses; None
        where they are the same. Sentences that have left are in `results`.
        """
        K = self.live.scores.size(1)
        chosen = self._grow(logits)
        ended = chosen.tokens == self.special.eos
        if ended.any():
            self._finish(ended)
            self.live = self.live.only(~ended)
        newly_done = self._done() & ~self.is_done
        kept = self._dismiss(newly_done)
        if K == 1 and chosen.parents.size(1) == 1 and kept is None:
            return None
        rows = chosen.parents + K * torch.arange(len(ended), device=ended.device).unsqueeze(1)
        return rows if kept is None else rows[kept]

    def _grow(self, logits: Tensor) -> Chosen:
        """Give the live hypotheses a token more: the continuations that are kept."""
        live = self.live
        B, K = live.scores.shape
        dtype = torch.promote_types(logits.dtype, torch.float32)
        table = logits.log_softmax(dim=1, dtype=dtype).view(B, K, -1)
        self.rules.restrict(table, live.tokens)
        candidates = Candidates(table, live.log_probabilities)
        chosen = self.selection.choose(candidates, self.config.beam_size)
        places = chosen.parents * table.size(2) + chosen.tokens
        steps = table.flatten(1).gather(1, places)
        self.rules.follow(chosen.parents, chosen.tokens)
        parents = chosen.parents.unsqueeze(2)
        tokens = torch.cat(
            (live.tokens.take_along_dim(parents, dim=1), chosen.tokens.unsqueeze(2)), dim=2
        )
        history = torch.cat((live.steps.take_along_dim(parents, dim=1), steps.unsqueeze(2)), dim=2)
        scores = normalised(chosen.log_probabilities, tokens.size(2) - 1, self.config)
        if self.coverage is not None:
            self.coverage.follow(chosen.parents)
            scores = scores + self.coverage.penalties()
        self.live = Hypotheses(tokens, history, chosen.log_probabilities, scores)
        return chosen

    def _finish(self, ended: Tensor) -> None:
        """Let the hypotheses that `ended` [B, K] compete with the finished ones."""
        grown = self.live.only(ended).in_groups(self.config.groups)
        self.n_finished += (grown.scores > -math.inf).sum(1)
        finished = self.finished.filled_up(grown.tokens.size(2), self.special.eos)
        self.finished = finished.beside(grown).best(finished.scores.size(1))

    def _done(self) -> Tensor:
        """Which sentences [B] are at their limit, have enough, or none that can still win.

        A log-probability only falls, and is at most 0, as a coverage penalty is: no continuation
        scores better than the present one would at the greatest length, without the penalty.
        """
        groups = self.config.groups
        at_limit = self.limits < self.live.tokens.size(2)
        best = self.live.log_probabilities.reshape(len(at_limit) * groups, -1).amax(dim=1)
        limits = self.limits.to(torch.float64).repeat_interleave(groups)
        bounds = normalised(best.double(), limits, self.config)
        decided = (bounds <= self.finished.scores[:, -1]) | (self.n_finished >= self.enough)
        return at_limit | decided.view(-1, groups).all(dim=1)

    def _dismiss(self, done: Tensor) -> Tensor | None:
        """Report the sentences `done` [B]; the int64 ones that stay, None where all do."""
        numbers = done.nonzero().squeeze(1)
        if len(numbers) == 0:
            return None
        self._report(numbers)
        self.is_done |= done
        n_done = int(self.is_done.sum())
        if n_done < len(done) and n_done < LEAVING * len(done):
            return None
        kept = (~self.is_done).nonzero().squeeze(1)
        self._keep(kept)
        return kept

    def _report(self, numbers: Tensor) -> None:
        """Put the best hypotheses of the int64 sentences `numbers` into the results."""
        groups, eos_id = self.config.groups, self.special.eos
        places = (
            numbers.unsqueeze(1) * groups + torch.arange(groups, device=numbers.device)
        ).flatten()
        length = self.live.tokens.size(2)
        at_limit = self.limits[numbers].unsqueeze(1) < length
        cut = self.live.of(numbers).only(at_limit).in_groups(groups)
        finished = self.finished.of(places).filled_up(length, eos_id)
        if finished.scores.isnan().any() or self.live.scores[numbers].isnan().any():
            raise FloatingPointError("the model gives no token a probability: NaN")
        found = list(finished.beside(cut.best(cut.scores.size(1))).read(eos_id))
        for i, number in enumerate(numbers.tolist()):
            parts = found[i * groups : (i + 1) * groups]
            hypotheses = parts[0] if groups == 1 else in_turn(parts)
            if not hypotheses:
                raise InputError(NOTHING_LEFT)
            self.results[self.sentences[number]] = hypotheses[: self.config.n_best]

    def _keep(self, sentences: Tensor) -> None:
        """Forget all but the int64 `sentences`."""
        groups, device = self.config.groups, sentences.device
        places = sentences.unsqueeze(1) * groups + torch.arange(groups, device=device)
        self.sentences = [self.sentences[i] for i in sentences.tolist()]
        self.is_done, self.limits = self.is_done[sentences], self.limits[sentences]
        self.live, self.finished = self.live.of(sentences), self.finished.of(places.flatten())
        self.n_finished = self.n_finished[places.flatten()]
        self.rules.keep(sentences)
        if self.coverage is not None:
            self.coverage.keep(sentences)


def in_turn(groups: Sequence[Sequence[Hypothesis]]) -> list[Hypothesis]:
    """The best of each group, then the second best: each time by rank, and each output once."""
    seen: dict[tuple[bool, tuple[int, ...]], Hypothesis] = {}
    for tier in zip_longest(*groups):
        there = [hypothesis for hypothesis in tier if hypothesis is not None]
        for hypothesis in sorted(there, key=lambda h: (not h.finished, -h.score)):
            seen.setdefault((hypothesis.finished, tuple(hypothesis.tokens)), hypothesis)
    return list(seen.values())
