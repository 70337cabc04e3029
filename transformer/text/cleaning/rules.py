"""The rules that drop pairs, in the order of their settings."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from transformer.config import CleaningConfig
from transformer.text.cleaning.identification import in_language
from transformer.text.cleaning.languages import has_spaces, scripts_of
from transformer.text.cleaning.letters import KNOWN_SCRIPTS, enough_letters, mostly_of
from transformer.text.cleaning.numerals import numbers_differ

LOGGER = logging.getLogger(__name__)

Texts = Sequence[str]
Numbers = NDArray[np.int64]
Found = Iterable[tuple[int, str]]  # rows to drop, in order, and the reason of each
Rule = Callable[[Texts, Texts], Found]
Check = Callable[[str], bool]  # whether a side may stay

LENGTHS = (
    "min_words",
    "max_words",
    "max_characters",
    "max_word_ratio",
    "min_word_length",
    "max_word_length",
)


def asked(config: CleaningConfig) -> list[str]:
    """Names of the rules on text that the settings ask for, in order."""
    limits = {name: getattr(config, name) is not None for name in (*LENGTHS, "letters")}
    wanted = {
        "empty": config.empty,
        "copies": config.copies,
        **limits,
        "script": config.script,
        "numbers": config.numbers,
        "language": config.language,
    }
    return [name for name, on in wanted.items() if on]


def rules(config: CleaningConfig, languages: tuple[str, str], *, warn: bool) -> list[Rule]:
    """The rules asked for, for pairs in `languages`.

    InputError where a library that one needs is missing. Where a rule cannot be asked of a side,
    because nothing is known of its language, a warning says so if `warn`.
    """
    made: list[Rule] = []
    if config.empty:
        made.append(_blank)
    if config.copies:
        made.append(_copies)
    if any(getattr(config, name) is not None for name in LENGTHS):
        made.append(_lengths(config, *map(has_spaces, languages)))
    if config.letters is not None:
        check = enough_letters(config.letters)
        made.append(_sides("letters", check, check))
    if config.script:
        made.append(_known("script", _in_scripts, languages, warn=warn))
    if config.numbers:
        made.append(_numbers)
    if config.language:
        made.append(_known("language", in_language, languages, warn=warn))
    return made


def _blank(sources: Texts, targets: Texts) -> Found:
    # Most often there are none, which takes no loop in Python to find out.
    if all(all(side) and not any(map(str.isspace, side)) for side in (sources, targets)):
        return ()
    pairs = zip(sources, targets, strict=True)
    return [(row, "empty") for row, (a, b) in enumerate(pairs) if not (a.strip() and b.strip())]


def _copies(sources: Texts, targets: Texts) -> Found:
    """Rows whose sides are the same but for case and white space."""
    for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
        # The first characters tell most pairs apart.
        first, second = source.lstrip()[:1], target.lstrip()[:1]
        if (first == second or first.casefold()[:1] == second.casefold()[:1]) and (
            source.casefold().split() == target.casefold().split()
        ):
            yield row, "copies"


def _lengths(config: CleaningConfig, source_spaced: bool, target_spaced: bool) -> Rule:
    """Rules on words, of sides whose words are parted by spaces, and on characters."""

    def rule(sources: Texts, targets: Texts) -> Found:
        spaced = [
            _words(texts)
            for texts, parted in ((sources, source_spaced), (targets, target_spaced))
            if parted
        ]
        longest = np.maximum(_numbers_of(map(len, sources)), _numbers_of(map(len, targets)))
        found: dict[int, str] = {}
        for name, bad in _beyond(config, longest, spaced):
            for row in np.flatnonzero(bad).tolist():
                found.setdefault(row, name)
        return sorted(found.items())

    return rule


def _beyond(
    config: CleaningConfig, longest: Numbers, spaced: list[tuple[Numbers, Numbers]]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Of each limit, in order, the rows of which a side lies beyond it.

    `longest` are the characters of the longer sides; of each side with spaces there are its numbers
    of words and of characters in them. A side without words has no mean length of them.
    """
    none = np.zeros(len(longest), np.bool_)
    if config.min_words is not None:
        yield "min_words", sum((n < config.min_words for n, _ in spaced), none)
    if config.max_words is not None:
        yield "max_words", sum((n > config.max_words for n, _ in spaced), none)
    if config.max_characters is not None:
        yield "max_characters", longest > config.max_characters
    if config.max_word_ratio is not None and len(spaced) == 2:
        (source, _), (target, _) = spaced
        fewer = np.maximum(np.minimum(source, target), 1)
        yield "max_word_ratio", np.maximum(source, target) > config.max_word_ratio * fewer
    if config.min_word_length is not None:
        least = config.min_word_length
        yield "min_word_length", sum((chars < least * n for n, chars in spaced), none)
    if config.max_word_length is not None:
        most = config.max_word_length
        yield "max_word_length", sum((chars > most * n for n, chars in spaced), none)


def _words(texts: Texts) -> tuple[Numbers, Numbers]:
    """Of each text, the number of its words and that of the characters in them."""
    # Split twice: to keep millions of words would cost more.
    n = _numbers_of(map(len, map(str.split, texts)))
    return n, _numbers_of(map(len, map("".join, map(str.split, texts))))


def _numbers_of(counts: Iterable[int]) -> Numbers:
    return np.fromiter(counts, np.int64)


def _sides(reason: str, source: Check | None, target: Check | None) -> Rule:
    """Drop pairs of which a side does not pass its check; None lets everything pass."""

    def rule(sources: Texts, targets: Texts) -> Found:
        bad = set[int]()
        for check, side in ((source, sources), (target, targets)):
            if check is not None:
                bad.update(row for row, text in enumerate(side) if not check(text))
        return [(row, reason) for row in sorted(bad)]

    return rule


def _in_scripts(code: str) -> Check | None:
    scripts = scripts_of(code)
    return mostly_of(scripts) if scripts and scripts & KNOWN_SCRIPTS else None


def _known(
    name: str,
    make: Callable[[str], Check | None],
    languages: tuple[str, str],
    *,
    warn: bool,
) -> Rule:
    """A rule on sides for which `make` knows what to check."""
    checks = [make(code) for code in languages]
    for code in dict.fromkeys(languages):
        if warn and checks[languages.index(code)] is None:
            LOGGER.warning("cleaning.%s cannot be asked of text in %s: not known", name, code)
    return _sides(name, *checks)


def _numbers(sources: Texts, targets: Texts) -> Found:
    for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
        if numbers_differ(source, target):
            yield row, "numbers"
