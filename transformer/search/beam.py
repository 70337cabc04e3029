"""Beam search; a beam of one is greedy search."""

import math
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from transformer.config import SearchConfig
from transformer.search.hypothesis import Hypotheses, Hypothesis
from transformer.search.length import normaliser
from transformer.search.protocol import Model, State

S = TypeVar("S", bound=State)


@torch.inference_mode()
def search(
    model: Model[S],
    source: Tensor,
    max_lengths: Tensor,
    config: SearchConfig,
    *,
    bos_id: int,
    eos_id: int,
    pad_id: int,
) -> list[list[Hypothesis]]:
    """The best hypotheses of each row of `source` [B, S]: `config.n_best` or all there are.

    At each length, the K best continuations of a sentence's live hypotheses by log-probability
    are kept; those that end in EOS compete as finished ones by normalised score. A sentence ends
    when no live hypothesis can still displace a finished one, or at its `max_lengths` [B], the
    most tokens of an output with its EOS; what is cut there ranks behind all that is finished.
    """
    if len(source) == 0:
        return []
    state = model.start(source)
    beam = Beam(max_lengths.to(source.device), config, bos_id=bos_id, eos_id=eos_id, pad_id=pad_id)
    while True:
        last_tokens = beam.last_tokens
        rows = beam.advance(model.step(last_tokens, state).squeeze(1))
        if len(rows) == 0:
            return beam.results
        if not _is_identity(rows, len(last_tokens)):
            state = state.select(rows)


class Beam:
    """The hypotheses of a batch while they grow; B counts the sentences not yet done."""

    def __init__(
        self, max_lengths: Tensor, config: SearchConfig, *, bos_id: int, eos_id: int, pad_id: int
    ) -> None:
        B, device = len(max_lengths), max_lengths.device
        self.config = config
        self.bos_id, self.eos_id, self.pad_id = bos_id, eos_id, pad_id
        self.results: list[list[Hypothesis]] = [[] for _ in range(B)]
        self.sentences = torch.arange(B, device=device)
        self.max_lengths = max_lengths
        normalisers = [normaliser(length, config) for length in max_lengths.tolist()]
        self.normalisers_at_limit = torch.tensor(normalisers, dtype=torch.float64, device=device)
        nothing = torch.full((B, 1, 1), bos_id, device=device)
        certain = torch.zeros(B, 1, device=device)
        self.live = Hypotheses(nothing, certain, certain)
        none = torch.full((B, config.n_best), -math.inf, device=device)
        self.finished = Hypotheses(nothing.expand(-1, config.n_best, -1), none, none)

    @property
    def last_tokens(self) -> Tensor:
        """What the model reads next, [B * K, 1]."""
        return self.live.tokens[:, :, -1].reshape(-1, 1)

    def advance(self, logits: Tensor) -> Tensor:
        """Add a token by `logits` [B * K, V]; the int64 rows of the model's state to go on with.

        The rows are those of the new live hypotheses, sentence by sentence; sentences that are
        done have none, and are in `results`.
        """
        grown, parents = self._grow(logits)
        ended = grown.tokens[:, :, -1] == self.eos_id
        older = F.pad(self.finished.tokens, (0, 1), value=self.eos_id)
        self.finished.tokens = older
        self.finished = self.finished.beside(grown.only(ended)).best(self.config.n_best)
        first_rows = torch.arange(len(parents), device=parents.device) * self.live.scores.size(1)
        rows = first_rows.unsqueeze(1) + parents  # [B, K]
        self.live = grown.only(~ended)
        keep = (~self._done()).nonzero().squeeze(1)  # the one synchronisation a token
        if len(keep) < len(rows):
            self._retire(keep)
            rows = rows[keep]
        return rows.flatten()

    def _grow(self, logits: Tensor) -> tuple[Hypotheses, Tensor]:
        """The best continuations of the live hypotheses, and which of those [B, K] each extends."""
        B, K = self.live.scores.shape
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        # The best of a sentence are among the best of each row; two of these may be forbidden.
        values, ids = logits.topk(min(self.config.beam_size + 2, logits.size(1)))
        values = values - logits.logsumexp(dim=1, keepdim=True)
        values.masked_fill_((ids == self.pad_id) | (ids == self.bos_id), -math.inf)
        totals = self.live.log_probabilities.unsqueeze(2) + values.view(B, K, -1)
        totals = totals.flatten(1)  # [B, K * n]
        log_probabilities, places = totals.topk(min(self.config.beam_size, totals.size(1)))
        parents = places // ids.size(1)  # [B, K]
        last = ids.view(B, -1).gather(1, places)
        before = self.live.tokens.take_along_dim(parents.unsqueeze(2), dim=1)
        tokens = torch.cat((before, last.unsqueeze(2)), dim=2)  # [B, K, T + 1]
        scores = log_probabilities / normaliser(tokens.size(2) - 1, self.config)
        return Hypotheses(tokens, log_probabilities, scores), parents

    def _done(self) -> Tensor:
        """Which sentences [B] are at their limit, or have no live hypothesis that can still win.

        A log-probability only falls, and is at most 0: no continuation scores better than the
        present one would at the greatest length.
        """
        bounds = self.live.log_probabilities.amax(dim=1) / self.normalisers_at_limit
        at_limit = self.live.tokens.size(2) - 1 >= self.max_lengths
        return at_limit | (bounds <= self.finished.scores[:, -1])

    def _retire(self, keep: Tensor) -> None:
        """Move all sentences but `keep` to the results."""
        done = torch.ones_like(self.max_lengths, dtype=torch.bool).index_fill(0, keep, False)
        hypotheses = self.finished.beside(self.live).of(done.nonzero().squeeze(1))
        for sentence, found in zip(
            self.sentences[done].tolist(), hypotheses.read(self.eos_id), strict=True
        ):
            self.results[sentence] = found[: self.config.n_best]
        self.sentences, self.max_lengths = self.sentences[keep], self.max_lengths[keep]
        self.normalisers_at_limit = self.normalisers_at_limit[keep]
        self.live, self.finished = self.live.of(keep), self.finished.of(keep)


def _is_identity(rows: Tensor, n_rows: int) -> bool:
    return len(rows) == n_rows and torch.equal(rows, torch.arange(n_rows, device=rows.device))
