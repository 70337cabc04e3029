"""The page in a browser, without a network."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from transformer.config import ReportSettings
from transformer.evaluation.page import report

CHROMIUM = shutil.which("chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")


@pytest.fixture(scope="module")
def file(
    tmp_path_factory: pytest.TempPathFactory,
    build_run: Callable[..., Path],
    asked: Callable[..., ReportSettings],
    hostile: str,
) -> Path:
    """A page on which everything is, hostile text too."""
    root = tmp_path_factory.mktemp("browser")
    pairs = [(f"The dog {'runs ' * i}home", f"Der Hund {'läuft ' * i}heim") for i in range(12)]
    pairs.append((hostile, hostile + " other"))
    run = build_run(root, "mine", pairs=pairs)
    other = build_run(root, "other<i>", pairs=pairs, errors=2, seed=3)
    return report(asked(run, against=str(other), attention=1, sentences=20))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def seen() -> dict[str, list[str]]:
    """What the page asked for and complained of."""
    return {"requests": [], "complaints": []}


@pytest.fixture(scope="module")
def page(browser: Any, file: Path, seen: dict[str, list[str]]) -> Any:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.on("request", lambda request: seen["requests"].append(request.url))
    page.on("console", lambda message: seen["complaints"].append(message.text))
    page.on("pageerror", lambda error: seen["complaints"].append(str(error)))
    page.goto(file.as_uri())
    return page


def draw_all(page: Any) -> None:
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.wait_for_function(
        "[...document.querySelectorAll('.figure')].every(each => each.querySelector('.main-svg'))"
    )


def column(page: Any, table: str, number: int) -> list[str]:
    found: list[str] = page.eval_on_selector_all(
        f"{table} tbody tr td:nth-child({number})", "cells => cells.map(each => each.innerText)"
    )
    return found


def test_all_charts_are_drawn(page: Any) -> None:
    draw_all(page)
    assert page.locator("#curves .figure .scatterlayer .trace").count() >= 10
    assert page.locator("#results .figure .trace.bars").count() == 4
    assert page.locator("#beside .figure .trace.bars").count() == 1


def test_a_table_sorts_by_numbers_and_back(page: Any) -> None:
    table = "#sentences table"
    for head, number in (("chrF", 2), ("line", 1)):
        page.click(f"{table} th button:text-is('{head}')")
        ascending = [float(text) for text in column(page, table, number)]
        assert ascending == sorted(ascending)
        page.click(f"{table} th button:text-is('{head}')")
        assert [float(text) for text in column(page, table, number)] == ascending[::-1]
    assert ascending[:3] == [1, 2, 3]
    assert page.get_attribute(f"{table} th:nth-child(1)", "aria-sort") == "descending"


def test_a_table_sorts_by_text_with_empty_cells_last(page: Any) -> None:
    table = "#settings table"
    for backwards in (False, True):
        page.click(f"{table} th button:text-is('default')")
        cells = column(page, table, 3)
        n_filled = sum(cell != "" for cell in cells)
        assert 0 < n_filled < len(cells)
        assert all(cells[:n_filled])
        filled = [cell.lower() for cell in cells[:n_filled] if cell.isalpha()]
        assert filled == sorted(filled, reverse=backwards)


def test_settings_are_found_by_words(page: Any) -> None:
    page.fill("#settings input", "training smoothing")
    rows = page.locator("#settings tbody tr:visible").all_inner_texts()
    assert [row.split()[0] for row in rows] == ["training.label_smoothing"]
    page.fill("#settings input", "")
    assert page.locator("#settings tbody tr:visible").count() > 100


def test_a_heat_map_answers_the_mouse(page: Any) -> None:
    plot = page.locator("#attention .attention-plot")
    plot.scroll_into_view_if_needed()
    page.wait_for_selector("#attention .attention-plot .main-svg")
    box = page.locator("#attention .attention-plot .nsewdrag").bounding_box()
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    page.wait_for_selector("#attention .hoverlayer .hovertext")
    assert "→" in page.text_content("#attention .hoverlayer")


def test_a_chart_answers_the_mouse(page: Any) -> None:
    draw_all(page)
    chart = page.locator("#curves .figure").first
    chart.scroll_into_view_if_needed()
    box = chart.locator(".nsewdrag").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    chart.locator(".hoverlayer .legend").wait_for()
    assert "mine, training" in chart.locator(".hoverlayer").text_content()


def test_a_signature_goes_to_the_clipboard_or_is_selected(page: Any) -> None:
    page.click("#scores summary")
    page.locator("#scores button.copy").first.click()
    page.wait_for_selector("#scores button.copy:text-is('copied')")


def test_hostile_text_is_shown_as_text(page: Any, hostile: str) -> None:
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    texts = page.locator("#sentences dd.source").all_inner_texts()
    assert hostile in texts
    assert "other<i>" in page.inner_text("header")
    draw_all(page)
    assert "other<i>" in page.locator("#curves .figure .legendtext").nth(2).text_content()


@pytest.mark.parametrize("width", [320, 390, 820])
def test_nothing_is_wider_than_the_window(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    draw_all(page)
    # Charts follow the window a moment later.
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
    wide = page.evaluate(
        """[...document.querySelectorAll('main > section')]
            .filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.id)"""
    )
    assert wide == []


def test_the_page_asks_for_nothing_and_complains_of_nothing(
    page: Any, file: Path, seen: dict[str, list[str]]
) -> None:
    assert page.title() == "mine"
    assert seen["requests"] == [file.as_uri()]
    assert seen["complaints"] == []
