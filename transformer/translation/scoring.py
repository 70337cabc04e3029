"""The score of given translations, as the search would give it to them."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from transformer.config import Precision, SearchConfig
from transformer.device import autocast
from transformer.search.beam import penalty
from transformer.search.length import normalised
from transformer.search.protocol import AttendingModel
from transformer.text.alignment import word_starts
from transformer.text.batching import pad
from transformer.text.tokenizer import BOS_ID, EOS_ID, Tokenizers
from transformer.translation.alignment import Link, word_links
from transformer.translation.request import Output

WINDOW = 4096  # pairs that are sorted by length together; so many are read ahead
LOGITS = 2**25  # the most that a step makes: 128 MiB in fp32


@dataclass(frozen=True)
class Scored:
    """What a model gives the tokens of a target."""

    log_probabilities: list[float]
    attention: Tensor | None  # [T, S] on the CPU; None: not asked for

    def score(self, config: SearchConfig) -> float:
        """What a search with this configuration ranks by."""
        length = len(self.log_probabilities)
        score = normalised(math.fsum(self.log_probabilities), length, config)
        if config.coverage_penalty:
            assert self.attention is not None
            looks = self.attention.sum(0)
            real = torch.ones_like(looks, dtype=torch.bool)
            score += float(penalty(looks, real, config.coverage_penalty))
        return score


@dataclass(frozen=True)
class Scorer:
    """A model, or an ensemble, that scores given translations by one pass over each."""

    model: AttendingModel[Any]
    tokenizers: Tokenizers
    device: torch.device
    precision: Precision

    def score_pairs(
        self,
        pairs: Iterable[tuple[str, str]],
        config: SearchConfig,
        *,
        alignment: bool = False,
        attention: bool = False,
    ) -> Iterator[Output]:
        """The target of each pair as an output for its source, in order; reads WINDOW pairs ahead.

        Text is cut into pieces as for training, and EOS is scored too. A blank target of a blank
        source has score 0 and no tokens; any other target of a blank source is scored after a
        source of EOS alone.
        """
        pairs = iter(pairs)
        wanted = (alignment, attention)
        while window := list(islice(pairs, WINDOW)):
            yield from self._score_window(window, config, *wanted)

    def _score_window(
        self, pairs: Sequence[tuple[str, str]], config: SearchConfig, alignment: bool, show: bool
    ) -> Iterator[Output]:
        lines = list(zip(*pairs, strict=True))
        sources = self.tokenizers.source.encode(lines[0])
        targets = self.tokenizers.target.encode(lines[1])
        written = [i for i in range(len(pairs)) if sources[i] or targets[i]]
        found = self.score_tokens(
            [sources[i] for i in written],
            [[*targets[i], EOS_ID] for i in written],
            config.batch_tokens,
            attend=alignment or show or config.coverage_penalty > 0,
        )
        scored = dict(zip(written, found, strict=True))
        links = self._links(pairs, scored) if alignment else {}
        for i, (_, target) in enumerate(pairs):
            pieces = self.tokenizers.target.pieces(targets[i])
            yield as_output(target, pieces, scored.get(i), config, links.get(i), show)

    def _links(
        self, pairs: Sequence[tuple[str, str]], scored: dict[int, Scored]
    ) -> dict[int, list[Link]]:
        """Those of the words of all `pairs`; none of a pair that is not `scored`."""
        sides = (
            word_starts(self.tokenizers.source.model, [source for source, _ in pairs]),
            word_starts(self.tokenizers.target.model, [target for _, target in pairs]),
        )
        links: dict[int, list[Link]] = {}
        for i, (source, target) in enumerate(zip(*sides, strict=True)):
            attention = scored[i].attention if i in scored else None
            links[i] = [] if attention is None else word_links(attention, source, target)
        return links

    @torch.inference_mode()
    def score_tokens(
        self,
        sources: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
        batch_tokens: int,
        *,
        attend: bool,
    ) -> list[Scored]:
        """What the model gives each of `targets` for its source, in order.

        Sources are pieces alone; targets end with EOS, but for outputs that were cut before it.
        A batch has at most `batch_tokens` tokens on either side, unless it is a single pair.
        """
        results: dict[int, Scored] = {}
        lengths = [(len(s) + 1, len(t)) for s, t in zip(sources, targets, strict=True)]
        for rows in plan_pairs(lengths, batch_tokens):
            found = self._score_batch(
                [sources[row] for row in rows], [targets[row] for row in rows], attend
            )
            results.update(zip(rows, found, strict=True))
        return [results[row] for row in range(len(sources))]

    def _score_batch(
        self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]], attend: bool
    ) -> list[Scored]:
        source = pad([[*ids, EOS_ID] for ids in sources], max(map(len, sources)) + 1)
        labels = pad(targets, max(map(len, targets)))
        found, attention = self._follow(source.to(self.device), labels.to(self.device), attend)
        if found.isnan().any():
            raise FloatingPointError("the model gives no token a probability: NaN")
        return [
            Scored(
                row[: len(target)],
                None if attention is None else attention[i, : len(target), : len(ids) + 1],
            )
            for i, (row, ids, target) in enumerate(
                zip(found.tolist(), sources, targets, strict=True)
            )
        ]

    def _follow(self, source: Tensor, labels: Tensor, attend: bool) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities [B, T] of `labels` [B, T] and, on the CPU, attention [B, T, S]."""
        tokens = torch.cat((torch.full_like(labels[:, :1], BOS_ID), labels[:, :-1]), dim=1)
        size = max(1, LOGITS // (len(labels) * self.tokenizers.target.vocab_size))
        found, looks = [], []
        with autocast(self.precision, self.device):
            state = self.model.start(source)
            for start in range(0, tokens.size(1), size):
                part, wanted = (side[:, start : start + size] for side in (tokens, labels))
                if attend:
                    logits, attention = self.model.attend(part, state)
                    looks.append(attention.cpu())
                else:
                    logits = self.model.step(part, state)
                found.append(log_probabilities(logits, wanted))
        return torch.cat(found, dim=1).cpu(), torch.cat(looks, dim=1) if attend else None


def log_probabilities(logits: Tensor, labels: Tensor) -> Tensor:
    """Those of `labels` [B, T] by `logits` [B, T, V], at least in fp32."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    chosen = logits.gather(2, labels.unsqueeze(2)).squeeze(2)
    return chosen - logits.logsumexp(dim=2)


def plan_pairs(lengths: Sequence[tuple[int, int]], batch_tokens: int) -> Iterator[list[int]]:
    """Batches of row numbers, longest first, each within `batch_tokens` on either side.

    `lengths` are those of source and target.
    """
    batch: list[int] = []
    longest = 0
    for row in sorted(range(len(lengths)), key=lambda row: (-max(lengths[row]), -lengths[row][0])):
        if batch and (len(batch) + 1) * longest > batch_tokens:
            yield batch
            batch = []
        if not batch:
            longest = max(lengths[row])
        batch.append(row)
    if batch:
        yield batch


def as_output(
    text: str,
    pieces: Sequence[str],
    scored: Scored | None,
    config: SearchConfig,
    links: Sequence[Link] | None,
    show: bool,
) -> Output:
    """What a caller sees of a target, with its attention where it is to `show`; None is blank."""
    found = Scored([], None) if scored is None else scored
    looks = [] if found.attention is None else found.attention.tolist()
    return Output(
        text=text,
        score=0.0 if scored is None else found.score(config),
        log_probability=math.fsum(found.log_probabilities),
        tokens=pieces,
        token_log_probabilities=found.log_probabilities,
        alignment=links,
        attention=looks if show else None,
    )
