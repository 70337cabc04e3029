"""The benchmark of loading, on a corpus that takes no time."""

import json
import sys
import time
from pathlib import Path

import benchmark_loading
import pytest
from measuring import run

from transformer.training.stream import Position

TINY = ["--pairs=300", "--vocab-size=50", "--batch-tokens=500", "--updates=8", "--update-ms=2"]


def test_a_row_tells_of_each_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.json"
    loaders = ["--workers", "0", "1", "--prefetch", "0", "2", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", ["benchmark_loading.py", *TINY, *loaders])
    benchmark_loading.main()
    row = json.loads(capsys.readouterr().out)
    assert json.loads(file.read_text(encoding="utf-8")) == [row]
    assert row["pairs"] == 300
    assert 0 < row["shapes"] <= row["batches"]
    kinds = [(found["workers"], found["prefetch"]) for found in row["loaders"]]
    assert kinds == [(0, 0), (0, 2), (1, 0), (1, 2)]
    for found in row["loaders"]:
        assert 0 < found["waiting_share"] < 1
        assert found["tokens_per_s"] > found["updates_per_s"] > 0
        assert found["longest_wait_ms"] > 0
        assert found["first_update_ms"] > 0
        assert 0 < found["target_tokens_per_s"] < found["tokens_per_s"]
        needed = 1e6 * max(1, found["workers"]) / found["target_tokens_per_s"]
        assert found["workers_for_a_million"] == pytest.approx(needed, abs=1.01)


def test_waits_are_those_for_data_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark_loading.py", *TINY])
    arguments = benchmark_loading.parse()
    split = benchmark_loading.open_split(arguments, tmp_path)
    stream = benchmark_loading.stream_of(split, arguments, workers=0, prefetch=0)
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    _, waits, *n_tokens = benchmark_loading.walk(stream, Position(), 5, 1e3)
    assert slept == [1e3] * 5
    assert sum(waits) < 1e3
    updates = stream.updates(Position())
    next(updates)
    expected = [next(updates) for _ in range(5)]
    assert n_tokens[0] == sum(u.n_source_tokens for u in expected)
    assert n_tokens[1] == sum(u.n_target_tokens for u in expected)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--train", "/nowhere/x"], "/nowhere/x"),
        (["--train", "x", "--pairs", "5"], "--pairs=5"),
        (["--prefetch", "0", "-1"], "prefetch=-1"),
        (["--vocab-size", "3"], "--vocab-size=3"),
        (["--update-ms", "nan"], "--update-ms=nan"),
        (["--json", "broken.json"], "broken.json"),
    ],
)
def test_what_the_user_can_mend_is_one_line_before_the_work(
    options: list[str], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delattr(benchmark_loading, "planning")
    monkeypatch.setattr(sys, "argv", ["benchmark_loading.py", "--batch-tokens=500", *options])
    with pytest.raises(SystemExit) as ended:
        run(benchmark_loading.main)
    line = str(ended.value)
    assert word in line
    assert "\n" not in line


def test_no_updates_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark_loading.py", "--updates", "0"])
    with pytest.raises(SystemExit):
        benchmark_loading.parse()
