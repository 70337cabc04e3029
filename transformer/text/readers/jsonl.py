"""A JSON object a line."""

import json
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

from transformer.config import CorpusConfig
from transformer.errors import InputError
from transformer.text.readers.lines import line_runs
from transformer.text.readers.reader import FileReader, Meter, Run, flat
from transformer.text.readers.streams import read_blocks
from transformer.text.readers.tables import COLUMNS


class Columns(NamedTuple):
    """The names under which the fields stand."""

    source: str
    target: str
    nested: bool  # whether source and target stand inside of `translation`
    document: str | None


def columns_of(names: list[str], corpus: CorpusConfig, *, documents: bool) -> Columns:
    """Which of a table's columns hold the fields.

    The columns that the settings name, else `translation`, else those named by the languages, else
    `source` and `target`. InputError where there are none.
    """
    asked = (corpus.source_column, corpus.target_column)
    document = corpus.document_column if documents else None
    if document is not None and document not in names:
        raise _missing("document_column", document, names)
    if asked == (None, None) and "translation" in names:
        return Columns(*corpus.direction, True, document)
    pairs = (corpus.direction, ("source", "target"))
    default = next((pair for pair in pairs if {*pair} <= {*names}), corpus.direction)
    found = [column or default[i] for i, column in enumerate(asked)]
    for setting, column in zip(COLUMNS, found, strict=False):
        if column not in names:
            raise _missing(setting, column, names)
    return Columns(found[0], found[1], False, document)


def _missing(setting: str, column: str, names: list[str]) -> InputError:
    return InputError(f"{setting}={column} is no column; there are {', '.join(names) or 'none'}")


class JsonlReader(FileReader):
    """Objects of texts, by the names of columns or in an object `translation` by language.

    What is missing or null is an empty text; an empty line is a pair of blank texts.
    """

    settings: ClassVar[tuple[str, ...]] = COLUMNS

    def _runs(self, meter: Meter | None) -> Iterator[Run]:
        columns: Columns | None = None
        number = 0
        for lines in line_runs(read_blocks(self._path, meter), str(self._path)):
            rows = []
            for line in lines:
                number += 1
                try:
                    record = _read(line)
                    if columns is None and record:
                        columns = self._columns(record)
                    rows.append(_row(record, columns))
                except InputError as error:
                    raise InputError(f"{self._path}, line {number}: {error}") from error
            fields = tuple(list(column) for column in zip(*rows, strict=True))
            yield fields if self._has_document_column else fields[:2]

    def _columns(self, record: dict[str, Any]) -> Columns:
        return columns_of(list(record), self._corpus, documents=self._documents)


def _read(line: str) -> dict[str, Any]:
    """The object in a line, an empty one where the line is blank."""
    if not line.strip():
        return {}
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"no JSON object ({error}); write one a line, or use format=hub for a list of them"
        ) from error
    if not isinstance(record, dict):
        raise InputError("no JSON object; write one a line, or use format=hub for a list of them")
    return record


def _row(record: dict[str, Any], columns: Columns | None) -> tuple[str, str, str]:
    if columns is None or not record:
        return "", "", ""
    texts = record
    if columns.nested:
        texts = record.get("translation") or {}
        if not isinstance(texts, dict):
            raise InputError("`translation` is no object of texts by language")
    source = text_of(texts.get(columns.source), columns.source)
    target = text_of(texts.get(columns.target), columns.target)
    document = record.get(columns.document) if columns.document is not None else None
    return source, target, document_of(document)


def text_of(value: Any, name: str) -> str:
    """A text without line ends; empty for None; InputError, with its `name`, for what is none."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"`{name}` does not hold text but {str(value)[:50]!r}")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(f"`{name}` holds half of a pair of surrogates") from error
    return flat(value)


def document_of(value: Any) -> str:
    """The document that a value of any kind names."""
    return "" if value is None else flat(str(value).encode("utf-8", "replace").decode("utf-8"))
