"""Which texts are the same but for how they are written, and which pairs occur in test sets."""

import re
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

SOURCE, TARGET = 1, 2  # bits of `LeakIndex.find`

_KEPT = [code for code in range(128) if chr(code).isalnum()]
_DROPPED = bytes(code for code in range(128) if code not in _KEPT)
_LOWER = bytes(ord(chr(code).lower()) if code < 128 else code for code in range(256))
_NEAR = bytes(ord("0") if chr(code).isdecimal() and code < 128 else code for code in _LOWER)

# Of longer texts, about so many characters are looked at first, and so many of their key.
_GLANCE, _HEAD = 24, 14
# Characters that no normalisation joins with what stands before them.
_BORDER = re.compile("[ -~\u0400-\u0482\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3]")


def match_key(text: str) -> str:
    """What is left of a text for telling whether it is the same as another.

    Unicode's NFKC, case folded, and only letters, marks and numbers; variation selectors are no
    marks here. Empty for a text without any.
    """
    if text.isascii():
        return text.encode("ascii").translate(_LOWER, _DROPPED).decode("ascii")
    return "".join(map(_FOLDED.__getitem__, unicodedata.normalize("NFKC", text)))


def near_key(text: str) -> str:
    """The same with 0 for each digit."""
    if text.isascii():
        return text.encode("ascii").translate(_NEAR, _DROPPED).decode("ascii")
    return "".join(map(_NEARLY.__getitem__, unicodedata.normalize("NFKC", text)))


class _Table(dict[str, str]):
    """What a character becomes, found when it is first met."""

    def __init__(self, value: Callable[[str], str]) -> None:
        self._value = value

    def __missing__(self, character: str) -> str:
        value = self[character] = self._value(character)
        return value


def _fold(character: str) -> str:
    return "".join(filter(_counts, character.casefold()))


def _counts(character: str) -> bool:
    if unicodedata.category(character)[0] not in "LMN":
        return False
    return not unicodedata.name(character, "").startswith(
        ("VARIATION SELECTOR", "MONGOLIAN FREE VARIATION SELECTOR")
    )


_FOLDED = _Table(_fold)
_NEARLY = _Table(lambda c: "".join("0" if x.isdecimal() else x for x in _fold(c)))


class LeakIndex:
    """The texts of validation and test sets, to be found in training pairs.

    A side of a pair is found where a text of the same side of a set has the same `match_key`; empty
    keys match nothing. Names of sets may occur twice: a set is then all texts under its name.
    """

    def __init__(self, sets: Sequence[tuple[str, Sequence[str], Sequence[str]]]) -> None:
        self._sides = tuple(
            _Side([(name, each[side]) for name, *each in sets]) for side in range(2)
        )

    def find(self, sources: Sequence[str], targets: Sequence[str]) -> NDArray[np.uint8]:
        """For each pair, 1 where its source occurs in a set, plus 2 where its target does."""
        found = np.zeros(len(sources), np.uint8)
        for bit, side, texts in zip((SOURCE, TARGET), self._sides, (sources, targets), strict=True):
            found[side.rows(texts)] |= bit
        return found

    def names(self, source: str, target: str) -> list[str]:
        """The sets that hold the source, the target or both, in the order in which they came."""
        found = [side.names(text) for side, text in zip(self._sides, (source, target), strict=True)]
        return list(dict.fromkeys(name for names in found for name in names))


class _Side:
    """The texts of one side of all sets, by their keys."""

    def __init__(self, sets: Sequence[tuple[str, Sequence[str]]]) -> None:
        self._names: dict[str, tuple[str, ...]] = {}
        for name, texts in sets:
            for key in filter(None, map(match_key, texts)):
                names = self._names.get(key, ())
                if name not in names:
                    self._names[key] = (*names, name)
        self._ascii = {key.encode("ascii") for key in self._names if key.isascii()}
        self._heads = {key[:_HEAD] for key in self._names}

    def names(self, text: str) -> tuple[str, ...]:
        return self._names.get(match_key(text), ())

    def rows(self, texts: Sequence[str]) -> list[int]:
        ascii_keys = self._ascii
        return [
            row
            for row, text in enumerate(texts)
            if (
                text.encode("ascii").translate(_LOWER, _DROPPED) in ascii_keys
                if text.isascii()
                else self._may_hold(text) and match_key(text) in self._names
            )
        ]

    def _may_hold(self, text: str) -> bool:
        """Whether the key of a text may be among those of the sets, from its first characters."""
        border = _BORDER.search(text, _GLANCE) if len(text) > 2 * _GLANCE else None
        if border is None:
            return True
        head = match_key(text[: border.start()])
        return len(head) < _HEAD or head[:_HEAD] in self._heads
