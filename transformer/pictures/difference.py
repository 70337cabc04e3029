"""In what a translation differs from its reference, word for word."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby

_TOKEN = re.compile(r"\s+|\w+|[^\w\s]")
_CHARACTER = re.compile(r"\s+|[a-zA-Z0-9]+|.", re.DOTALL)


@dataclass(frozen=True)
class Span:
    """A stretch of a text."""

    text: str
    differs: bool  # from the other text


def differences(
    translation: str, reference: str, *, by_characters: bool = False
) -> tuple[list[Span], list[Span]]:
    """Both texts in spans; what differs is in the one and not, at that place, in the other.

    Words and signs are compared, or, for languages without spaces, characters.
    """
    pattern = _CHARACTER if by_characters else _TOKEN
    first, second = pattern.findall(translation), pattern.findall(reference)
    words, others = _words(first), _words(second)
    same, same_there = [False] * len(words), [False] * len(others)
    matcher = SequenceMatcher(None, words, others, autojunk=False)
    for block in matcher.get_matching_blocks():
        same[block.a : block.a + block.size] = [True] * block.size
        same_there[block.b : block.b + block.size] = [True] * block.size
    return _spans(first, same), _spans(second, same_there)


def _words(tokens: Sequence[str]) -> list[str]:
    return [token for token in tokens if not token.isspace()]


def _spans(tokens: Sequence[str], same: Sequence[bool]) -> list[Span]:
    """`tokens` joined to spans, where `same` tells of those that are no space.

    Space belongs to what differs where it does so on both sides.
    """
    differs: list[bool] = []
    number = 0
    for token in tokens:
        if token.isspace():
            inside = 0 < number < len(same)
            differs.append(inside and not same[number - 1] and not same[number])
        else:
            differs.append(not same[number])
            number += 1
    pairs = zip(tokens, differs, strict=True)
    return [
        Span("".join(token for token, _ in group), flag)
        for flag, group in groupby(pairs, key=lambda pair: pair[1])
    ]
