"""Text that a translation takes over from its source: stand-ins go in, originals come out."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from transformer.config import Protected
from transformer.text.tokenizer import UNK_ID, Tokenizer
from transformer.translation.tasks import TargetVocabulary
from transformer.translation.terminology import UNSPACED

# A letter or digit of a script with spaces.
_WORD = rf"[^\W{UNSPACED}]"
_BEFORE_WORD, _AFTER_WORD = rf"(?<!{_WORD})", rf"(?!{_WORD})"
# RFC 3986's characters but parentheses, and the letters of scripts with spaces. The last one is
# no punctuation of the sentence; a parenthesis belongs to it where it is closed.
_IN_URL = rf"(?:[\w.~:/?#\[\]@!$&'*+,;=%-](?<![{UNSPACED}]))"
_END_OF_URL = rf"(?:[\w~/#$&*+=%@-](?<![{UNSPACED}]))"
_IN_PARENTHESES = rf"\({_IN_URL}*+\)"
_SEPARATOR = r"[.,:/'’٫٬\u00a0\u202f]"
_PATTERNS = {  # in the order in which those that begin at one place are tried
    Protected.urls: rf"{_BEFORE_WORD}(?i:https?://|ftp://|www\.)"
    rf"(?:{_IN_URL}|{_IN_PARENTHESES})*(?:{_END_OF_URL}|{_IN_PARENTHESES})",
    Protected.emails: r"(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)++",
    Protected.tags: r"</?[A-Za-z](?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*+>|<!--[^<>]*-->",
    Protected.variables: r"\$?\{[^\W\d][\w.:!-]*+\}|\$?\{\d*+\}|%\(\w++\)[a-z]"
    r"|%(?:\d++\$)?[sdifgx](?!\w)",
    Protected.numbers: rf"(?:(?<!\w)(?<![)\]%])[+−±-])?"
    rf"(?<!\d{_SEPARATOR}){_BEFORE_WORD}"
    r"(?:\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d++)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
    rf"|\d++(?:{_SEPARATOR}\d++)*+){_AFTER_WORD}(?:[\u00a0\u202f ]?[%‰](?!\w))?",
}

# Short, and likely to be pieces; no other is a part of one.
_NUMBERS = [str(n) for n in range(2, 10)] + [str(n) for n in range(10, 100)]
_NAMES = [
    *("DJ", "PC", "AB", "CD", "BBC", "CNN", "IBM", "BMW", "NASA"),
    *(f"{letter}{number}" for number in "123456789" for letter in "XQZAB"),
    *(f"{letter}{number}" for number in "123456789" for letter in "xqz"),
    *(f"{first}{second}{first}" for first in "XQZJK" for second in "VWYP"),
    *(f"{first}{second}{first}" for first in "xqzjk" for second in "vwyp"),
]
# What a stand-in does not run together with.
_PARTING = re.compile(rf"$|\s|[{UNSPACED}]")
_IN_WORD = re.compile(_WORD)
_WORDS = re.compile(rf"{_WORD}+")
_PLACEHOLDER = re.compile(r"[^\w\s]+\w+[^\w\s]+|_+[^\W_]+_+")


@dataclass(frozen=True)
class Span:
    """An original and what stands for it in the line that the model translates.

    A space may have been put between it and what it touches: a word, another stand-in, or the
    single character `before`. It goes again where the same is there, and within tags, as behind
    <b> and in front of </b>, whatever is there.
    """

    stand_in: str
    original: str
    before: str = ""  # no space was put where there is nothing
    after: str = ""


@dataclass(frozen=True)
class Masked:
    """A line whose protected text is replaced."""

    text: str
    spans: Sequence[Span]  # each stand-in must occur in the translation
    n_left: int = 0  # what should be protected and could not be written: it is as it was


class StandIns:
    """What may stand for protected text with the tokenizers of a model."""

    def __init__(self, source: Tokenizer, target: TargetVocabulary) -> None:
        self._sides = source, target
        source_symbols = TargetVocabulary(source).symbols
        symbols = [
            text
            for text in target.symbols
            if text in source_symbols and _PLACEHOLDER.fullmatch(text)
        ]
        self._symbols = frozenset(symbols)
        self._names = symbols or self._writable(_NAMES)
        self._numbers = symbols or [*self._writable(_NUMBERS), *self._names]

    def unused(self, kind: Protected, source: str) -> Iterator[str]:
        """Stand-ins for a text of `kind` that are not in the line, the best first."""
        texts = self._numbers if kind is Protected.numbers else self._names
        return (text for text in texts if text not in source)

    def is_symbol(self, text: str) -> bool:
        """Whether the tokenizers keep it whole, whatever is next to it."""
        return text in self._symbols

    def can_write(self, text: str) -> bool:
        """Whether the target side has pieces for `text` and gives it back as it is."""
        _, target = self._sides
        ids = target.phrase(text)
        return UNK_ID not in ids and target.tokenizer.decode([ids])[0] == text

    def _writable(self, texts: Sequence[str]) -> list[str]:
        """Those that both sides can write, the ones of fewest pieces, none of them bytes, first."""
        source, target = self._sides
        costs = {}
        for text in texts:
            ids = source.encode([text])[0]
            if UNK_ID in ids or source.decode([ids])[0] != text or not self.can_write(text):
                continue
            sides = ((source, ids), (target.tokenizer, target.phrase(text)))
            n_bytes = sum(not side.is_text(id_) for side, ids in sides for id_ in ids)
            costs[text] = (n_bytes, sum(len(ids) for _, ids in sides))
        return sorted(costs, key=lambda text: costs[text])


def protect(
    source: str, kinds: Sequence[Protected], stand_ins: StandIns, avoid: Sequence[str] = ()
) -> Masked:
    """The line with a stand-in for each text of `kinds`; none is in one of the texts to `avoid`.

    What begins first counts, and of two that begin together the longer: a number within a URL
    is the URL's, one next to a letter is part of a word. A stand-in survives the tokenizer's
    normalisation (such as NFKC), which may alter text that is left in the line. Where stand-ins
    run out, the original stands for itself, and where the model cannot write that, it is only
    counted. `restore` of the masked line is `source`.
    """
    if not kinds:
        return Masked(source, [])
    found = list(_pattern(tuple(kinds)).finditer(source))
    free = {kind: stand_ins.unused(kind, "\n".join([source, *avoid])) for kind in kinds}
    used: list[str] = []
    chosen = []
    for text in found:
        candidates = free[Protected[text.lastgroup or ""]]
        stand_in = next((new for new in candidates if not _overlaps(new, used)), text[0])
        used.append(stand_in)
        if stand_in != text[0] or stand_ins.can_write(stand_in):
            chosen.append((text, stand_in))
    masked = _replace(source, chosen, stand_ins)
    if restore(masked.text, masked.spans) != source:  # a user's symbols may touch and mix
        return Masked(source, [], len(found))
    return Masked(masked.text, masked.spans, len(found) - len(chosen))


@cache
def _pattern(kinds: tuple[Protected, ...]) -> re.Pattern[str]:
    return re.compile(
        "|".join(f"(?P<{kind.name}>{text})" for kind, text in _PATTERNS.items() if kind in kinds)
    )


def _overlaps(text: str, others: Sequence[str]) -> bool:
    return any(text in other or other in text for other in others)


def _replace(
    source: str, chosen: Sequence[tuple[re.Match[str], str]], stand_ins: StandIns
) -> Masked:
    """The line with the stand-ins, parted by spaces from what would run together with them."""
    starts = {found.start(): stand_in for found, stand_in in chosen}
    text, end, spans = "", 0, []
    for found, stand_in in chosen:
        text += source[end : found.start()]
        end = found.end()
        span = Span(stand_in, found[0])
        if stand_in != found[0] and not stand_ins.is_symbol(stand_in):
            word = _WORDS.match(source, end)
            after = starts.get(end, word[0] if word else "")
            span = Span(stand_in, found[0], _touching(text), after)
        text += (" " if span.before else "") + stand_in + (" " if span.after else "")
        spans.append(span)
    return Masked(text + source[end:], spans)


def _touching(text: str) -> str:
    """The word that ends `text`, or another character that is to be parted from a stand-in."""
    if _PARTING.match(text[-1:]):
        return ""
    begin = len(text)
    while begin and _IN_WORD.match(text, begin - 1):
        begin -= 1
    return text[begin:] or text[-1:]


def restore(text: str, spans: Sequence[Span]) -> str:
    """The text with the original of each stand-in, as often as that occurs as a whole word.

    A stand-in that occurs only within words is taken at their beginnings, or else anywhere.
    """
    result, end = "", 0
    for found in found_in(text, spans):
        result += text[end : found.begin] + found.original
        end = found.end
    return result + text[end:]


def masked_prefix(text: str, spans: Sequence[Span]) -> str:
    """What an output begins with that `restore` makes one that begins with `text`.

    It has stand-ins for originals as far as there are some, in their order.
    """
    left = [span for span in spans if span.stand_in != span.original]
    originals = sorted({span.original for span in left}, key=len, reverse=True)
    result, end = "", 0
    for found in re.finditer("|".join(map(_whole, originals)), text) if left else ():
        span = next((span for span in left if span.original == found[0]), None)
        if span is None:
            continue
        left.remove(span)
        result += text[end : found.start()]
        end = found.end()
        parted = " " * bool(_IN_WORD.match(result[-1:])), " " * bool(_IN_WORD.match(text, end))
        result += span.stand_in.join(parted)
    result += text[end:]
    return result if restore(result, spans) == text else text


def _whole(text: str) -> str:
    """A pattern of `text` where it is no part of a longer word."""
    return _border(text[:1], _BEFORE_WORD) + re.escape(text) + _border(text[-1:], _AFTER_WORD)


@dataclass(frozen=True)
class Found:
    """Where a stand-in is in a text, with the spaces that were put beside it."""

    begin: int
    end: int
    original: str


def found_in(text: str, spans: Sequence[Span]) -> Iterator[Found]:
    """What `restore` replaces, in order."""
    pairs = [
        (shape, span.original)
        for span in spans
        if span.stand_in != span.original and (shape := _shape_in(text, span)) is not None
    ]
    if pairs:
        for found in re.finditer("|".join(f"({shape})" for shape, _ in pairs), text):
            yield Found(*found.span(), pairs[(found.lastindex or 0) - 1][1])


def _shape_in(text: str, span: Span) -> str | None:
    """A pattern of the strictest kind by which the stand-in is in `text`."""
    core = re.escape(span.stand_in)
    word = rf"{_BEFORE_WORD}{core}{_AFTER_WORD}"
    number = rf"(?<!\d{_SEPARATOR}){word}(?!{_SEPARATOR}\d)"
    shapes = (number, word, rf"{_BEFORE_WORD}{core}", core)
    shape = next((shape for shape in shapes if re.search(shape, text)), None)
    if shape is None:
        return None
    is_tag, is_closing = (span.original.startswith(begin) for begin in ("<", "</"))
    before = rf"(?<={_border(span.before[:1], _BEFORE_WORD)}{re.escape(span.before)}) "
    after = rf" (?={re.escape(span.after)}{_border(span.after[-1:], _AFTER_WORD)})"
    inside_before = is_closing and _IN_WORD.match(span.before)
    first = f"(?:{' ' if inside_before else before})?" if span.before else ""
    last = f"(?:{' ' if is_tag and not is_closing else after})?" if span.after else ""
    return first + shape + last


def _border(character: str, border: str) -> str:
    """The `border` of a word where the `character` beside it is in one."""
    return border if _IN_WORD.match(character) else ""
