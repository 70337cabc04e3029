"""Filling the pattern of a frame with clauses, the same way for every language."""

import re
from collections.abc import Callable
from functools import cache

from transformer.text.phrasebook.abstract import Clause, Wh

_SLOT = re.compile(r"\{(\d):(\w+)\}")


@cache
def _parts(pattern: str) -> tuple[str, ...]:
    return tuple(_SLOT.split(pattern))


def fill(pattern: str, clauses: tuple[Clause, ...], render: Callable[[Clause, str], str]) -> str:
    """The pattern with each `{index:mode}` replaced by that clause in that mode."""
    parts = _parts(pattern)
    words = [parts[0]]
    for i in range(1, len(parts), 3):
        words += [render(clauses[int(parts[i])], parts[i + 1]), parts[i + 2]]
    return "".join(words)


def question_word(clause: Clause) -> str:
    """The word of the questioned slot, or nothing."""
    for slot in (clause.object, clause.place, clause.time, clause.duration):
        if isinstance(slot, Wh):
            return slot.word
    return ""


def tidy(text: str) -> str:
    """One space between words, one comma at a time, none before a stop; a capital to begin."""
    for wrong, right in (
        ("  ", " "),
        (" ,", ","),
        (" .", "."),
        (" ?", "?"),
        (",,", ","),
        (",.", "."),
        (",?", "?"),
    ):
        while wrong in text:
            text = text.replace(wrong, right)
    return text[0].upper() + text[1:]
