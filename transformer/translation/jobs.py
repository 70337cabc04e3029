"""Requests to searches, and what those found to translations."""

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from transformer.config import Protected, RequestSettings, SearchConfig
from transformer.errors import InputError, require
from transformer.search import Hypothesis, Task
from transformer.text.tokenizer import Tokenizers
from transformer.translation.joining import joined, restored
from transformer.translation.protection import Masked, Span, StandIns, masked_prefix, protect
from transformer.translation.request import BLANK, Output, Request, Translation
from transformer.translation.splitting import has_spaces, split
from transformer.translation.tasks import TargetVocabulary, excluded, phrase_of, prefix_of
from transformer.translation.terminology import Terminology, read_terminology

logger = logging.getLogger(__name__)

PARTS = 1000  # the most parts of a line that draw samples of their own


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is asked of all lines alike."""

    terminology: Terminology | None = None
    exclude: Sequence[str] = ()
    protect: Sequence[Protected] = ()
    max_source_pieces: int  # longer lines are translated in parts


def options_of(settings: RequestSettings, longest: int) -> Options:
    """What `settings` ask of all lines; `longest` pieces is what the models were trained with."""
    terminology = None
    if settings.terminology is not None:
        terminology = read_terminology(settings.terminology)
    return Options(
        terminology=terminology,
        exclude=settings.exclude,
        protect=[Protected(each) for each in settings.protect],
        max_source_pieces=settings.max_source_pieces or longest,
    )


@dataclass(frozen=True)
class Job:
    """A line, or a part of one, to search for."""

    source: list[int]  # pieces, without EOS
    task: Task

    @property
    def place(self) -> str:
        """The line of the input, for people."""
        return f"line {self.task.number // PARTS + 1}"


@dataclass(frozen=True)
class Line:
    """A request as it is carried out."""

    request: Request
    jobs: list[Job]  # one a part; none where the line is blank
    parts: list[str]  # the sources of the jobs
    spans: Sequence[Span] = ()  # what is protected in it


class Planner:
    """Makes jobs of requests, and translations of what the search finds for the jobs."""

    def __init__(self, tokenizers: Tokenizers, language: str, options: Options) -> None:
        self.tokenizers = tokenizers
        self.language = language  # of the target
        self.options = options
        self.target = TargetVocabulary(tokenizers.target, spaces=has_spaces(language))
        self.exclude = [excluded(phrase, self.target) for phrase in options.exclude]
        if options.terminology is not None:
            for target, place in options.terminology.places.items():
                with named(place):
                    phrase_of(target, self.target)

    def lines(self, requests: Sequence[Request], config: SearchConfig, first: int) -> list[Line]:
        """The `requests` with their jobs; the first of them is line number `first` of all.

        InputError where one asks for what cannot be.
        """
        texts = [request.source for request in requests]
        spans: list[Sequence[Span]] = [[] for _ in texts]
        if self.options.protect:
            found = [self._protected(request) for request in requests]
            texts, spans = [each.text for each in found], [each.spans for each in found]
            self._warn_unprotected(sum(each.n_left for each in found))
        parts = self._split(texts)
        pieces = iter(self.tokenizers.source.encode([part for line in parts for part in line]))
        lines = []
        for i, request in enumerate(requests):
            demanded = by_part(parts[i], spans[i])
            masked = replace(request, prefix=masked_prefix(request.prefix, spans[i]))
            with named(f"line {first + i + 1}"):
                jobs = [
                    self._job(masked, j, part, demanded[j], next(pieces), config, first + i)
                    for j, part in enumerate(parts[i])
                ]
            lines.append(Line(request, jobs, parts[i], spans[i]))
        return lines

    @cached_property
    def stand_ins(self) -> StandIns:
        """What may stand for protected text."""
        return StandIns(self.tokenizers.source, self.target)

    def _protected(self, request: Request) -> Masked:
        """The source with stand-ins, which differ from all that is asked for."""
        asked = [request.prefix, *request.include, *request.exclude, *self.exclude]
        if self.options.terminology is not None:
            asked += self.options.terminology.terms_in(request.source)
        return protect(request.source, self.options.protect, self.stand_ins, asked)

    def _split(self, texts: Sequence[str]) -> list[list[str]]:
        """Each line in parts that are short enough; a blank one has none."""
        most = self.options.max_source_pieces
        lengths = map(len, self.tokenizers.source.encode(texts))
        parts = [
            [] if n == 0 else [text] if n <= most else split(text, self._count, most)
            for text, n in zip(texts, lengths, strict=True)
        ]
        n_split = sum(len(line) > 1 for line in parts)
        if n_split:
            logger.warning(
                "%d lines of more than %d pieces were translated in parts", n_split, most
            )
        return parts

    def _count(self, texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in self.tokenizers.source.encode(texts)]

    def _warn_unprotected(self, n: int) -> None:
        if n:
            logger.warning(
                "%d protected texts hold characters that the model cannot write; they are left "
                "to it",
                n,
            )

    def _job(
        self,
        request: Request,
        part: int,
        text: str,
        stand_ins: Sequence[str],
        source: list[int],
        config: SearchConfig,
        number: int,
    ) -> Job:
        """The job of one `part` of a line; the first has the prefix and the phrases asked for."""
        phrases = [] if part else [*request.include]
        if self.options.terminology is not None:
            phrases += self.options.terminology.terms_in(text)
        phrases += stand_ins
        include = [phrase_of(phrase, self.target) for phrase in phrases]
        prefix, after = prefix_of("" if part else request.prefix, self.target)
        least = len(prefix) + sum(map(len, include)) + 2
        longest = int(config.max_length_ratio * len(source)) + config.max_length_offset
        longest = max(min(longest, config.max_length or longest), least)
        require(
            config.max_length is None or longest <= config.max_length,
            f"search.max_length={config.max_length} leaves no room for the prefix and the "
            f"phrases, which take {least} pieces with EOS",
        )
        shortest = max(config.min_length, math.ceil(config.min_length_ratio * len(source))) + 1
        task = Task(
            longest=longest,
            shortest=min(shortest, longest),
            number=number * PARTS + min(part, PARTS - 1),
            prefix=prefix,
            after_prefix=after,
            include=include,
            exclude=[*self.exclude, *(excluded(text, self.target) for text in request.exclude)],
        )
        return Job(source, task)

    def outputs(self, found: Sequence[Hypothesis]) -> list[Output]:
        """What was found for a job, as text."""
        texts = self.tokenizers.target.decode([hypothesis.tokens for hypothesis in found])
        return [
            Output(
                text=text,
                score=hypothesis.score,
                log_probability=hypothesis.log_probability,
                tokens=self.tokenizers.target.pieces(hypothesis.tokens),
                token_log_probabilities=hypothesis.token_log_probabilities,
                finished=hypothesis.finished,
            )
            for text, hypothesis in zip(texts, found, strict=True)
        ]

    def translation(self, line: Line, parts: Sequence[Sequence[Output]]) -> Translation:
        """The translation of a `line` from the outputs of each of its parts."""
        source = line.request.source
        if not parts:
            return Translation(source=source, outputs=[BLANK])
        ranked = zip(*parts, strict=False)
        outputs = [joined(outputs, line.parts, self.language) for outputs in ranked]
        if line.spans:
            whole = " ".join(line.parts)
            outputs = [restored(output, whole, line.spans) for output in outputs]
        return Translation(source=source, outputs=outputs)


@contextmanager
def named(place: str) -> Iterator[None]:
    """Lets an InputError begin with the `place` of what it is about."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from error


def by_part(parts: Sequence[str], spans: Sequence[Span]) -> list[list[str]]:
    """The stand-ins that each of the `parts` of a line holds, each span in one of them."""
    found: list[list[str]] = [[] for _ in parts]
    part, place = 0, 0
    for span in spans:
        while part < len(parts) and (at := parts[part].find(span.stand_in, place)) < 0:
            part, place = part + 1, 0
        if part == len(parts):
            break
        found[part].append(span.stand_in)
        place = at + len(span.stand_in)
    return found
