"""Properties of the translate command's output."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.translation.faking import translation
from transformer.config import LineFormat, SearchConfig, TranslateSettings
from transformer.errors import InputError
from transformer.translation.output import (
    can_be_replaced,
    format_translations,
    open_output,
    require_other_file,
)


def lines_of(n_best: int, *, first: int = 0, alignment: bool = False, **changes: Any) -> list[str]:
    settings = TranslateSettings(
        checkpoint="none",
        search=SearchConfig(beam_size=3, n_best=n_best),
        alignment=alignment,
        **changes,
    )
    attention = settings.attention
    sources = ["ab c", ""]
    found = [
        translation(source, first + i, n_best, alignment, attention)
        for i, source in enumerate(sources)
    ]
    text = format_translations(found, first, settings)
    assert text.endswith("\n")
    return text.split("\n")[:-1]


def test_text_is_the_best_output_with_its_alignment_behind_a_tab() -> None:
    assert lines_of(1) == ["c ba", ""]
    assert lines_of(1, alignment=True) == ["c ba\t0-0 1-2", "\t0-0 1-2"]


def test_lists_are_in_the_format_of_moses() -> None:
    assert lines_of(2, first=7) == [
        "7 ||| c ba ||| -7.000000",
        "7 ||| c ba' ||| -7.125000",
        "8 |||  ||| -8.000000",
        "8 ||| ' ||| -8.125000",
    ]
    assert lines_of(2, first=7, alignment=True)[1] == "7 ||| c ba' ||| -7.125000 ||| 0-0 1-2"


def test_an_object_holds_what_was_asked_for() -> None:
    first = json.loads(lines_of(2, output_format=LineFormat.jsonl)[0])
    assert first == {
        "source": "ab c",
        "hypotheses": [
            {
                "text": "c ba" + "'" * n,
                "score": -n / 8,
                "log_probability": -1 - n / 3,
                "tokens": ["c", "ba"],
                "token_log_probabilities": [-0.1] * 3,
                "finished": n == 0,
            }
            for n in range(2)
        ],
    }
    more: dict[str, Any] = {"output_format": LineFormat.jsonl, "attention": True}
    (hypothesis,) = json.loads(lines_of(1, alignment=True, **more)[0])["hypotheses"]
    assert hypothesis["alignment"] == [[0, 0], [1, 2]]
    assert hypothesis["attention"] == [[0.25, 0.75]]


@given(text=st.text(st.characters(codec="utf-8")))
def test_an_object_is_one_line_whatever_the_text(text: str) -> None:
    settings = TranslateSettings(checkpoint="none", output_format=LineFormat.jsonl)
    line = format_translations([translation(text, 0, 1)], 0, settings)
    assert line.count("\n") == 1
    assert json.loads(line)["source"] == text
    assert json.loads(line)["hypotheses"][0]["text"] == text[::-1]
    if text.isprintable() and not {*'"\\'} & {*text}:
        assert text in line  # as it is, not escaped


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
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_output_that_is_no_regular_file_is_written_to_and_stays() -> None:
    assert not can_be_replaced(Path(os.devnull))
    with open_output(os.devnull) as output:
        output.write("abc\n")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old\n", encoding="utf-8")
    (tmp_path / "link").symlink_to("x")
    with open_output(str(tmp_path / "link")) as output:
        output.write("new\n")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "x").read_text(encoding="utf-8") == "new\n"


def test_a_file_is_no_output_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    (tmp_path / "y").touch()
    (tmp_path / "link").symlink_to("x")
    require_other_file("source", str(tmp_path / "x"), str(tmp_path / "y"))
    for output in ("x", "link"):
        with pytest.raises(InputError, match="is the same file as source="):
            require_other_file("source", str(tmp_path / "x"), str(tmp_path / output))
