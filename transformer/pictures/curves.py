"""Line charts, bar charts and histograms of a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from transformer.pictures.page import render_figure

MOST_POINTS = 2_000  # of a line
# Of middling lightness, so that they stand out from a light and from a dark page.
COLOURS = ("#4c7ef3", "#e08a2c", "#2fa37a", "#b563d6", "#d9534f", "#7d8a99")


@dataclass(frozen=True)
class Line:
    """A line of a chart."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0  # number of the colour; lines of one system share it
    style: str = "solid"  # or dot, dash …
    points: bool = False  # whether each is marked
    faint: bool = False


@dataclass(frozen=True)
class Bars:
    """The bars of one system, one for each group."""

    name: str
    values: Sequence[float | None]
    notes: Sequence[str] | None = None  # shown at the mouse
    colour: int = 0


def line_chart(lines: Sequence[Line], *, title: str, unit: str = "") -> str:
    """A chart of `lines` over updates."""
    data = [_trace(line) for line in lines]
    layout = {
        "xaxis": {"title": {"text": "updates"}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": unit}},
        "showlegend": len(data) > 1,
        "hovermode": "x unified",
    }
    names = ", ".join(line.name for line in lines)
    figure = {"data": data, "layout": layout}
    return render_figure(figure, title=title, label=f"{title} over updates: {names}")


def bar_chart(groups: Sequence[str], bars: Sequence[Bars], *, title: str, unit: str) -> str:
    """A chart with a bar of each of `bars` in each group."""
    layout = {
        "xaxis": {"type": "category"},
        "yaxis": {"title": {"text": unit}, "rangemode": "tozero"},
        "showlegend": len(bars) > 1,
        "barmode": "group",
        "hovermode": "x unified",
    }
    figure = {"data": [_bar(groups, each) for each in bars], "layout": layout}
    names = ", ".join(each.name for each in bars)
    return render_figure(figure, title=title, label=f"{title}: {names}")


def difference_histogram(differences: Sequence[float], *, title: str, unit: str) -> str:
    """How many of `differences`, of numbers from 0 to 100, lie in each stretch of 5.

    Those that are 0 are left out; gains and losses differ in colour.
    """
    found = np.asarray([each for each in differences if each != 0], dtype=np.float64)
    counts, edges = np.histogram(found, bins=np.arange(-100, 101, 5))
    used = np.flatnonzero(counts)
    first, last = (used[0], used[-1] + 1) if len(used) else (19, 21)
    edges, counts = edges[first : last + 1], counts[first:last]
    centres = (edges[:-1] + edges[1:]) / 2
    stretches = [f"{low:+g} to {low + 5:+g}" for low in edges[:-1]]
    trace = {
        "type": "bar",
        "x": centres.tolist(),
        "y": counts.tolist(),
        "width": [4.6] * len(counts),
        "text": stretches,
        "textposition": "none",
        "hovertemplate": "%{text}: %{y} sentences<extra></extra>",
        "marker": {"color": [COLOURS[2] if each > 0 else COLOURS[4] for each in centres]},
    }
    layout = {
        "xaxis": {"title": {"text": unit}, "zeroline": True},
        "yaxis": {"title": {"text": "sentences"}},
        "showlegend": False,
    }
    return render_figure({"data": [trace], "layout": layout}, title=title, label=title, height=240)


def thinned(x: Sequence[float], y: Sequence[float], most: int = MOST_POINTS) -> list[int]:
    """The rows of `most` points or fewer that look like all: lows, highs, the first and the last.

    The line is cut into stretches of as many points each, of which the least and the largest stay.
    """
    if len(x) <= most:
        return list(range(len(x)))
    values = np.asarray(y, dtype=np.float64)
    edges = np.linspace(0, len(values), max(most // 2 - 1, 1) + 1).astype(int)
    rows = {0, len(values) - 1}
    for start, end in pairwise(edges.tolist()):
        stretch = values[start:end]
        rows |= {start + int(stretch.argmin()), start + int(stretch.argmax())}
    return sorted(rows)


def _trace(line: Line) -> dict[str, Any]:
    rows = thinned(line.x, line.y)
    colour = _colour(line.colour)
    return {
        "type": "scatter",
        "mode": "lines+markers" if line.points or len(rows) == 1 else "lines",
        "name": _escaped(line.name),
        "x": [line.x[row] for row in rows],
        "y": [float(f"{line.y[row]:.6g}") for row in rows],
        "line": {"color": colour, "width": 1.5 if line.faint else 2, "dash": line.style},
        "marker": {"color": colour, "size": 6},
        "opacity": 0.55 if line.faint else 1,
    }


def _bar(groups: Sequence[str], bars: Bars) -> dict[str, Any]:
    trace: dict[str, Any] = {
        "type": "bar",
        "name": _escaped(bars.name),
        "x": [_escaped(group) for group in groups],
        "y": list(bars.values),
        "marker": {"color": _colour(bars.colour)},
    }
    if bars.notes is not None:
        trace |= {
            "text": list(bars.notes),
            "textposition": "none",
            "hovertemplate": "%{y:.2f} (%{text})",
        }
    return trace


def _escaped(text: str) -> str:
    """`text` as plotly shows it: what it would read as markup is escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]
