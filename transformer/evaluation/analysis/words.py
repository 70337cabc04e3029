"""What counts as a word here: one rule for all languages, and for text that mixes them."""

import re
import string
import unicodedata

# Characters of scripts whose words no spaces part; each is a word of its own: Thai and Lao, Tibetan
# and Myanmar, Khmer, kana and Bopomofo, Han, half-width kana.
_SINGLE = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecd\u0edc-\u0edf\u0f40-\u0fbc\u1000-\u103f\u1050-\u109d"
    "\u1780-\u17d3\u3005-\u3007\u3041-\u3096\u309d-\u30fa\u30fc-\u312f\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
# Their punctuation stands between words without a space.
_BORDERS = "\u3000-\u3004\u3008-\u303f\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
_UNSPACED = re.compile(f"[{_SINGLE}{_BORDERS}]")
_PARTS = re.compile(f"[{_SINGLE}]|[^\\s{_SINGLE}{_BORDERS}]+")
_IS_SINGLE = re.compile(f"[{_SINGLE}]")


def words(text: str) -> list[str]:
    """The words of a text, case folded, without the punctuation around them.

    What stands between spaces, if there is a letter, mark or number in it; of scripts that part no
    words (Han, kana, Thai and their like) each character.
    """
    return [word for word in map(folded, parts(text)) if word]


def parts(text: str) -> list[str]:
    """The same as they stand in the text, to be counted before each is `folded`."""
    return _PARTS.findall(text) if _UNSPACED.search(text) else text.split()


def folded(part: str) -> str:
    """A part of text as a word; nothing where it is punctuation."""
    part = part.casefold().replace("\u2019", "'")
    if part.isascii():
        return part.strip(string.punctuation)
    start, end = 0, len(part)
    while start < end and not _counts(part[start]):
        start += 1
    while end > start and not _counts(part[end - 1]):
        end -= 1
    return part[start:end]


def is_single(word: str) -> bool:
    """Whether it is a character of a script that parts no words."""
    return len(word) == 1 and _IS_SINGLE.match(word) is not None


def has_digit(word: str) -> bool:
    return any(map(str.isdecimal, word))


def _counts(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"
