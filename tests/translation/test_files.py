"""Properties of the translate command's files."""

import io
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from transformer.config import Precision, SearchConfig, TranslateSettings
from transformer.errors import InputError
from transformer.translation import Translation, Translator, files, translate_file
from transformer.translation.files import format_lines, open_output

SEARCH = SearchConfig(beam_size=2, max_length_offset=3, max_length_ratio=1.0)
Draw = Callable[[int], list[str]]


@pytest.fixture
def settings(checkpoint: Path, tmp_path: Path) -> Callable[..., TranslateSettings]:
    """Settings that read tmp_path/in and write tmp_path/out."""

    def make(search: SearchConfig = SEARCH, **changes: str | None) -> TranslateSettings:
        paths = {"input": str(tmp_path / "in"), "output": str(tmp_path / "out"), **changes}
        return TranslateSettings(
            checkpoint=str(checkpoint),
            search=search,
            device="cpu",
            precision=Precision.fp32,
            threads=1,
            **paths,
        )

    return make


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "model")


def test_n_lines_in_are_n_lines_out_in_their_order(
    settings: Callable[..., TranslateSettings], tmp_path: Path, checkpoint: Path, draw_lines: Draw
) -> None:
    lines = [*draw_lines(9), "a\u2028b", "c\x0cd", "", "e"]
    (tmp_path / "in").write_bytes("\r\n".join(lines).encode())
    translate_file(settings())
    found = (tmp_path / "out").read_bytes().decode()
    assert found.endswith("\n")
    translator = Translator.load(str(checkpoint), "cpu", Precision.fp32)
    expected = [translation.text for translation in translator.translate(lines, SEARCH)]
    assert found.split("\n")[:-1] == expected
    assert visible(tmp_path) == ["in", "out"]


def test_n_best_output_names_the_line_and_the_score(
    settings: Callable[..., TranslateSettings], tmp_path: Path
) -> None:
    (tmp_path / "in").write_text("abc\n\nde\n", encoding="utf-8")
    translate_file(
        settings(SearchConfig(beam_size=3, n_best=2, max_length_offset=3, max_length_ratio=1.0))
    )
    text = (tmp_path / "out").read_text(encoding="utf-8")
    rows = [line.split(" ||| ") for line in text.split("\n")[:-1]]
    assert [row[0] for row in rows] == ["0", "0", "1", "2", "2"]
    assert rows[2] == ["1", "", "0.000000"]
    assert float(rows[0][2]) >= float(rows[1][2])


def test_lines_are_formatted_as_text_or_in_moses_format() -> None:
    translation = Translation(["a b", "c"], [-0.5, -1.25])
    assert format_lines(7, translation, 1) == ["a b\n"]
    assert format_lines(7, translation, 2) == [
        "7 ||| a b ||| -0.500000\n",
        "7 ||| c ||| -1.250000\n",
    ]


def test_standard_input_and_output_are_the_default(
    settings: Callable[..., TranslateSettings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    content = "\ufeffabc\r\n\nde f".encode()
    (tmp_path / "in").write_bytes(content)
    translate_file(settings())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    translate_file(settings(input=None, output=None))
    assert capfd.readouterr().out == (tmp_path / "out").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [b"abc\nde\xff\n", b""])
def test_bad_input_leaves_no_output_and_an_older_one_as_it_was(
    settings: Callable[..., TranslateSettings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
) -> None:
    (tmp_path / "in").write_bytes(content)
    with pytest.raises(InputError):
        translate_file(settings())
    assert visible(tmp_path) == ["in"]
    (tmp_path / "out").write_text("older", encoding="utf-8")
    with pytest.raises(InputError):
        translate_file(settings())
    assert (tmp_path / "out").read_text(encoding="utf-8") == "older"
    assert visible(tmp_path) == ["in", "out"]


def test_an_output_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    file = tmp_path / "out"
    with open_output(str(file)) as output:
        output.write("half")
        output.flush()
        assert not file.exists()
    assert file.read_text(encoding="utf-8") == "half"
    with pytest.raises(ZeroDivisionError), open_output(str(file)) as output:
        output.write(f"other {1 / 0}")
    assert file.read_text(encoding="utf-8") == "half"
    assert visible(tmp_path) == ["out"]


@pytest.mark.parametrize("name", ["missing/out", "file/out", "."])
def test_an_output_that_cannot_be_written_is_refused_before_any_work(
    settings: Callable[..., TranslateSettings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "in").write_text("abc\n", encoding="utf-8")
    monkeypatch.setattr(files, "Translator", None)
    before = visible(tmp_path)
    with pytest.raises(InputError, match=r"output=.* cannot be written"):
        translate_file(settings(output=str(tmp_path / name)))
    assert visible(tmp_path) == before


def test_an_output_that_is_no_regular_file_is_written_to_and_stays() -> None:
    with open_output(os.devnull) as output:
        output.write("abc\n")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_missing_input_leaves_no_output(
    settings: Callable[..., TranslateSettings], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="does not exist"):
        translate_file(settings())
    assert visible(tmp_path) == []


def test_the_input_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hallo\n", encoding="utf-8")
    (tmp_path / "link").symlink_to("x")
    for output in ("x", "link"):
        settings = TranslateSettings(
            checkpoint="none", input=str(tmp_path / "x"), output=str(tmp_path / output)
        )
        with pytest.raises(InputError, match="is the same file as input="):
            translate_file(settings)
    assert (tmp_path / "x").read_text(encoding="utf-8") == "hallo\n"


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old\n", encoding="utf-8")
    (tmp_path / "link").symlink_to("x")
    with open_output(str(tmp_path / "link")) as output:
        output.write("new\n")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "x").read_text(encoding="utf-8") == "new\n"
