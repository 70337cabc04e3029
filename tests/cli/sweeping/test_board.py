"""The table that a sweep leaves."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from transformer.checkpoint.save import MANIFEST
from transformer.cli.sweeping.board import Board, Line
from transformer.config import Metric, TrainingConfig
from transformer.errors import InputError

Make = Callable[..., None]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes the folder of a run whose best validation had that BLEU, and the same loss."""

    def run(name: str, bleu: float, result: dict[str, Any] | None = None) -> None:
        checkpoint = tmp_path / name / "checkpoints" / "00000010"
        checkpoint.mkdir(parents=True)
        (checkpoint / MANIFEST).touch()
        metrics = {"loss": bleu, "bleu": bleu, "chrf": 1.5, "minutes": 0.25}
        (checkpoint / "metrics.json").write_text(json.dumps(metrics))
        ending = {"update": 10, "reason": "enough", "pruned": False, **(result or {})}
        (tmp_path / name / "result.json").write_text(json.dumps(ending))

    return run


@pytest.fixture
def board(tmp_path: Path, make: Make) -> Board:
    """Of five runs: stopped, pruned, done, waiting, failed."""
    make("a", 3.0, {"update": 5})
    make("b", 2.0, {"pruned": True})
    make("c", 12.0)
    make("e", 99.0)
    lines = [
        Line(str(tmp_path / name), {"optim.lr": 0.00012345, "model": name}, TrainingConfig())
        for name in "abcde"
    ]
    return Board(tmp_path, Metric.bleu, lines, {str(tmp_path / "e"): "data.train=x\tis missing"})


def column(board: Board, name: str) -> list[Any]:
    return [row[name] for row in board.table().summary()]


def test_runs_are_sorted_by_validation_and_failures_come_last(board: Board) -> None:
    assert column(board, "run") == ["c", "a", "b", "d", "e"]
    assert column(board, "place") == [1, 2, 3, None, None]
    assert column(board, "valid BLEU")[:3] == [12, 3, 2]
    assert column(board, "state") == [
        *("done", "stopped", "pruned", "waiting"),
        "failed: data.train=x is missing",
    ]


def test_of_the_loss_less_is_better_and_it_is_the_first_score(board: Board) -> None:
    board.metric = Metric.loss
    assert column(board, "run")[:3] == ["b", "a", "c"]
    columns = list(board.table().columns)
    assert columns[4:7] == ["valid loss", "valid BLEU", "valid chrF"]


def test_ties_are_in_the_order_of_the_sweep(tmp_path: Path, make: Make) -> None:
    for name in "zyx":
        make(name, 5.0)
    lines = [Line(str(tmp_path / name), {}, TrainingConfig()) for name in "zyx"]
    assert column(Board(tmp_path, Metric.bleu, lines), "run") == ["z", "y", "x"]


def test_each_file_holds_every_run_in_one_order(board: Board, tmp_path: Path) -> None:
    board.write()
    runs = json.loads((tmp_path / "sweep.json").read_text())["runs"]
    assert [Path(each["run_dir"]).name for each in runs] == ["c", "a", "b", "d", "e"]
    assert runs[0]["settings"] == {"optim.lr": 0.00012345, "model": "c"}
    assert runs[0]["valid"] == {"loss": 12, "bleu": 12, "chrf": 1.5}
    assert (runs[0]["updates"], runs[0]["minutes"], runs[0]["state"]) == (10, 0.25, "done")
    with (tmp_path / "sweep.tsv").open(newline="") as file:
        rows = list(csv.reader(file, dialect="excel-tab"))
    assert {len(row) for row in rows} == {len(board.table().columns)}
    assert [row[1] for row in rows] == ["run", "c", "a", "b", "d", "e"]
    assert rows[1][2] == "0.00012345"
    assert (tmp_path / "sweep.md").read_text() == board.table().render("markdown") + "\n"


def test_a_number_among_the_settings_is_short_but_not_rounded_away(board: Board) -> None:
    assert column(board, "optim.lr")[0] == "0.0001234"


def test_without_a_folder_there_are_no_files(board: Board, tmp_path: Path) -> None:
    board = replace(board, folder=None)
    board.write()
    assert not list(tmp_path.glob("*sweep*"))
    assert column(board, "run")[0] == str(tmp_path / "c")


def test_a_table_that_cannot_be_written_is_one_line(board: Board, tmp_path: Path) -> None:
    (tmp_path / "sweep.md").mkdir()
    with pytest.raises(InputError, match="cannot be written") as caught:
        board.write()
    assert "\n" not in str(caught.value)


def test_what_is_known_of_no_run_is_no_news(board: Board, tmp_path: Path) -> None:
    assert board.has_news()
    line = Line(str(tmp_path / "d"), {}, TrainingConfig())
    assert not Board(tmp_path, Metric.bleu, [line]).has_news()


def test_of_equal_scores_the_loss_tells(tmp_path: Path, make: Make) -> None:
    for name, loss in (("a", 7.0), ("b", 5.0), ("c", 6.0)):
        make(name, 0.0)
        metrics = {"loss": loss, "bleu": 0.0, "chrf": 1.0}
        file = tmp_path / name / "checkpoints" / "00000010" / "metrics.json"
        file.write_text(json.dumps(metrics))
    lines = [Line(str(tmp_path / name), {}, TrainingConfig()) for name in "abc"]
    assert column(Board(tmp_path, Metric.bleu, lines), "run") == ["b", "c", "a"]


def test_tests_that_were_scored_in_different_ways_are_told(tmp_path: Path, make: Make) -> None:
    lines = []
    for name, tokenizer in (("a", "13a"), ("b", "13a"), ("c", "zh")):
        make(name, 1.0)
        signature = f"nrefs:1|case:mixed|tok:{tokenizer}|version:2.6.0"
        score = {"name": "BLEU", "value": 30.0, "signature": signature}
        test = {"made_by": {"checkpoint": "00000010"}, "scores": [score]}
        (tmp_path / name / "test.json").write_text(json.dumps(test))
        lines.append(Line(str(tmp_path / name), {}, TrainingConfig()))
    assert Board(tmp_path, Metric.bleu, lines[:2]).table().notes == []
    (note,) = Board(tmp_path, Metric.bleu, lines).table().notes
    assert "differ in tok" in note
    assert "zh for c" in note
