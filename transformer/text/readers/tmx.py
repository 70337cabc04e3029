"""Translation memories (TMX 1.1 to 1.4b)."""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from transformer.errors import InputError, require
from transformer.text.readers.reader import FileReader, Meter, Run
from transformer.text.readers.xml import Handler, covers, is_same, xml_runs

LOGGER = logging.getLogger(__name__)


class TmxReader(FileReader):
    """The units that have both languages, whatever other languages they have.

    `en` takes `en-US` as well, but the very same code before it. Of several texts in a language
    the first is taken; the others, and units that lack a language, are counted in the log.
    Native codes are left out of a text, what is between them and subflows in them stay.
    """

    def _runs(self, meter: Meter | None) -> Iterator[Run]:
        units = _Units(self._path, *self._corpus.direction)
        yield from xml_runs(self._path, units, meter)
        units.report()


class _Units(Handler):
    root = "tmx"

    def __init__(self, path: Path, source: str, target: str) -> None:
        super().__init__()
        self._path = path
        self._languages = (source, target)
        self._variants: list[tuple[str, str]] = []  # of the open unit: code and text
        self._code = ""
        self._n_taken = 0
        self._n_left = 0  # units that lack a language
        self._n_more = 0  # further texts in a language
        self._codes: Counter[str] = Counter()

    def start(self, name: str, attributes: dict[str, str]) -> None:
        match name:
            case "tu":
                self._variants = []
            case "tuv":
                code = attributes.get("xml:lang", attributes.get("lang"))
                if code is None:
                    raise InputError("<tuv> has no xml:lang")
                self._code = code
            case "seg" if self.path[-1] == "tuv":
                self.begin_text()

    def end(self, name: str) -> None:
        if name == "seg" and self.in_text:
            self._variants.append((self._code, self.end_text()))
        elif name == "tu":
            self._take()

    def _take(self) -> None:
        """Make a pair of the open unit."""
        found = [self._texts(language) for language in self._languages]
        if all(found):
            source, target = found
            self._n_taken += 1
            self._n_more += len(source) + len(target) - 2
            self.pairs.append((source[0], target[0]))
        else:
            self._n_left += 1
            if len(self._codes) < 100:
                self._codes.update(code for code, _ in self._variants)
        self._variants = []

    def _texts(self, language: str) -> list[str]:
        """The open unit's texts in a language, those of the very same code first."""
        found = [variant for variant in self._variants if covers(variant[0], language)]
        if len(found) > 1:
            found.sort(key=lambda variant: not is_same(variant[0], language))
        return [text for _, text in found]

    def report(self) -> None:
        """Log what was left out; InputError where that is everything."""
        codes = ", ".join(code for code, _ in self._codes.most_common(10))
        require(
            self._n_taken > 0,
            f"{self._path} holds no unit in both {' and '.join(self._languages)}; it has "
            f"{codes or 'none at all'}",
        )
        if self._n_left:
            LOGGER.info(
                "%s: left out %d units of %d without one of %s",
                self._path,
                self._n_left,
                self._n_left + self._n_taken,
                " and ".join(self._languages),
            )
        if self._n_more:
            LOGGER.info("%s: left out %d further texts of units", self._path, self._n_more)
