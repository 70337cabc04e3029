"""Requests to searches, and what those found to translations."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from transformer.config import DataConfig, SearchConfig
from transformer.errors import require
from transformer.search import Hypothesis, Task
from transformer.search.protocol import Vocabulary
from transformer.text.cleaning import has_spaces
from transformer.text.tokenizer import Tokenizers
from transformer.translation.joining import joined, restored
from transformer.translation.options import Options, TargetSide
from transformer.translation.protection import Masked, Span, masked_prefix, protect
from transformer.translation.request import BLANK, Output, Request, Translation, named
from transformer.translation.sources import Source, Sources, chosen_language, encoded
from transformer.translation.splitting import split
from transformer.translation.tasks import excluded, phrase_of, prefix_of

logger = logging.getLogger(__name__)

PARTS = 1000  # the most parts of a line that draw samples of their own


@dataclass(frozen=True)
class Job:
    """A line, or a part of one, to search for."""

    source: list[int]  # pieces, without EOS
    task: Task
    first: int = 0  # piece of the line itself, behind tags and sentences before it

    @property
    def place(self) -> str:
        """The line of the input, for people."""
        return f"line {self.task.number // PARTS + 1}"


@dataclass(frozen=True)
class Part:
    """A line, or one of the parts of a line, on the way to its job."""

    number: int  # among the parts
    text: str
    source: Source
    stand_ins: Sequence[str]


@dataclass(frozen=True)
class Line:
    """A request as it is carried out."""

    request: Request
    jobs: list[Job]  # one a part; none where the line is blank
    parts: list[str]  # the sources of the jobs
    language: str  # of the target
    spans: Sequence[Span] = ()  # what is protected in it


class Planner:
    """Makes jobs of requests, and translations of what the search finds for the jobs."""

    def __init__(self, tokenizers: Tokenizers, data: DataConfig, options: Options) -> None:
        """Take what the models were trained on; InputError where `options` ask what cannot be."""
        self.tokenizers = tokenizers
        self.options = options
        self.sources = Sources(tokenizers, data, options.max_source_pieces)
        for name in ("terminology", "protect"):
            self._require_alone(name, bool(getattr(options, name)))
        if options.target_language is not None:
            chosen_language(options.target_language, self.sources.languages)
        self._sides: dict[bool, TargetSide] = {}
        self._first = self.side(options.target_language or self.sources.languages[0])

    @property
    def vocabulary(self) -> Vocabulary:
        """What the search writes."""
        return self._first.vocabulary.vocabulary

    def side(self, language: str) -> TargetSide:
        """The target side of a `language`."""
        spaces = has_spaces(language)
        if spaces not in self._sides:
            self._sides[spaces] = TargetSide(self.tokenizers, self.options, spaces=spaces)
        return self._sides[spaces]

    def language(self, asked: str | None = None) -> str:
        """The one `asked` for, or else that of the options; InputError where there is none."""
        asked = self.options.target_language if asked is None else asked
        return chosen_language(asked, self.sources.languages)

    def lines(self, requests: Sequence[Request], config: SearchConfig, first: int) -> list[Line]:
        """The `requests` with their jobs; the first of them is line number `first` of all.

        InputError where one asks for what cannot be.
        """
        languages = []
        for number, request in enumerate(requests, start=first + 1):
            with named(f"line {number}"):
                languages.append(self._checked(request))
        texts = [request.source for request in requests]
        spans: list[Sequence[Span]] = [[] for _ in texts]
        if self.options.protect:
            pairs = zip(requests, languages, strict=True)
            found = [self._protected(request, self.side(language)) for request, language in pairs]
            texts, spans = [each.text for each in found], [each.spans for each in found]
            self._warn_unprotected(sum(each.n_left for each in found))
        lines = []
        for i, parts in enumerate(self._parts(requests, texts, spans, languages)):
            masked = replace(requests[i], prefix=masked_prefix(requests[i].prefix, spans[i]))
            side = self.side(languages[i])
            with named(f"line {first + i + 1}"):
                jobs = [self._job(masked, part, side, config, first + i) for part in parts]
            lines.append(
                Line(requests[i], jobs, [part.text for part in parts], languages[i], spans[i])
            )
        return lines

    def _checked(self, request: Request) -> str:
        """The language to translate into; InputError where the model cannot do what is asked."""
        self.sources.require_context(request.context)
        for name in ("prefix", "include"):
            self._require_alone(name, bool(getattr(request, name)))
        return self.language(request.target_language)

    def _require_alone(self, name: str, given: bool) -> None:
        """Raise InputError where what asks for text is given, and there is other text before it."""
        require(
            not given or not self.sources.context.target,
            f"{name} goes with models that write one sentence a line; this one was trained with "
            f"data.context.target={self.sources.context.target} and writes others before it",
        )

    def _parts(
        self,
        requests: Sequence[Request],
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        languages: Sequence[str],
    ) -> list[list[Part]]:
        """The parts of each line; those of a line that is cut have no sentences before them."""
        tokenizer = self.tokenizers.source
        parts = self._split(texts)
        pieces = iter(tokenizer.encode([part for line in parts for part in line]))
        nearest = [request.context[-self.sources.context.source :] for request in requests]
        known = encoded(tokenizer, chain.from_iterable(nearest))
        found = []
        for context, line, held, language in zip(nearest, parts, spans, languages, strict=True):
            before = [known[each] for each in context] if len(line) == 1 else []
            found.append(
                [
                    Part(i, text, self.sources.read(next(pieces), language, before), stand_ins)
                    for i, (text, stand_ins) in enumerate(
                        zip(line, by_part(line, held), strict=True)
                    )
                ]
            )
        return found

    def _protected(self, request: Request, side: TargetSide) -> Masked:
        """The source with stand-ins, which differ from all that is asked for."""
        asked = [request.prefix, *request.include, *request.exclude, *side.exclude]
        if self.options.terminology is not None:
            asked += self.options.terminology.terms_in(request.source)
        return protect(request.source, self.options.protect, side.stand_ins, asked)

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
        self, request: Request, part: Part, side: TargetSide, config: SearchConfig, number: int
    ) -> Job:
        """The job of one `part` of a line; the first has the prefix and the phrases asked for.

        Limits of length are of all that is written, sentences before the line's own included.
        """
        phrases = [] if part.number else [*request.include]
        if self.options.terminology is not None:
            phrases += self.options.terminology.terms_in(part.text)
        phrases += part.stand_ins
        include = [phrase_of(phrase, side.vocabulary) for phrase in phrases]
        prefix, after = prefix_of("" if part.number else request.prefix, side.vocabulary)
        length = part.source.length
        least = len(prefix) + sum(map(len, include)) + 2
        longest = int(config.max_length_ratio * length) + config.max_length_offset
        longest = max(min(longest, config.max_length or longest), least)
        require(
            config.max_length is None or longest <= config.max_length,
            f"search.max_length={config.max_length} leaves no room for the prefix and the "
            f"phrases, which take {least} pieces with EOS",
        )
        shortest = max(config.min_length, math.ceil(config.min_length_ratio * length)) + 1
        task = Task(
            longest=longest,
            shortest=min(shortest, longest),
            number=number * PARTS + min(part.number, PARTS - 1),
            prefix=prefix,
            after_prefix=after,
            include=include,
            exclude=[
                *side.exclude,
                *(excluded(text, side.vocabulary) for text in request.exclude),
            ],
        )
        return Job(part.source.ids, task, part.source.first)

    def outputs(self, found: Sequence[Hypothesis]) -> list[Output]:
        """What was found for a job, as text: that of the line itself alone."""
        begins = [self.sources.own(hypothesis.tokens) for hypothesis in found]
        tokens = [each.tokens[begin:] for each, begin in zip(found, begins, strict=True)]
        texts = self.tokenizers.target.decode(tokens)
        return [
            Output(
                text=text,
                score=hypothesis.score,
                log_probability=hypothesis.log_probability,
                tokens=self.tokenizers.target.pieces(own),
                token_log_probabilities=hypothesis.token_log_probabilities[begin:],
                finished=hypothesis.finished,
            )
            for text, hypothesis, own, begin in zip(texts, found, tokens, begins, strict=True)
        ]

    def translation(self, line: Line, parts: Sequence[Sequence[Output]]) -> Translation:
        """The translation of a `line` from the outputs of each of its parts."""
        source = line.request.source
        if not parts:
            return Translation(source=source, outputs=[BLANK])
        ranked = zip(*parts, strict=False)
        outputs = [joined(outputs, line.parts, line.language) for outputs in ranked]
        if line.spans:
            whole = " ".join(line.parts)
            outputs = [restored(output, whole, line.spans) for output in outputs]
        return Translation(source=source, outputs=outputs)


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
