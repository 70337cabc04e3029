"""Texts of XML files as they are read, with nothing held but what is not yet whole."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn
from xml.parsers import expat

from transformer.errors import InputError
from transformer.text.readers.reader import Meter, Run, flat
from transformer.text.readers.streams import read_blocks

# A larger block would hold more pairs at once; the parser is as quick with this.
BLOCK = 1 << 16
# Inline elements that hold native codes, and the one in them that holds text (TMX 1.4b, section
# "Content markup"; XLIFF 1.2, section 2.4).
CODES = {"bpt", "ept", "ph", "it", "ut"}
SUBFLOW = "sub"


class Handler:
    """What becomes of the elements of a file; names come without the prefix of their namespace."""

    root: str  # name of the outermost element

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []  # since they were last taken
        self.path: list[str] = []  # the names of the open elements, the outermost first
        self._kept: list[bool] = []  # inside of a text, for each open element: is its content text?
        self._text: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins; `path` does not have it."""
        raise NotImplementedError

    def end(self, name: str) -> None:
        """An element ends; `path` has it no more."""
        raise NotImplementedError

    def finish(self) -> None:
        """The file has ended well."""

    def begin_text(self) -> None:
        """Keep the characters of the element that begins, but not those of native codes."""
        self._text.clear()
        self._kept = [True]

    def end_text(self) -> str:
        self._kept = []
        return flat("".join(self._text))

    @property
    def in_text(self) -> bool:
        return bool(self._kept)

    def inline(self, name: str) -> None:
        """An element begins inside of a text."""
        self._kept.append(name == SUBFLOW or (self._kept[-1] and name not in CODES))

    def end_inline(self) -> bool:
        """An element ends; whether it stood inside of a text and was not the text's own."""
        if len(self._kept) < 2:
            return False
        self._kept.pop()
        return True

    def characters(self, text: str) -> None:
        if self._kept and self._kept[-1]:
            self._text.append(text)


def xml_runs(path: Path, handler: Handler, meter: Meter | None) -> Iterator[Run]:
    """Runs of the pairs that `handler` finds in a file.

    InputError, with the line, where the file is not well-formed or declares entities: those can
    blow up to any size, and those outside of the file could be anything.
    """
    parser = _parser(path, handler)
    try:
        for block in read_blocks(path, meter):
            for start in range(0, len(block), BLOCK):
                parser.Parse(block[start : start + BLOCK], False)
                if handler.pairs:
                    yield _taken(handler)
        parser.Parse(b"", True)
        handler.finish()
    except expat.ExpatError as error:
        raise InputError(f"{path} is not well-formed XML: {error}") from error
    except (ValueError, LookupError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} has an encoding that cannot be read: {reason}") from error
    if handler.pairs:
        yield _taken(handler)


def _taken(handler: Handler) -> Run:
    sources, targets = zip(*handler.pairs, strict=True)
    handler.pairs.clear()
    return list(sources), list(targets)


def _parser(path: Path, handler: Handler) -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(what: str) -> NoReturn:
        raise InputError(f"{path}, line {parser.CurrentLineNumber}: {what}")

    def start(name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        if not handler.path and local != handler.root:
            refuse(f"the file holds <{name[:50]}>, not <{handler.root}>")
        if handler.in_text:
            handler.inline(local)
        else:
            try:
                handler.start(local, attributes)
            except InputError as error:
                refuse(str(error))
        handler.path.append(local)

    def end(_: str) -> None:
        local = handler.path.pop()
        if not handler.end_inline():
            handler.end(local)

    def entity(name: str, *_: Any) -> None:
        refuse(f"it declares an entity ({name[:50]}), which is not allowed; write the text itself")

    def skipped(name: str, *_: Any) -> None:
        refuse(f"the entity &{name[:50]}; is not known; write the text itself")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = handler.characters
    parser.EntityDeclHandler = entity
    parser.SkippedEntityHandler = skipped
    return parser


@lru_cache(maxsize=10_000)
def covers(code: str, language: str) -> bool:
    """Whether text in `code` is in `language`: the same, or a region's or script's form of it."""
    code, language = (x.casefold().replace("_", "-") for x in (code, language))
    return code == language or code.startswith(f"{language}-")


def is_same(code: str, language: str) -> bool:
    """Whether both are spellings of the same code."""
    return covers(code, language) and covers(language, code)
