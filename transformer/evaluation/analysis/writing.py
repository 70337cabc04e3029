"""How a text is written: cut into tokens, without capitals, in what script."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transformer.evaluation.analysis.words import words
from transformer.text.cleaning import scripts_of
from transformer.text.cleaning.letters import KNOWN_SCRIPTS, mostly_of

_HAN = "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
# French parts ! ? : ; » % from the word before them, but nobody does so with commas and full
# stops. What stands behind keeps " ...", " .5" and " .NET" out.
_SPACED = re.compile(r"\S [,.](?=\s|$)|\S [，。、！？](?=\s|$)")
_POINTED = re.compile(r"[,.](?=\s|$)|[，。、！？]")
_ESCAPED = re.compile(r"&(apos|quot|#91|#93|#124|bar);|(?:^|\s)@[-,.:/]@(?=\s|$)")
_PIECES = re.compile(r"\u2581|@@(?=\s|$)")
_CUT = re.compile(f"[{_HAN}] (?=[{_HAN}])")
_JOINED = re.compile(f"[{_HAN}](?=[{_HAN}])")
_FEW = 3  # lines that may be odd in any text

MOST_TOKENISED = 0.1  # share of the lines that could show it, from which a text is tokenised
_MOST_MARKED = 0.02  # the same of marks that ordinary text hardly has
_MOST_LETTERS = 100  # fewer letters say nothing about case
_LEAST_CAPITALS = 0.002  # share of cased letters; German has 6 %, English 3 %, titles aside


@dataclass(frozen=True)
class Sign:
    """What is odd about how a text is written."""

    what: str
    n: int  # lines with it
    row: int  # the first of them, from 0


def signs_of_tokens(texts: Sequence[str]) -> list[Sign]:
    """What shows that a text was tokenised or cut into subwords; nothing for a raw text."""
    n = len(texts)
    checks: list[tuple[str, Callable[[str], bool], int, float]] = [
        ("subword marks (▁ or @@)", _has(_PIECES), n, _MOST_MARKED),
        ("escapes of Moses (as in &apos; or @-@)", _has(_ESCAPED), n, _MOST_MARKED),
        (
            "a space before commas and full stops",
            _has(_SPACED),
            sum(map(bool, map(_POINTED.search, texts))),
            MOST_TOKENISED,
        ),
        (
            "spaces between Chinese or Japanese characters",
            lambda text: len(_CUT.findall(text)) > len(_JOINED.findall(text)) / 2,
            sum(map(bool, map(_JOINED.search, texts))) + sum(map(bool, map(_CUT.search, texts))),
            MOST_TOKENISED,
        ),
    ]
    found = []
    for what, check, n_able, least in checks:
        rows = [row for row, text in enumerate(texts) if check(text)]
        if rows and len(rows) >= max(least * n_able, min(_FEW, n_able)):
            found.append(Sign(what, len(rows), rows[0]))
    return found


def capitals(texts: Sequence[str]) -> float | None:
    """The share of capitals among the letters that have them; None where these are too few.

    These are fewer than 100, or not half of all letters, as in Chinese.
    """
    n_upper = n_lower = n_other = 0
    for text in texts:
        for character in text:
            if character.isalpha():
                n_upper += character.isupper()
                n_lower += _is_small(character)
                n_other += 1
    n_cased = n_upper + n_lower
    if n_cased < _MOST_LETTERS or 2 * n_cased < n_other:
        return None
    return n_upper / n_cased


def without_capitals(share: float | None) -> bool:
    return share is not None and share < _LEAST_CAPITALS


def rows_in_other_script(texts: Sequence[str], language: str) -> list[int]:
    """Rows with more letters of other scripts than of those that the language is written in.

    None where its scripts are not known.
    """
    scripts = scripts_of(language)
    if scripts is None or not scripts <= KNOWN_SCRIPTS:
        return []
    fits = mostly_of(scripts)
    return [row for row, text in enumerate(texts) if not fits(text)]


def rows_in_source_language(
    texts: Sequence[str], sources: Sequence[str], references: Sequence[Sequence[str]]
) -> list[int]:
    """Rows with more words that all sources alone have than words that all references alone have.

    At least two of them, and more than a third of all: names and foreign words are such words.
    """
    of_sources = {word for text in sources for word in words(text)}
    of_references = {word for stream in references for text in stream for word in words(text)}
    only_sources, only_references = of_sources - of_references, of_references - of_sources
    found = []
    for row, text in enumerate(texts):
        ours = words(text)
        n = sum(word in only_sources for word in ours)
        if n >= 2 and 3 * n > len(ours) and n > sum(word in only_references for word in ours):
            found.append(row)
    return found


def _has(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.search(text) is not None


def _is_small(character: str) -> bool:
    """Whether it is a small letter; those of Georgian have capitals that no text is written in."""
    return unicodedata.category(character) == "Ll" and not "\u10d0" <= character <= "\u10ff"
