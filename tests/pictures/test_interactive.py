"""The section about attention, in a real browser."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from transformer.config import AttentionKind
from transformer.pictures.attention import Looks, choices, sizes_of
from transformer.pictures.interactive import attention_section, script_json
from transformer.pictures.page import render_page

Draw = Callable[..., Looks]
EVIL = ["</script><script>window.evil=1</script>", "<b>bold</b>", '"quoted"', "%{x}", "&lt;", "漢"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("there is no Chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(draw: Draw, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with two sections."""
    looks = [draw(EVIL, ["<i>x</i>", "y"]), draw(["a", "b"] * 12, ["c"] * 30)]
    chosen = choices(sizes_of(looks[0]), [AttentionKind.encoder], [2], [3])
    sections = [
        attention_section(looks),
        attention_section(looks, chosen, numbers=[7, 3], anchor="second", title="Second"),
    ]
    file = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(render_page("A page", sections), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def loaded(browser: Any, file: Path) -> Iterator[tuple[Any, list[str]]]:
    """The page, which takes seconds to load, and what it complains of or asks the network for."""
    complaints: list[str] = []

    def asked(request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            complaints.append(request.url)

    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", asked)
    page.goto(f"file://{file}")
    page.wait_for_selector(".attention-plot .heatmaplayer image")
    yield page, complaints
    page.close()


@pytest.fixture
def open_page(loaded: tuple[Any, list[str]]) -> Iterator[Callable[..., Any]]:
    """Shows the page as at first; it must complain of nothing."""
    page, complaints = loaded

    def open_page(width: int = 1400, scheme: str = "light") -> Any:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        view = page.locator(".attention-view").first
        for menu, value in (("sentence", "0"), ("kind", "2"), ("layer", "2"), ("head", "-1")):
            view.locator(f'select[data-menu="{menu}"]').select_option(value)
        return page

    yield open_page
    assert complaints == []


def hover(page: Any, view: Any, column: float, row: float) -> str:
    """What is told of the cell at these shares of the heat-map's width and height."""
    box = view.locator(".attention-plot .nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + column * box["width"], box["y"] + row * box["height"])
    page.wait_for_selector(".hoverlayer text")
    return str(page.locator(".hoverlayer text").first.text_content())


def test_the_mouse_is_told_both_words_and_the_weight(
    open_page: Callable[..., Any], draw: Draw
) -> None:
    page = open_page()
    view = page.locator(".attention-view").first
    view.locator('select[data-menu="layer"]').select_option(label="2")
    view.locator('select[data-menu="head"]').select_option(label="4")
    weight = draw(EVIL, ["<i>x</i>", "y"]).cross[1, 3, 0, 1]
    found = hover(page, view, 1.5 / 7, 0.5 / 3)
    assert found.startswith("<i>x</i> → <b>bold</b>")
    assert float(found.removeprefix("<i>x</i> → <b>bold</b>")) == pytest.approx(weight, abs=0.008)
    title = view.locator(".attention-title").first.inner_text()
    assert "layer 2, head 4" in title
    assert view.get_by_role("img", name=title).count() == 1
    assert "entropy: " in view.locator(".attention-measures").inner_text()


def test_text_of_sentences_is_never_markup(open_page: Callable[..., Any]) -> None:
    page = open_page()
    assert page.evaluate("window.evil") is None
    view = page.locator(".attention-view").first
    ticks = view.locator(".xtick text").all_text_contents()
    assert ticks[1:6] == ["<b>bold</b>", '"quoted"', "%{x}", "&lt;", "漢"]
    assert ticks[0].startswith("</script><script>")


def test_a_small_heat_map_chooses_its_head(open_page: Callable[..., Any]) -> None:
    page = open_page()
    view, other = (page.locator(".attention-view").nth(i) for i in range(2))
    before = other.locator(".attention-title").first.inner_text()
    assert view.locator("button").count() == 12
    button = view.get_by_label("layer 1, head 3", exact=True)
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert view.locator('select[data-menu="layer"]').input_value() == "0"
    assert view.locator('select[data-menu="head"]').input_value() == "2"
    assert "layer 1, head 3" in view.locator(".attention-title").first.inner_text()
    assert other.locator(".attention-title").first.inner_text() == before
    assert other.locator("button").count() == 1


def test_menus_choose_sentence_and_kind(open_page: Callable[..., Any]) -> None:
    page = open_page()
    view = page.locator(".attention-view").first
    view.locator('select[data-menu="sentence"]').select_option("1")
    assert view.locator(".ytick text").count() == 31
    view.locator('select[data-menu="kind"]').select_option("0")
    assert view.locator(".ytick text").count() == 25
    assert view.locator("button").count() == 8, "the encoder has two layers"
    view.locator('select[data-menu="kind"]').select_option("1")
    assert view.locator(".xtick text").first.text_content() == "<s>"


def test_sentences_are_known_by_their_numbers(open_page: Callable[..., Any]) -> None:
    menus = open_page().locator('select[data-menu="sentence"]')
    shown = [menus.nth(i).locator("option").all_text_contents() for i in (0, 1)]
    assert [[text.partition(":")[0] for text in texts] for texts in shown] == [
        ["1", "2"],
        ["7", "3"],
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it_without_scrolling_aside(
    open_page: Callable[..., Any], scheme: str
) -> None:
    page = open_page(390, scheme)
    view = page.locator(".attention-view").first
    view.locator('select[data-menu="sentence"]').select_option("1")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = view.locator(".attention-plot svg").first.bounding_box()
    assert box["width"] <= 390
    size = view.locator(".xtick text").first.evaluate(
        "e => parseFloat(getComputedStyle(e).fontSize)"
    )
    assert size >= 6


def test_data_are_small(draw: Draw) -> None:
    looks = [draw(["word"] * 25, ["Wort"] * 25, 6, 6, 8) for _ in range(3)]
    assert len(attention_section(looks).html) < 1_000_000


def test_any_text_survives_its_way_through_a_script() -> None:
    text = "</script> \u2028 <!-- & \" ' \\ 漢 \x00"
    written = script_json({"a": text})
    assert json.loads(written) == {"a": text}
    assert not re.search("[<>&\u2028]", written)
