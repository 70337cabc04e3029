"""Tables of lines: with tabs, or with commas and quotes."""

import csv
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

from transformer.config import CorpusConfig
from transformer.errors import InputError, require
from transformer.text.readers.lines import decoded, whole_lines, without_cr
from transformer.text.readers.reader import FileReader, Meter, Run, flat
from transformer.text.readers.streams import read_blocks

COLUMNS = ("source_column", "target_column", "document_column")
MOST_CHARACTERS = 2**31 - 1  # of a field of comma-separated text
AT_ONCE = 5_000  # rows of comma-separated text in a run


class Layout(NamedTuple):
    """Where in a row the fields are."""

    columns: list[int]  # numbers from 0: source, target and perhaps document
    header: bool  # whether the first row is the names of the columns


def layout_of(first: Sequence[str], corpus: CorpusConfig, *, documents: bool) -> Layout:
    """The layout of a table by its `first` row.

    It is a header where a setting names a column, or where it holds `source` and `target` or the
    two languages. InputError where a column that is asked for is not there.
    """
    asked = {name: getattr(corpus, name) for name in COLUMNS[: 3 if documents else 2]}
    named = any(column is not None and not column.isdecimal() for column in asked.values())
    pairs = [("source", "target"), corpus.direction]
    default = next((pair for pair in pairs if {*pair} <= {*first}), None)
    header = named or default is not None
    numbers = []
    for name, column in asked.items():  # the mistakes of the settings before those of defaults
        if column is not None:
            _number(name, column, first if header else ())
    for i, (name, column) in enumerate(asked.items()):
        if column is None and name == "document_column":
            continue
        if column is None and header:
            column = _default(first, i, corpus) if default is None else default[i]  # noqa: PLW2901
        names = first if header else ()
        numbers.append(_number(name, str(i + 1) if column is None else column, names))
    return Layout(numbers, header)


def _default(first: Sequence[str], i: int, corpus: CorpusConfig) -> str:
    choices = (("source", "target")[i], corpus.direction[i])
    return next((name for name in choices if name in first), choices[0])


def _number(setting: str, column: str, names: Sequence[str]) -> int:
    """The number from 0 of a column given by one of the `names` or by its number from 1."""
    require(
        names.count(column) < 2, f"{setting}={column} is the name of two columns; give its number"
    )
    if column in names:
        return names.index(column)
    require(
        column.isdecimal() and len(column) < 10,
        f"{setting}={column} is no column of the first row, which has {', '.join(names)[:200]}",
    )
    require(int(column) >= 1, f"{setting}={column} must be at least 1")
    return int(column) - 1


class TsvReader(FileReader):
    """Lines of fields between tabs, with or without a header; a quote is a character as others.

    An empty line is a pair of blank texts. A lone CR becomes a space.
    """

    settings: ClassVar[tuple[str, ...]] = COLUMNS

    def _runs(self, meter: Meter | None) -> Iterator[Run]:
        layout: Layout | None = None
        n_lines = 0
        for content in whole_lines(read_blocks(self._path, meter)):
            text = without_cr(decoded(content, str(self._path), n_lines))
            lines = text.replace("\r", " ").split("\n")
            if content.endswith(b"\n"):
                lines.pop()
            n_lines += len(lines)
            begin = n_lines - len(lines) + 1
            if layout is None:
                layout = layout_of(lines[0].split("\t"), self._corpus, documents=self._documents)
                if layout.header:
                    lines, begin = lines[1:], begin + 1
            if lines:
                yield self._fields_of(lines, begin, layout.columns)

    def _fields_of(self, lines: list[str], begin: int, columns: list[int]) -> Run:
        n_needed = max(columns) + 1
        n_tabs = lines[0].count("\t")
        if n_needed <= n_tabs + 1 and all(line.count("\t") == n_tabs for line in lines):
            cells = "\t".join(lines).split("\t")
            return tuple(cells[column :: n_tabs + 1] for column in columns)
        rows = [line.split("\t", n_needed) for line in lines]
        if min(map(len, rows)) < n_needed:
            rows = [self._whole(row, begin + i, n_needed) for i, row in enumerate(rows)]
        return tuple([row[column] for row in rows] for column in columns)

    def _whole(self, row: list[str], line: int, n_needed: int) -> list[str]:
        if row == [""]:
            return row * n_needed
        if len(row) < n_needed:
            raise _too_few(self._path, line, len(row), n_needed)
        return row


class CsvReader(FileReader):
    """Rows of fields between commas, quoted as in RFC 4180, with or without a header.

    An empty line is a pair of blank texts. Line ends inside a field become spaces.
    """

    settings: ClassVar[tuple[str, ...]] = COLUMNS

    def _runs(self, meter: Meter | None) -> Iterator[Run]:
        csv.field_size_limit(MOST_CHARACTERS)
        table = csv.reader(self._lines(meter), strict=True)
        try:
            yield from self._rows(table)
        except csv.Error as error:
            raise InputError(f"{self._path}, line {table.line_num}: {error}") from error

    def _lines(self, meter: Meter | None) -> Iterator[str]:
        """The lines with their ends, which may stand inside a quoted field."""
        n_lines = 0
        for content in whole_lines(read_blocks(self._path, meter)):
            lines = decoded(content, str(self._path), n_lines).split("\n")
            n_lines += len(lines) - 1
            last = lines.pop()
            for line in lines:
                yield line + "\n"
            if last:
                yield last

    def _rows(self, table: Any) -> Iterator[Run]:
        layout: Layout | None = None
        run: Run = ()
        for row in table:
            if layout is None:
                layout = layout_of(row, self._corpus, documents=self._documents)
                n_needed = max(layout.columns) + 1
                run = tuple([] for _ in layout.columns)
                if layout.header:
                    continue
            if len(row) < n_needed:
                if row:
                    raise _too_few(self._path, table.line_num, len(row), n_needed)
                row = [""] * n_needed  # noqa: PLW2901
            for column, number in zip(run, layout.columns, strict=True):
                column.append(flat(row[number]))
            if len(run[0]) == AT_ONCE:
                yield run
                run = tuple([] for _ in layout.columns)
        if run and run[0]:
            yield run


def _too_few(path: object, line: int, n_columns: int, n_needed: int) -> InputError:
    return InputError(
        f"{path}, line {line} has {n_columns} column{'s' * (n_columns > 1)}, but column {n_needed} "
        "is asked for"
    )
