"""The attention command's pictures."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from transformer.config import AttentionKind, AttentionSettings, TrainSettings
from transformer.errors import InputError
from transformer.evaluation.attention import show_attention, write

Show = Callable[..., Any]


@pytest.fixture
def show(make_run: Callable[..., TrainSettings], tmp_path: Path) -> Show:
    """Runs the command on lines of text."""
    run = make_run()

    def show(output: str, given: int | list[str] = 1, /, **values: Any) -> Any:
        texts = given if isinstance(given, list) else [f"the {a} is old" for a in "abcdef"[:given]]
        file = tmp_path / "input.en"
        file.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        settings = {"input": str(file), "search": run.search, "device": "cpu", **values}
        return show_attention(
            AttentionSettings(checkpoint=run.run_dir, output=str(tmp_path / output), **settings)
        )

    return show


def made(tmp_path: Path, suffix: str) -> list[str]:
    return sorted(file.name for file in tmp_path.iterdir() if file.suffix == suffix)


def test_one_sentence_is_one_file_with_a_table_of_all_heads(show: Show, tmp_path: Path) -> None:
    table = show("a.png")
    assert made(tmp_path, ".png") == ["a.png"]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert [row[:3] for row in table.rows] == [
        [kind, 1, head] for kind in ("encoder", "decoder", "cross") for head in (1, 2)
    ]


def test_several_sentences_have_the_numbers_of_their_lines(show: Show, tmp_path: Path) -> None:
    show("a.svg", 5, lines=[4, 2], kinds=[AttentionKind.cross])
    assert made(tmp_path, ".svg") == ["a.2.svg", "a.4.svg"]
    assert "<svg" in (tmp_path / "a.2.svg").read_text(encoding="utf-8")


def test_a_page_holds_all_sentences(show: Show, tmp_path: Path) -> None:
    show("a.html", 5, lines=[2, 5, 4])
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert re.findall(r'"number":(\d+)', page) == ["2", "5", "4"]
    assert page.count('"source":["the"') == 3
    assert not [name for name in made(tmp_path, ".html") if name != "a.html"]


def test_of_many_lines_the_first_are_shown_and_blank_ones_left_out(
    show: Show, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO, "transformer")
    table = show("a.html", ["", *["the a is old"] * 12, " "])
    assert table.title == "attention in 10 sentences"
    assert "the first 10 of 12 lines are shown" in caplog.text
    assert "2 blank lines are left out" in caplog.text


def test_given_translations_are_looked_at(show: Show, tmp_path: Path) -> None:
    target = tmp_path / "t.de"
    target.write_text("das ist\n", encoding="utf-8")
    show("a.html", target=str(target))
    assert '"target":["das","ist","\\u003c/s\\u003e"]' in (tmp_path / "a.html").read_text("utf-8")
    with pytest.raises(InputError, match=r"2 lines but .*t\.de has 1"):
        show("a.html", 2, target=str(target))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lines": [2]}, "1 lines of the input"),
        ({"layers": [2]}, "layers"),
        ({"heads": [3]}, "heads"),
        ({"output": "no/a.png"}, "no folder"),
        ({"input": "missing.en"}, "missing.en"),
    ],
)
def test_what_is_not_there_is_named(show: Show, values: dict[str, Any], message: str) -> None:
    output = values.pop("output", "a.png")
    with pytest.raises(InputError, match=message):
        show(output, **values)


def test_blank_input_is_an_input_error(show: Show) -> None:
    with pytest.raises(InputError, match="all lines of the input are blank"):
        show("a.png", [" ", ""])


def test_an_extra_that_is_missing_is_named_before_any_work(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformer.evaluation.attention.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"matplotlib; pip install .*report"):
        show("a.png", input="missing.en")


def test_a_file_appears_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write(str(tmp_path / "a.png"), b"one")
    write(str(tmp_path / "a.png"), b"two")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"two"]
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write(str(tmp_path / "folder.png"), b"x")
