"""Points, rows and figures of the cost of an update."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import benchmark_scaling
import pytest
import torch
from benchmark_scaling import BASES, SWEEPS, points, row_of
from measuring import run
from scaling_figures import AXES, on_axis, predicted_s
from synthetic import Phases, Shape, Training

from transformer.config import Precision
from transformer.errors import InputError
from transformer.text.tokenizer import BOS_ID, EOS_ID

TINY = {"d_model": 16, "layers": 1, "length": 4, "vocab_size": 20, "batch_tokens": 8}
CPU = torch.device("cpu")


def rows() -> list[dict[str, Any]]:
    shapes = points(Shape(**TINY), {"d_model": [32, 8], "length": [2]})
    return [row_of(shape, [{"update_s": 2.0, "peak_bytes": 1}], 1e9) for shape in shapes]


def test_a_batch_has_sentences_of_one_length_and_no_padding() -> None:
    batch = Shape(length=5, batch_tokens=23, vocab_size=9).batch()
    assert batch.source.shape == batch.target.shape == batch.labels.shape == (4, 5)
    assert batch.n_source_tokens == batch.n_target_tokens == len(batch.label_positions) == 20
    assert (batch.source[:, -1] == EOS_ID).all()
    assert (batch.labels[:, -1] == EOS_ID).all()
    assert (batch.target[:, 0] == BOS_ID).all()
    assert torch.equal(batch.target[:, 1:], batch.labels[:, :-1])
    inner = torch.cat([batch.source[:, :-1], batch.labels[:, :-1]])
    assert EOS_ID < inner.min() <= inner.max() < 9


def test_a_batch_shorter_than_a_sentence_is_refused() -> None:
    with pytest.raises(InputError, match="batch_tokens=3"):
        Shape(length=4, batch_tokens=3)


def test_an_update_changes_every_matrix() -> None:
    training = Training(Shape(**TINY), CPU, Precision.fp32)
    before = [parameter.detach().clone() for parameter in training.updater.parameters]
    assert training.update() > 0
    after = training.updater.parameters
    assert all(not torch.equal(a, b) for a, b in zip(after, before, strict=True) if a.dim() > 1)


def test_the_parts_of_an_update_add_up() -> None:
    training = Training(Shape(**TINY), CPU, Precision.fp32)
    found = Phases(training).update()
    parts = found["forward_s"] + found["backward_s"] + found["optimizer_s"]
    assert parts >= found["update_s"] > 0
    n_bytes = sum(p.numel() * 4 for p in training.updater.parameters)
    assert sum(size for _, size in found["gradients"]) == n_bytes
    ready = [place for place, _ in found["gradients"]]
    assert ready == sorted(ready)
    assert ready[-1] == 1


def test_the_base_point_comes_first_and_every_point_once() -> None:
    for device, base in BASES.items():
        found = points(base, SWEEPS[device])
        assert found[0] == base
        assert len(found) == len(set(found))
        assert set(SWEEPS[device]) == set(AXES)


def test_an_axis_holds_what_differs_in_it_alone_in_order() -> None:
    assert [row["shape"]["d_model"] for row in on_axis(rows(), "d_model")] == [8, 16, 32]
    assert [row["shape"]["length"] for row in on_axis(rows(), "length")] == [2, 4]


def test_the_formula_goes_through_the_base_point_and_is_proportional_to_flops() -> None:
    base, other = rows()[:2]
    assert predicted_s(base, base) == 2
    assert predicted_s(other, base) == pytest.approx(2 * other["flops"] / base["flops"])


def test_a_row_takes_medians_and_the_highest_peak() -> None:
    results = [{"update_s": s, "peak_bytes": 10 * s} for s in (3.0, 1.0, 2.0)]
    shape = Shape(**TINY)
    row = row_of(shape, results, 1e9)
    assert row["update_s"] == 2
    assert row["peak_bytes"] == 30
    assert row["target_tokens_per_s"] == 4
    assert row["share"] == pytest.approx(shape.flops() / 2 / 1e9)


def in_process(work: Callable[..., Any], *calls: Sequence[Any]) -> list[Any]:
    """What `together` gives, without processes."""
    return [work(*call) for call in calls]


def call(monkeypatch: pytest.MonkeyPatch, *options: object) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark_scaling.py", *map(str, options)])
    run(benchmark_scaling.main)


def test_the_script_measures_draws_and_draws_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(benchmark_scaling, "together", in_process)
    monkeypatch.setattr("measuring.CPU_SHAPES", [(8, 8, 8)])
    monkeypatch.setattr("measuring.TIMED_FLOPS", 1e4)
    call(
        monkeypatch,
        *("--output", tmp_path, "--markdown", "--rounds", 2, "--updates", 1, "--threads", 1),
        *("--base", json.dumps(TINY), "--sweeps", '{"d_model": [8]}', "--device", "cpu"),
    )
    assert "| model width D | 8 |" in capsys.readouterr().out
    found = json.loads((tmp_path / "scaling.json").read_text())
    assert [row["shape"]["d_model"] for row in found] == [16, 8]
    assert all(row["peak_bytes"] > 1e8 and row["matmul_flops_per_s"] > 0 for row in found)
    assert all(len(row["rounds_s"]) == 2 for row in found)
    again = tmp_path / "again"
    rows_file = tmp_path / "scaling.json"
    call(monkeypatch, "--output", again, "--format", "png", "--plot-only", rows_file)
    for name in ("time", "rate", "memory"):
        assert (tmp_path / f"scaling-{name}.svg").read_text().startswith("<?xml")
        assert (again / f"scaling-{name}.png").read_bytes().startswith(b"\x89PNG")
    assert not (again / "scaling.json").exists()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--sweeps", '{"width": [1]}'], "width"),
        (["--sweeps", '{"d_model": 5}'], "d_model=5"),
        (["--sweeps", '{"d_model": [0]}'], "d_model=0"),
        (["--sweeps", "[1]"], "--sweeps=[1]"),
        (["--base", "{"], "--base"),
        (["--base", '{"d_model": "x"}'], "d_model='x'"),
        (["--plot-only", "missing.json"], "missing.json"),
        (["--plot-only", "other.json"], "other.json"),
        (["--output", "other.json"], "other.json"),
    ],
)
def test_what_the_user_can_mend_is_one_line(
    options: list[str], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.json").write_text("[{}]", encoding="utf-8")
    monkeypatch.delattr(benchmark_scaling, "together")
    with pytest.raises(SystemExit) as ended:
        call(monkeypatch, "--output", tmp_path, "--device", "cpu", *options)
    line = str(ended.value)
    assert word in line
    assert "\n" not in line


@pytest.mark.parametrize("option", ["--rounds", "--updates", "--threads"])
def test_counts_of_none_are_refused(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        call(monkeypatch, "--output", "unused", option, 0)
