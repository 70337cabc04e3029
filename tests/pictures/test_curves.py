"""Properties of charts."""

import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.pictures.curves import (
    MOST_POINTS,
    Bars,
    Line,
    bar_chart,
    difference_histogram,
    line_chart,
    thinned,
)

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300)


def figure(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    values: dict[str, Any] = json.loads(found[1], parse_constant=pytest.fail)
    return values


@given(VALUES, st.integers(6, 100))
def test_a_thinned_curve_keeps_ends_and_extremes(y: list[float], most: int) -> None:
    rows = thinned(range(len(y)), y, most)
    assert len(rows) <= most
    assert rows == sorted(set(rows))
    assert {0, len(y) - 1} <= set(rows)
    kept = [y[row] for row in rows]
    assert (min(kept), max(kept)) == (min(y), max(y))


def test_a_long_line_is_thinned() -> None:
    y = np.random.default_rng(1).normal(size=50_000).tolist()
    (trace,) = figure(line_chart([Line("a", range(50_000), y)], title="t"))["data"]
    assert 1000 < len(trace["x"]) == len(trace["y"]) <= MOST_POINTS


def test_a_single_point_is_marked_since_a_line_would_not_show() -> None:
    (trace,) = figure(line_chart([Line("a", [5], [1.0])], title="t"))["data"]
    assert "markers" in trace["mode"]


def test_numbers_that_are_not_finite_are_left_out() -> None:
    nan, inf = float("nan"), float("inf")
    (trace,) = figure(line_chart([Line("a", [1, 2, 3], [nan, inf, 1.0])], title="t"))["data"]
    assert trace["y"] == [None, None, 1.0]


def test_text_is_not_read_as_markup() -> None:
    name = "</script><b>&amp;"
    html = line_chart([Line(name, [1], [1.0]), Line("b", [1], [1.0])], title=name)
    assert html.count("</script>") == 1
    found = figure(html)
    escaped = "&lt;/script&gt;&lt;b&gt;&amp;amp;"
    assert found["data"][0]["name"] == escaped
    assert f"<figcaption>{escaped}</figcaption>" in html
    bars = figure(bar_chart([name], [Bars(name, [1.0])], title="t", unit=""))["data"][0]
    assert (bars["name"], bars["x"]) == (escaped, [escaped])


@given(st.lists(st.floats(-100, 100)))
def test_a_histogram_counts_all_but_ties(gains: list[float]) -> None:
    (trace,) = figure(difference_histogram(gains, title="t", unit="u"))["data"]
    assert sum(trace["y"]) == sum(gain != 0 for gain in gains)
    for centre, count in zip(trace["x"], trace["y"], strict=True):
        assert count == sum(_within(gain, centre) for gain in gains if gain != 0)


def _within(gain: float, centre: float) -> bool:
    low, high = centre - 2.5, centre + 2.5
    return low <= gain < high or gain == high == 100


def test_bars_carry_their_notes() -> None:
    bars = Bars("a", [1.0, None], notes=["2 sentences", "none"])
    (trace,) = figure(bar_chart(["x", "y"], [bars], title="t", unit="u"))["data"]
    assert trace["text"] == ["2 sentences", "none"]
