"""Pages of HTML that need nothing but themselves."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from transformer.errors import InputError
from transformer.tables import Cell, Table

if TYPE_CHECKING:
    import jinja2


@dataclass(frozen=True)
class Section:
    """A part of a page under a head of its own."""

    anchor: str  # its id
    title: str
    html: str


@dataclass(frozen=True)
class Tile:
    """A number that stands out at the head of a page."""

    label: str
    value: str
    note: str = ""  # small, beside or below it


def render_page(
    title: str,
    sections: Sequence[Section],
    subtitle: str = "",
    *,
    tiles: Sequence[Tile] = (),
    cautions: Sequence[str] = (),
    footer: str = "",
) -> str:
    """The page, with all styles and scripts in it; InputError where what draws it is missing."""
    return render(
        "page.html",
        title=title,
        sections=sections,
        subtitle=subtitle,
        tiles=tiles,
        cautions=cautions,
        footer=footer,
        plotly=_plotly(),
    )


def render(template: str, **values: object) -> str:
    """The `template` of this room, filled in; text among `values` is escaped."""
    return _environment().get_template(template).render(**values)


def render_table(
    table: Table, *, strong: Collection[int] = (), searchable: bool = False, caption: bool = True
) -> str:
    """A table whose rows are sorted by a click on a head; the rows `strong` stand out."""
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    numeric = [
        all(isinstance(row[i], int | float | None) for row in table.rows)
        for i in range(len(table.columns))
    ]
    return render(
        "table.html",
        table=table,
        rows=rows,
        numeric=numeric,
        strong=strong,
        searchable=searchable,
        caption=caption,
    )


def render_figure(figure: Mapping[str, Any], *, title: str, label: str, height: int = 280) -> str:
    """A figure of plotly, as a mapping of `data` and `layout`, drawn once it comes into view.

    `label` tells what it shows to who cannot see it; numbers that are not finite are left out.
    """
    return render("figure.html", figure=_finite(figure), title=title, label=label, height=height)


@dataclass(frozen=True)
class _Shown:
    """A cell as text, and the number that it is sorted by."""

    text: str
    value: float | None = None


def _cell(cell: Cell) -> _Shown:
    if cell is None:
        return _Shown("")
    if isinstance(cell, float):
        return _Shown(f"{cell:,.2f}", cell) if math.isfinite(cell) else _Shown(str(cell))
    return _Shown(f"{cell:,}", cell) if isinstance(cell, int) else _Shown(cell)


def _finite(value: Any) -> Any:
    """`value` with None, for which JSON has a word, for numbers that are not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


@cache
def _environment() -> "jinja2.Environment":
    try:
        import jinja2  # noqa: PLC0415
    except ImportError as error:
        raise missing("jinja2") from error
    return jinja2.Environment(
        loader=jinja2.PackageLoader("transformer.pictures"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _plotly() -> str:
    """The library that draws, as JavaScript."""
    try:
        from plotly.offline import get_plotlyjs  # noqa: PLC0415
    except ImportError as error:
        raise missing("plotly") from error
    return str(get_plotlyjs())


def missing(package: str) -> InputError:
    """The error where `package`, which draws, is not installed."""
    return InputError(f"pictures and pages need {package}; pip install 'transformer-mt[report]'")
