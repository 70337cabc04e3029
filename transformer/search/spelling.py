"""What pieces write, and where words begin and end in it."""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from transformer.search.protocol import SpecialIds

SPACE = "\u2581"
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
# Thai, Lao, Tibetan, Myanmar, Khmer, Tai; radicals, kana, bopomofo; Han, Yi; extensions of these.
_WITHOUT_SPACES = (
    (0x0E00, 0x109F),
    (0x1780, 0x17FF),
    (0x1950, 0x19FF),
    (0x1A20, 0x1AAF),
    (0x2E80, 0x312F),
    (0x3190, 0xA4CF),
    (0xA9E0, 0xA9FF),
    (0xAA60, 0xAADF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x1AFF0, 0x1B16F),
    (0x20000, 0x3FFFF),
)


@lru_cache(maxsize=10_000)
def in_word(character: str) -> bool:
    """Whether this character and another such one beside it belong to the same word.

    So do letters, their marks and digits, but for scripts that are written without spaces.
    """
    if unicodedata.category(character)[0] not in "LMN":
        return False
    code = ord(character)
    return not any(first <= code <= last for first, last in _WITHOUT_SPACES)


class Spelling:
    """What the V pieces of a vocabulary write, as UTF-8 with plain spaces; special ones nothing.

    A byte piece writes its byte. Where that is a part of a character only, it is `partial`, and
    not known to be in a word.
    """

    def __init__(self, pieces: tuple[str, ...], special: SpecialIds) -> None:
        silent = {special.pad, special.unk, special.bos, special.eos}
        self.texts = [b"" if i in silent else _written(piece) for i, piece in enumerate(pieces)]
        self.blob = np.frombuffer(b"".join(self.texts), np.uint8)
        self.ends = np.cumsum([len(text) for text in self.texts])  # [V], in the blob
        self.starts = np.concatenate(([0], self.ends[:-1]))  # [V]
        self.owners = np.repeat(np.arange(len(pieces)), self.ends - self.starts)
        # Of each byte, whether its character is in a word.
        self.in_word = np.array([flag for text in self.texts for flag in _in_words(text)], bool)
        length = self.ends - self.starts
        is_text, padded = length > 0, np.append(self.in_word, np.False_)
        self.begins_in_word = is_text & padded[self.starts]  # [V]
        self.ends_in_word = is_text & padded[self.ends - 1]  # [V]
        first = np.append(self.blob, np.uint8(0))[self.starts]
        self.partial = (length == 1) & (first >= 0x80)  # [V]
        self.order = sorted(range(len(pieces)), key=self.texts.__getitem__)
        self.sorted_texts = [self.texts[i] for i in self.order]

    def written(self, text: bytes) -> list[int]:
        """The pieces that write just this."""
        first = bisect_left(self.sorted_texts, text)
        return self.order[first : bisect_left(self.sorted_texts, text + b"\0", first)]

    def longer(self, text: bytes) -> NDArray[np.int64]:
        """The pieces that write this and more."""
        first = bisect_left(self.sorted_texts, text + b"\0")
        # No byte of UTF-8 is 0xFF.
        end = bisect_left(self.sorted_texts, text + b"\xff", first)
        return np.array(self.order[first:end], np.int64)

    def beginnings(self, phrase: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where in the blob pieces hold `phrase`, or end in a part that it begins with.

        Beside each place, how many bytes of the phrase the piece holds.
        """
        places = np.flatnonzero(self.blob == phrase[0])
        ends = self.ends[self.owners[places]]
        for i, byte in enumerate(phrase[1:], 1):
            is_over = places + i >= ends
            same = self.blob[np.minimum(places + i, len(self.blob) - 1)] == byte
            places, ends = places[is_over | same], ends[is_over | same]
        return places, np.minimum(ends - places, len(phrase))


def _written(piece: str) -> bytes:
    byte = _BYTE.fullmatch(piece)
    return bytes([int(byte[1], 16)]) if byte else piece.replace(SPACE, " ").encode()


def _in_words(text: bytes) -> Iterator[bool]:
    """Of each byte, whether its character is in a word."""
    if len(text) == 1:
        yield text[0] < 0x80 and in_word(chr(text[0]))
        return
    for character in text.decode():
        yield from [in_word(character)] * len(character.encode())


@lru_cache(maxsize=4)
def spelling(pieces: tuple[str, ...], special: SpecialIds) -> Spelling:
    """The spelling of a vocabulary, made once."""
    return Spelling(pieces, special)
