"""Where a model looks while it translates."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
import torch

from transformer.config import SearchConfig, Unit
from transformer.device import autocast
from transformer.errors import require
from transformer.pictures.attention import BOS, EOS, Looks, Weights
from transformer.text.alignment import WORD, processor_of, word_starts
from transformer.text.cleaning import has_spaces
from transformer.text.tokenizer import BOS_ID, EOS_ID, Tokenizer
from transformer.translation.alignment import written_word_starts
from transformer.translation.documents import Document
from transformer.translation.request import Request, named
from transformer.translation.sources import encoded
from transformer.translation.translator import Translator

Group = tuple[str, int]  # a label, and the number of pieces that it stands for
Pair = tuple[str, str]


@dataclass(frozen=True)
class Reading:
    """What the model reads of a pair, and what it writes."""

    text: str  # the line itself
    source: list[int]  # pieces, without EOS
    first: int  # of `source` that is of the line itself
    target: list[int]  # with EOS, unless it was cut off before
    language: str  # of the target


def look(
    translator: Translator,
    sources: Sequence[str | Request],
    targets: Sequence[str] | None = None,
    unit: Unit = Unit.words,
    search: SearchConfig | None = None,
    *,
    rows: Sequence[int] | None = None,
) -> list[Looks]:
    """The attention in each of `sources` and its target, or else its own translation, in order.

    With `rows`, numbers from 0, of these alone: the others are what models with context read before
    them. A Request brings its own context and language; all else that it asks for counts where
    there are no targets. InputError for an ensemble, and, naming the line, where one is blank or
    longer than what the model takes at once.
    """
    require(len(translator.members) == 1, "attention is that of one model, not of an ensemble")
    search = search or SearchConfig()
    require(
        search.mbr is None,
        "search.mbr chooses among texts by each other; to look at attention, leave it out",
    )
    wanted = range(len(sources)) if rows is None else rows
    readings = _readings(translator, sources, targets, search, set(wanted))
    found = {}
    for row, reading in readings.items():
        found[row] = _looks(translator, reading, unit)
    return [found[row] for row in wanted]


def fits(
    translator: Translator, source: str, target: str = "", *, longest: int | None = None
) -> bool:
    """Whether `look` takes a line and its given target: neither is too long, nor the line blank.

    Too long are more pieces than the model takes, or than `longest`.
    """
    tokenizers = translator.tokenizers
    (ids,), (target_ids,) = tokenizers.source.encode([source]), tokenizers.target.encode([target])
    most = translator.planner.options.max_source_pieces
    most = most if longest is None else min(most, longest)
    return 0 < len(ids) <= most and len(target_ids) <= most


def _readings(
    translator: Translator,
    sources: Sequence[str | Request],
    targets: Sequence[str] | None,
    search: SearchConfig,
    wanted: set[int],
) -> dict[int, Reading]:
    document = Document[Pair](translator.planner.sources.context.source)
    readings = {}
    for row, source in enumerate(sources):
        given = None
        if isinstance(source, Request):
            request, given = source, [(text, "") for text in source.context]
        else:
            request = Request(source=source)
        pair = request.source, "" if targets is None else targets[row]
        before = document.before(pair, blank=not request.source.strip(), given=given)
        if row not in wanted:
            continue
        with named(f"line {row + 1}"):
            _check_length(translator, translator.tokenizers.source, request.source, "")
            if targets is None:
                readings[row] = _own(translator, request, before, search, row)
            else:
                _check_length(translator, translator.tokenizers.target, pair[1], " of the target")
                readings[row] = _given(translator, request, pair, before)
    return readings


def _check_length(translator: Translator, tokenizer: Tokenizer, text: str, of: str) -> None:
    """Raise InputError where a line is blank, but for a target, or longer than the model takes."""
    (ids,) = tokenizer.encode([text])
    require(bool(ids or of), "it is blank, and there is nothing to look at")
    most = translator.planner.options.max_source_pieces
    require(
        len(ids) <= most,
        f"{len(ids)} pieces{of} are more than the {most} that the model takes at once; give a "
        "shorter line",
    )


def _own(
    translator: Translator,
    request: Request,
    before: Sequence[Pair],
    search: SearchConfig,
    row: int,
) -> Reading:
    """The line with what the model makes of it."""
    asked = Request(
        source=request.source,
        prefix=request.prefix,
        include=request.include,
        exclude=request.exclude,
        target_language=request.target_language,
        context=[source for source, _ in before],
    )
    (line,) = translator.planner.lines([asked], search, row)
    # Stand-ins for protected text may be longer than what they stand for.
    require(len(line.jobs) == 1, "with what is protected it is too long; give a shorter line")
    (job,), (text,) = line.jobs, line.parts
    ((best, *_),) = translator.search_jobs([job], search)
    return Reading(
        text, job.source, job.first, [*best.tokens, *[EOS_ID] * best.finished], line.language
    )


def _given(translator: Translator, request: Request, pair: Pair, before: Sequence[Pair]) -> Reading:
    """The line with a target that somebody else wrote, read as in training."""
    planner = translator.planner
    sides = (translator.tokenizers.source, translator.tokenizers.target)
    (source_ids,), (target_ids,) = (
        side.encode([text]) for side, text in zip(sides, pair, strict=True)
    )
    source_before, target_before = (
        [known[each[i]] for each in before]
        for i, side in enumerate(sides)
        for known in [encoded(side, (each[i] for each in before))]
    )
    language = planner.language(request.target_language)
    source = planner.sources.read(source_ids, language, source_before)
    target, _ = planner.sources.written(target_ids, target_before, source.n_sentences)
    return Reading(request.source, source.ids, source.first, [*target, EOS_ID], language)


def _looks(translator: Translator, reading: Reading, unit: Unit) -> Looks:
    """One pass over a pair, and its weights by `unit`."""
    source, target = (
        torch.tensor([ids], device=translator.device)
        for ids in ([*reading.source, EOS_ID], [BOS_ID, *reading.target[:-1]])
    )
    with autocast(translator.precision, translator.device):
        weights = translator.members[0].model.look(source, target)
    encoder, decoder, cross = (each[:, 0].float().cpu().numpy() for each in weights)
    read, written = _groups(translator, reading, unit)
    before = _shorter([(BOS, 1), *written])
    return Looks(
        source=[label for label, _ in read],
        target=[label for label, _ in written],
        encoder=merged(encoder, read, read),
        decoder=merged(decoder, written, before),
        cross=merged(cross, written, read),
    )


def _shorter(groups: list[Group]) -> list[Group]:
    """The `groups` without their last piece."""
    *others, (label, n) = groups
    return [*others, (label, n - 1)] if n > 1 else others


def merged(weights: Weights, rows: Sequence[Group], columns: Sequence[Group]) -> Weights:
    """Weights [L, H, pieces, pieces] as those of groups of pieces, none of them empty.

    What a group is looked at is the sum over its pieces; how it looks is their mean. So rows sum to
    1 as before.
    """
    sizes = np.array([n for _, n in rows])
    starts = [np.cumsum([0, *(n for _, n in groups)])[:-1] for groups in (rows, columns)]
    summed = np.add.reduceat(weights, starts[1], axis=-1, dtype=np.float64)
    mean = np.add.reduceat(summed, starts[0], axis=-2) / sizes[:, None]
    found: Weights = mean.astype(np.float32)
    return found


def _groups(
    translator: Translator, reading: Reading, unit: Unit
) -> tuple[list[Group], list[Group]]:
    """What the pieces of the source, EOS included, and of the target are shown as.

    Languages that put no spaces between words are shown by pieces in any case.
    """
    source, target = translator.tokenizers.source, translator.tokenizers.target
    languages = [first for first, _ in translator.settings.data.directions]
    if unit is Unit.pieces or not all(map(has_spaces, languages)):
        read = [(piece, 1) for piece in source.pieces([*reading.source, EOS_ID])]
    else:
        own = reading.source[reading.first :]
        (starts,) = word_starts(source.model, [reading.text])
        read = [
            *written_groups(source, reading.source[: reading.first]),
            *_word_groups(WORD.findall(reading.text), starts, source.pieces(own)),
            (EOS, 1),
        ]
    if unit is Unit.pieces or not has_spaces(reading.language):
        return read, [(piece, 1) for piece in target.pieces(reading.target)]
    return read, written_groups(target, reading.target)


def written_groups(tokenizer: Tokenizer, ids: Sequence[int]) -> list[Group]:
    """The words that pieces spell, and, each on its own, those that stand for no text."""
    is_control = processor_of(tokenizer.model).is_control
    groups: list[Group] = []
    for control, run in groupby(ids, is_control):
        part = list(run)
        if control:
            groups += [(piece, 1) for piece in tokenizer.pieces(part)]
            continue
        (starts,), (text,) = written_word_starts(tokenizer.model, [part]), tokenizer.decode([part])
        groups += _word_groups(WORD.findall(text), starts, tokenizer.pieces(part))
    return groups


def _word_groups(words: Sequence[str], starts: Sequence[int], pieces: Sequence[str]) -> list[Group]:
    """The `words`, whose pieces begin at `starts`, with all pieces given to some of them.

    A word without pieces stands with the one before it, whose last piece spells both; pieces
    behind the last word are given to it.
    """
    groups: list[Group] = []
    for word, (start, end) in zip(words, pairwise(starts), strict=True):
        if end > start:
            groups.append((word, end - start))
        elif groups:
            label, n = groups.pop()
            groups.append((f"{label} {word}", n))
    rest = len(pieces) - sum(n for _, n in groups)
    if rest and groups:
        label, n = groups.pop()
        groups.append((label, n + rest))
    elif rest:
        groups.append(("".join(pieces), rest))
    return groups
