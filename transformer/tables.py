"""Tables of results, for the terminal, for documents and for papers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

Cell = str | int | float | None

_NUMBER = re.compile(r"[-+]?[\d,]+(\.\d+)?( ± [\d.]+)?[*%]?( %)?")
# Line ends would part a row, and a terminal obeys control characters.
_UNSEEN = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
WIDEST = 100  # characters of a cell on a terminal
_FORMATS = {"table": "simple", "markdown": "github", "latex": "latex_booktabs"}


@dataclass(frozen=True)
class Table:
    """Rows of text and numbers under the heads of their columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    notes: Sequence[str] = ()  # below it

    def render(self, form: str) -> str:
        """The table as `form`, which is table (for a terminal), markdown or latex.

        Numbers that are not whole have two digits behind the point; None is an empty cell. On a
        terminal, long cells are cut.
        """
        if form == "table":
            cells = [[_cut(_shown(cell)) for cell in row] for row in self.rows]
            return "\n".join([*_head(self.title), _tabulate(cells, self, form), *self.notes])
        if form == "markdown":
            cells = [[_marked_down(_shown(cell)) for cell in row] for row in self.rows]
            title = [f"**{_marked_down(self.title)}**", ""] if self.title else []
            notes = [line for note in self.notes for line in ("", note)]
            return "\n".join([*title, _tabulate(cells, self, form), *notes])
        cells = [[_shown(cell) for cell in row] for row in self.rows]
        comments = [f"% {text}" for text in (*_head(self.title), *self.notes)]
        return "\n".join([*comments, _tabulate(cells, self, form)])

    def summary(self) -> list[dict[str, Cell]]:
        """A mapping a row, for JSON."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def _head(title: str) -> list[str]:
    return [title] if title else []


def _shown(cell: Cell) -> str:
    if cell is None:
        return ""
    return f"{cell:.2f}" if isinstance(cell, float) else _UNSEEN.sub(" ", str(cell)).strip()


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _marked_down(text: str) -> str:
    """Text without what ends a cell, or would be read as HTML."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def _tabulate(cells: Sequence[Sequence[str]], table: Table, form: str) -> str:
    numeric = [
        all(_NUMBER.fullmatch(row[i]) or not row[i] for row in cells)
        for i in range(len(table.columns))
    ]
    aligned: Any = ["right" if each else "left" for each in numeric]
    return tabulate(
        cells,
        headers=[_marked_down(each) if form == "markdown" else each for each in table.columns],
        tablefmt=_FORMATS[form],
        colalign=aligned if cells else None,
        disable_numparse=True,
    )
