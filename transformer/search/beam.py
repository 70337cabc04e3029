"""Beam search; a beam of one is greedy search."""

import math
from typing import TypeVar

import torch
from torch import Tensor

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
        grown, rows = self._grow(logits)
        ended = grown.tokens[:, :, -1] == self.eos_id
        finished = self.finished.filled_up(self.eos_id).beside(grown.only(ended))
        self.finished = finished.best(self.config.n_best)
        self.live = grown.only(~ended)
        done = self._done()
        keep = (~done).nonzero().squeeze(1)
        if len(keep) < len(done):
            self._report(done)
            self._keep(keep)
            rows = rows[keep]
        return rows.flatten()

    def _grow(self, logits: Tensor) -> tuple[Hypotheses, Tensor]:
        """The best continuations of the live hypotheses, and the rows [B, K] they continue."""
        (B, K), V = self.live.scores.shape, logits.size(1)
        totals = logits.log_softmax(dim=1, dtype=torch.promote_types(logits.dtype, torch.float32))
        totals[:, self.pad_id] = -math.inf
        totals[:, self.bos_id] = -math.inf
        totals = totals.view(B, K, V).add_(self.live.log_probabilities.unsqueeze(2)).flatten(1)
        log_probabilities, places = totals.topk(min(self.config.beam_size, K * V))  # [B, K]
        rows = places // V + torch.arange(0, B * K, K, device=places.device).unsqueeze(1)
        before = self.live.tokens.flatten(0, 1)[rows]
        tokens = torch.cat((before, (places % V).unsqueeze(2)), dim=2)  # [B, K, T + 1]
        scores = log_probabilities / normaliser(tokens.size(2) - 1, self.config)
        return Hypotheses(tokens, log_probabilities, scores), rows

    def _done(self) -> Tensor:
        """Which sentences [B] are at their limit, or have no live hypothesis that can still win.

        A log-probability only falls, and is at most 0: no continuation scores better than the
        present one would at the greatest length.
        """
        bounds = self.live.log_probabilities.amax(dim=1) / self.normalisers_at_limit
        at_limit = self.live.tokens.size(2) - 1 >= self.max_lengths
        return at_limit | (bounds <= self.finished.scores[:, -1])

    def _report(self, done: Tensor) -> None:
        """Put the best hypotheses of the sentences `done` [B] into the results."""
        hypotheses = self.finished.beside(self.live).of(done)
        sentences = self.sentences[done].tolist()
        for sentence, found in zip(sentences, hypotheses.read(self.eos_id), strict=True):
            if not found:
                raise FloatingPointError("the model gives no token a probability: NaN or -inf")
            self.results[sentence] = found[: self.config.n_best]

    def _keep(self, sentences: Tensor) -> None:
        """Forget all but the int64 `sentences`."""
        self.sentences, self.max_lengths = self.sentences[sentences], self.max_lengths[sentences]
        self.normalisers_at_limit = self.normalisers_at_limit[sentences]
        self.live, self.finished = self.live.of(sentences), self.finished.of(sentences)


def _is_identity(rows: Tensor, n_rows: int) -> bool:
    return len(rows) == n_rows and torch.equal(rows, torch.arange(n_rows, device=rows.device))
