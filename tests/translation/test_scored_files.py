"""Properties of the score command's files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from transformer.config import (
    LengthNormalization,
    LineFormat,
    Precision,
    ScoreSettings,
    SearchConfig,
)
from transformer.errors import InputError
from transformer.text.alignment import check_alignment, read_links
from transformer.translation import Output, Translator, score_file, scored_files, scoring

SEARCH = SearchConfig(normalization=LengthNormalization.plain, length_penalty=0.5)
PAIRS = [("abc", "uv w"), ("", ""), ("d e f", "x"), ("", "y"), ("a", ""), ("b\u2028c", "z\x0cz")]
Make = Callable[..., ScoreSettings]


@pytest.fixture
def settings(checkpoint: Path, tmp_path: Path) -> Make:
    """Settings that read tmp_path/source and tmp_path/target, and write tmp_path/out."""

    def make(**changes: Any) -> ScoreSettings:
        paths = {name: str(tmp_path / name) for name in ("source", "target")}
        given = {**paths, "output": str(tmp_path / "out"), "search": SEARCH, **changes}
        return ScoreSettings(
            checkpoint=str(checkpoint), device="cpu", precision=Precision.fp32, threads=1, **given
        )

    return make


def write(folder: Path, pairs: list[tuple[str, str]]) -> None:
    for name, column in zip(("source", "target"), zip(*pairs, strict=True), strict=True):
        (folder / name).write_bytes("".join(line + "\n" for line in column).encode())


def read(folder: Path) -> list[str]:
    text = (folder / "out").read_bytes().decode()
    assert text.endswith("\n")
    return text.split("\n")[:-1]


def expected(checkpoint: Path) -> list[Output]:
    translator = Translator.load(str(checkpoint), "cpu", Precision.fp32)
    return list(translator.score(PAIRS, SEARCH, alignment=True, attention=True))


@pytest.mark.parametrize("window", [1, 2, 4096])
def test_each_line_is_the_score_of_its_pair(
    settings: Make, tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    write(tmp_path, PAIRS)
    scores = [output.score for output in expected(checkpoint)]
    assert len({*scores}) == len(scores)
    monkeypatch.setattr(scoring, "WINDOW", window)
    score_file(settings())
    found = read(tmp_path)
    assert [float(line) for line in found] == pytest.approx(scores, abs=2e-6)
    assert all(len(line.partition(".")[2]) == 6 for line in found)
    assert found[1] == "0.000000"


def test_the_alignment_stands_behind_a_tab(settings: Make, tmp_path: Path) -> None:
    write(tmp_path, PAIRS)
    score_file(settings())
    scores = read(tmp_path)
    score_file(settings(alignment=True))
    rows = [line.split("\t") for line in read(tmp_path)]
    assert [score for score, _ in rows] == scores
    for (source, target), (_, links) in zip(PAIRS, rows, strict=True):
        check_alignment(links, source, target)
        n_words = len(target.split()) if source.split() else 0
        assert [j for _, j in sorted(read_links(links), key=lambda link: link[1])] == list(
            range(n_words)
        )


@pytest.mark.parametrize("shown", [(), ("alignment",), ("attention",), ("alignment", "attention")])
def test_json_lines_hold_all_that_was_asked_for(
    settings: Make, tmp_path: Path, checkpoint: Path, shown: tuple[str, ...]
) -> None:
    write(tmp_path, PAIRS)
    wanted = dict.fromkeys(shown, True)
    score_file(settings(output_format=LineFormat.jsonl, **wanted))
    found = [json.loads(line) for line in read(tmp_path)]
    for values, (source, target), output in zip(found, PAIRS, expected(checkpoint), strict=True):
        assert (values.pop("source"), values.pop("target")) == (source, target)
        assert values.pop("score") == pytest.approx(output.score, abs=1e-5)
        assert values.pop("log_probability") == pytest.approx(output.log_probability, abs=1e-5)
        assert values.pop("tokens") == output.tokens
        given = values.pop("token_log_probabilities")
        assert given == pytest.approx(list(output.token_log_probabilities), abs=1e-5)
        assert set(values) == {*shown}
        if "alignment" in shown:
            assert values["alignment"] == [list(link) for link in output.alignment or []]
        for row, other in zip(values.get("attention", []), output.attention or [], strict=False):
            assert row == pytest.approx(list(other), abs=1e-5)


def test_standard_output_is_the_default(
    settings: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, PAIRS)
    score_file(settings())
    score_file(settings(output=None))
    assert capfd.readouterr().out == (tmp_path / "out").read_text(encoding="utf-8")


@pytest.mark.parametrize(("n", "m"), [(2, 3), (3, 2), (6, 1)])
def test_files_of_unequal_length_are_refused_and_leave_no_output(
    settings: Make, tmp_path: Path, n: int, m: int
) -> None:
    write(tmp_path, PAIRS)
    for name, lines in (("source", n), ("target", m)):
        (tmp_path / name).write_text("a\n" * lines, encoding="utf-8")
    with pytest.raises(InputError, match=f"source has {n} lines but .*target has {m}; parallel"):
        score_file(settings())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["source", "target"])
def test_neither_file_is_overwritten(
    settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write(tmp_path, PAIRS)
    before = (tmp_path / name).read_bytes()
    monkeypatch.setattr(scored_files, "start", None)
    with pytest.raises(InputError, match=f"is the same file as {name}="):
        score_file(settings(output=str(tmp_path / name)))
    assert (tmp_path / name).read_bytes() == before
