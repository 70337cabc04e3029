"""Properties of pages and tables."""

import builtins
import re
from typing import Any

import pytest

from transformer.errors import InputError
from transformer.pictures import page as page_module
from transformer.pictures.page import Section, Tile, render_page, render_table
from transformer.pictures.parts import Parts, sentence
from transformer.tables import Table

HOSTILE = "</script><script>alert('x')</script> {{ 7 * 7 }} \"quoted\" & <b>"


def without_plotly(html: str) -> str:
    return html.replace(page_module._plotly(), "")


@pytest.fixture(scope="module")
def page() -> str:
    parts = Parts()
    parts.lead(HOSTILE)
    parts.head(HOSTILE)
    parts.absent([HOSTILE])
    parts.table(Table([HOSTILE, "b"], [[HOSTILE, 1.5]], HOSTILE, [HOSTILE]), searchable=True)
    parts.signatures([(HOSTILE, HOSTILE)])
    parts.sentences([HOSTILE], [sentence([1], HOSTILE, HOSTILE, [(HOSTILE, "x")])], HOSTILE)
    section = Section("one", HOSTILE, parts.render())
    tiles = [Tile(HOSTILE, HOSTILE, HOSTILE)]
    html = render_page(HOSTILE, [section], HOSTILE, tiles=tiles, cautions=[HOSTILE], footer=HOSTILE)
    return without_plotly(html)


def test_text_is_escaped_wherever_it_stands(page: str) -> None:
    assert "alert(&#39;x&#39;)" in page
    assert "alert('x')" not in page
    assert "<b>" not in page.replace("<b>&lt;", "")  # which is the template's own
    assert "{{ 7 * 7 }}" in page
    assert "49" not in re.sub(r"<style>.*?</style>|<script>.*?</script>", "", page, flags=re.DOTALL)


def test_a_page_refers_to_nothing_outside_itself(page: str) -> None:
    found = re.findall(r'(?:src|href)="([^"]*)"|url\(|@import|https?://', page)
    assert set(found) == {"data:,", "#one"}


def test_plotly_is_in_a_page_once() -> None:
    html = render_page("a", [Section("b", "c", "d")])
    assert html.count(page_module._plotly()) == 1
    assert len(without_plotly(html)) < 50_000


def test_a_table_shows_numbers_for_people_and_sorts_by_them_whole() -> None:
    html = render_table(Table(["a", "b", "c"], [[1234, 0.126, None], [5, float("nan"), None]]))
    cells = re.findall(r"<td([^>]*)>([^<]*)</td>", html)
    assert [text for _, text in cells] == ["1,234", "0.13", "", "5", "nan", ""]
    assert 'data-value="1234"' in cells[0][0]
    assert 'data-value="0.126"' in cells[1][0]
    assert "data-value" not in cells[2][0] + cells[4][0] + cells[5][0]


def test_rows_stand_out_that_are_to() -> None:
    html = render_table(Table(["a"], [["x"], ["y"]]), strong=[1])
    assert re.findall(r"<tr[^>]*class=\"strong\"[^>]*>\s*<td>(.)</td>", html) == ["y"]


@pytest.mark.parametrize("package", ["jinja2", "plotly"])
def test_what_is_not_installed_is_named_with_its_extra(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return real(name, *arguments, **more)

    page_module._environment.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=rf"need {package}; pip install .*\[report\]"):
        render_page("a", [])
