"""The score of given translations, as the search would give it to them."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
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
from transformer.translation.documents import Document
from transformer.translation.request import Output
from transformer.translation.sources import Source, Sources, chosen_language, encoded

WINDOW = 4096  # pairs that are sorted by length together; so many are read ahead
LOGITS = 2**25  # the most that a step makes: 128 MiB in fp32

Pair = tuple[str, str]


@dataclass(frozen=True)
class Scored:
    """What a model gives the tokens of a target."""

    log_probabilities: list[float]
    attention: Tensor | None  # [T, S] on the CPU; None: not asked for
    first: int = 0  # column of `attention` that is of the line itself: what it reads before is not

    @property
    def looks(self) -> Tensor | None:
        """The attention to the line itself."""
        return None if self.attention is None else self.attention[:, self.first :]

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
class ScoringTask:
    """A target to score for its source, behind those of other sentences."""

    source: Source
    target: list[int]
    first: int  # of `target` that counts

    @property
    def is_blank(self) -> bool:
        """Whether both sides of the pair itself are."""
        return self.source.first == len(self.source.ids) and self.first == len(self.target)

    def own(self, scored: Scored) -> Scored:
        """What of `scored` counts."""
        attention = scored.attention
        return Scored(
            scored.log_probabilities[self.first :],
            None if attention is None else attention[self.first :],
            self.source.first,
        )


@dataclass(frozen=True)
class Scorer:
    """A model, or an ensemble, that scores given translations by one pass over each."""

    model: AttendingModel[Any]
    sources: Sources
    device: torch.device
    precision: Precision

    @property
    def tokenizers(self) -> Tokenizers:
        """Those of both sides."""
        return self.sources.tokenizers

    def score_pairs(
        self,
        pairs: Iterable[Pair],
        config: SearchConfig,
        *,
        language: str | None = None,
        alignment: bool = False,
        attention: bool = False,
    ) -> Iterator[Output]:
        """The target of each pair as an output for its source, in order; reads WINDOW pairs ahead.

        Text is cut into pieces as for training, and EOS is scored too. A blank target of a blank
        source has score 0 and no tokens; any other target of a blank source is scored after a
        source of EOS alone. A model that takes the sentences before a line has those of the pairs
        before, up to one with a blank source; a target is scored behind theirs, which do not count.
        InputError where the model does not translate into the `language`.
        """
        language = chosen_language(language, self.sources.languages)
        pairs, document = iter(pairs), Document[Pair](self.sources.context.source)
        while window := list(islice(pairs, WINDOW)):
            before = [document.before(pair, blank=not pair[0].strip()) for pair in window]
            tasks = self._tasks(window, before, language)
            yield from self._score_window(window, tasks, config, alignment, attention)

    def _tasks(
        self, pairs: Sequence[Pair], before: Sequence[Sequence[Pair]], language: str
    ) -> list["ScoringTask"]:
        """What is to be scored of each of `pairs`, which has the pairs `before` it."""
        context = list(chain.from_iterable(before))
        sides = (self.tokenizers.source, self.tokenizers.target)
        columns = zip(*pairs, strict=True)
        own = [side.encode(texts) for side, texts in zip(sides, columns, strict=True)]
        known = [
            encoded(tokenizer, (pair[side] for pair in context))
            for side, tokenizer in enumerate(sides)
        ]
        tasks = []
        for source_ids, target_ids, earlier in zip(*own, before, strict=True):
            source_before, target_before = (
                [known[side][pair[side]] for pair in earlier] for side in (0, 1)
            )
            source = self.sources.read(source_ids, language, source_before)
            target, first = self.sources.written(target_ids, target_before, source.n_sentences)
            tasks.append(ScoringTask(source, target, first))
        return tasks

    def _score_window(
        self,
        pairs: Sequence[Pair],
        tasks: Sequence["ScoringTask"],
        config: SearchConfig,
        alignment: bool,
        show: bool,
    ) -> Iterator[Output]:
        written = [i for i, task in enumerate(tasks) if not task.is_blank]
        found = self.score_tokens(
            [tasks[i].source.ids for i in written],
            [[*tasks[i].target, EOS_ID] for i in written],
            config.batch_tokens,
            attend=alignment or show or config.coverage_penalty > 0,
        )
        scored = {i: tasks[i].own(each) for i, each in zip(written, found, strict=True)}
        links = self._links(pairs, scored) if alignment else {}
        for i, ((_, target), task) in enumerate(zip(pairs, tasks, strict=True)):
            pieces = self.tokenizers.target.pieces(task.target[task.first :])
            yield as_output(target, pieces, scored.get(i), config, links.get(i), show)

    def _links(self, pairs: Sequence[Pair], scored: dict[int, Scored]) -> dict[int, list[Link]]:
        """Those of the words of all `pairs`; none of a pair that is not `scored`."""
        sides = (
            word_starts(self.tokenizers.source.model, [source for source, _ in pairs]),
            word_starts(self.tokenizers.target.model, [target for _, target in pairs]),
        )
        links: dict[int, list[Link]] = {}
        for i, (source, target) in enumerate(zip(*sides, strict=True)):
            attention = scored[i].looks if i in scored else None
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
    looks = [] if found.looks is None else found.looks.tolist()
    return Output(
        text=text,
        score=0.0 if scored is None else found.score(config),
        log_probability=math.fsum(found.log_probabilities),
        tokens=pieces,
        token_log_probabilities=found.log_probabilities,
        alignment=links,
        attention=looks if show else None,
    )
