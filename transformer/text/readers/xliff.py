"""Localisation files (XLIFF 1.2 and 2.x)."""

from collections.abc import Iterator

from transformer.errors import InputError, require
from transformer.text.readers.reader import FileReader, Meter, Run
from transformer.text.readers.xml import Handler, covers, xml_runs

# The languages of the source and of the target: of the root in XLIFF 2, of each file in 1.
LANGUAGES = (("srcLang", "source-language"), ("trgLang", "target-language"))
SIDES = ("source", "target")
UNITS = ("trans-unit", "segment")


class XliffReader(FileReader):
    """The sources and targets of all units; a unit without target has an empty one.

    Alternative translations are left out. Of inline elements, native codes are left out, the text
    between them stays. Each <file> begins a document.
    """

    def _runs(self, meter: Meter | None) -> Iterator[Run]:
        units = _Units(*self._corpus.direction, documents=self._documents)
        return xml_runs(self._path, units, meter)


class _Units(Handler):
    root = "xliff"

    def __init__(self, source: str, target: str, *, documents: bool) -> None:
        super().__init__()
        self._languages = (source, target)
        self._documents = documents
        self._unit: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in ("xliff", "file"):
            self._check(attributes)
        if name == "file" and self._documents:
            self.pairs.append(("", ""))
        elif name in UNITS:
            self._unit = {}
        elif name in SIDES and self.path[-1] in UNITS:
            if name in self._unit:
                raise InputError(f"a unit has two elements <{name}>")
            self.begin_text()

    def end(self, name: str) -> None:
        if self.in_text:
            self._unit[name] = self.end_text()
        elif name in UNITS:
            self.pairs.append((self._unit.get("source", ""), self._unit.get("target", "")))

    def _check(self, attributes: dict[str, str]) -> None:
        """Raise InputError where a language is another than that of the corpus."""
        for side, names, language in zip(SIDES, LANGUAGES, self._languages, strict=True):
            for name in names:
                code = attributes.get(name)
                require(
                    code is None or covers(code, language),
                    f"{name}={code} is not the corpus's {side} language, {language}",
                )
