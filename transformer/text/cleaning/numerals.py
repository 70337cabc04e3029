"""Whether two texts hold the same numbers."""

import re
import unicodedata
from collections import Counter

# A space parts thousands only where all parts behind it have three digits. Digits of all scripts.
_NUMBER = re.compile(
    r"(?<!\d)\d{1,3}(?:[ \u00a0\u2009\u202f]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,:'’٫٬．，]\d+)*"
)
_DIGIT = re.compile(r"\d")
_PARTS = re.compile(r"\D")
_SMALL = 12  # up to which numbers are mostly written as words in one language or the other
_MANY = 30  # numbers without a partner, beyond which none is looked for


def numbers_differ(source: str, target: str) -> bool:
    """Whether each side holds a number for which the other has none.

    Thousands may be parted, and decimals begin, in any way: 1,000 = 1.000 = 1 000 = 1000 and 3.5 =
    3,5. Zeros that begin a whole number count. Whole numbers from 0 to 12 need no partner, but can
    be one. So can, beside an equal number, one of the same digits but for zeros at the end (15 for
    150,000: 15万), a number without its decimals, a time of day twelve hours away, and for a year
    its decade and its century (30 or 20 for 1930).

    A number that only one side holds says nothing: the other may write it as a word. In the
    Tatoeba corpora that is so of 9 out of 10 pairs whose figures are not the same.
    """
    if _DIGIT.search(source) is None or _DIGIT.search(target) is None:
        return False
    ours, theirs = Counter(_numbers(source)), Counter(_numbers(target))
    if ours == theirs:
        return False
    return _lacks(ours - theirs, theirs) and _lacks(theirs - ours, ours)


def _lacks(left: Counter[str], others: Counter[str]) -> bool:
    """Whether a number of those left needs a partner and finds none among the others."""
    wanting = [number for number in left if not _is_small(number)]
    if len(wanting) > _MANY:
        return True
    return any(not any(_akin(number, other) for other in others) for number in wanting)


def _numbers(text: str) -> list[str]:
    """The numbers of a text: digits of ASCII, a point before decimals, colons as they are."""
    if not text.isascii():
        text = "".join(
            c if c < "\u0080" or not c.isdecimal() else str(unicodedata.decimal(c)) for c in text
        )
    return [number for found in _NUMBER.finditer(text) for number in _canonical(found[0])]


def _canonical(figure: str) -> list[str]:
    """One number; several where the parts of what stood there are no thousands, as in a date."""
    whole, *rest = _PARTS.split(figure)
    if not rest:
        return [whole]
    *marks, last = _PARTS.findall(figure)
    even = len(set(marks)) <= 1 and len(whole) <= 3 and whole[0] != "0"
    thousands = even and all(len(part) == 3 for part in rest[:-1])
    # 12,34,567 in India.
    lakhs = even and all(len(part) == 2 for part in rest[:-1])
    if len(rest[-1]) == 3 and set(marks) <= {last} and (thousands or lakhs):
        return ["".join([whole, *rest])]
    if thousands and last not in marks:
        return [_decimal("".join([whole, *rest[:-1]]), rest[-1])]
    return [_decimal(whole, rest[0])] if len(rest) == 1 else [whole, *rest]


def _decimal(whole: str, fraction: str) -> str:
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def _is_small(number: str) -> bool:
    """Whether a number may well be written as a word."""
    digits = number.lstrip("0")
    return "." not in number and len(digits) <= 2 and int(digits or "0") <= _SMALL


def _akin(number: str, other: str) -> bool:
    """Whether two numbers that differ may say the same."""
    if number.replace(".", "").rstrip("0") == other.replace(".", "").rstrip("0"):
        return True
    return _is_of(number, other) or _is_of(other, number)


def _is_of(part: str, number: str) -> bool:
    """Whether one is a number without its decimals, a year's decade, or the hour of half a day."""
    whole, _, fraction = number.partition(".")
    if fraction:
        hour, _, minutes = part.partition(".")
        if len(whole) == 2 and len(hour) <= 2 and minutes == fraction:
            return int(hour) + 12 == int(whole)
        return part == whole
    if len(number) != 4 or len(part) != 2:
        return False
    return number[2:] == part or int(number[:2]) + 1 == int(part)
