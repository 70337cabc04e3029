"""Text without the entities and tags of HTML and XML."""

import re
from html import unescape

# A semicolon is asked for: without it `R&D` and `?a=1&copy=2` are as good as any text.
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

# No part of this can match what another could, so that no hostile text makes it slow.
_TAG = re.compile(
    r"<(?:"
    r"(?P<close>/)(?P<closed>[A-Za-z][\w.:-]*+)\s*+"
    r"|(?P<name>[A-Za-z][\w.:-]*+)"
    r"(?P<attributes>(?:\s++[\w.:-]++\s*+=\s*+(?:\"[^\"<]*+\"|'[^'<]*+'|[^\s\"'<>=/]++))*+)"
    r"\s*+(?P<alone>/?)"
    r"|!--(?:(?!<!--|-->).)*+--"
    r"|![A-Za-z][^<>]*+"
    r"|\?[A-Za-z][^<>]*+"
    r")>",
    re.DOTALL,
)
_LINE_ENDS = re.compile(r"[\r\n]+")

# Tags that may stand without a partner: text that is cut into lines often parts the two.
_LONE = frozenset(
    "a abbr b big blockquote body br button center code dd del div dl dt em font footer form"  # noqa: SIM905
    " h1 h2 h3 h4 h5 h6 head header hr html i img input ins label li link meta nav nobr ol"
    " option p pre s script section small span strike strong style sub sup table tbody td th"
    " thead title tr tt u ul".split()
)
# Tags between which words are apart, though no space stands there.
_BREAKS = frozenset(
    "blockquote body br center dd div dl dt footer form h1 h2 h3 h4 h5 h6 head header hr html"  # noqa: SIM905
    " img li nav ol option p pre section table tbody td th thead title tr ul".split()
)


def without_markup(text: str) -> str:
    """The text with its entities read, once, and then its tags taken out.

    `&amp;lt;` becomes `&lt;`. A tag is `<name>`, perhaps with attributes `key=value`, of HTML, or
    of any name where it has attributes, closes itself, or has its partner in the text; comments,
    declarations and processing instructions go as well. `a < b`, `<3` and `<file>` stay. Tags that
    part words, such as `<br>`, leave a space. Line ends among the entities become spaces.
    """
    if "&" in text:
        text = _LINE_ENDS.sub(" ", _ENTITY.sub(_character, text))
    if "<" in text and ">" in text:
        text = _without_tags(text)
    return text


def _character(entity: re.Match[str]) -> str:
    character = unescape(entity[0])
    return entity[0] if character in {"", "\ufffd"} else character


def _without_tags(text: str) -> str:
    names = {False: set[str](), True: set[str]()}
    for tag in _TAG.finditer(text):
        if tag["close"] or tag["name"]:
            names[bool(tag["close"])].add(_name(tag))
    paired = names[True] & names[False]
    broken = False

    def replacement(tag: re.Match[str]) -> str:
        nonlocal broken
        name = _name(tag)
        if name and not _is_markup(tag, name, paired):
            return tag[0]
        broken |= name in _BREAKS
        return " " if name in _BREAKS else ""

    found = _TAG.sub(replacement, text)
    return found.strip() if broken else found


def _name(tag: re.Match[str]) -> str:
    """Of a comment and its like: nothing."""
    return (tag["name"] or tag["closed"] or "").lower()


def _is_markup(tag: re.Match[str], name: str, paired: set[str]) -> bool:
    if name in paired or tag["attributes"] or tag["alone"]:
        return True
    if name not in _LONE:
        return False
    # `a<b>c` compares.
    text, start, end = tag.string, tag.start(), tag.end()
    within = text[start - 1 : start].isalnum() and text[end : end + 1].isalnum()
    return bool(tag["close"]) or len(name) > 1 or not within
