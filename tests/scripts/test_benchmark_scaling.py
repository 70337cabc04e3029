"""Points, rows and figures of the cost of an update."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmark_scaling import BASES, SWEEPS, main, points, row_of
from scaling_figures import AXES, on_axis, predicted_s
from synthetic import Phases, Shape, Training

from transformer.config import Precision
from transformer.errors import InputError
from transformer.text.tokenizer import BOS_ID, EOS_ID

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmark_scaling.py"
TINY = {"d_model": 16, "layers": 1, "length": 4, "vocab_size": 20, "batch_tokens": 8}
CPU = torch.device("cpu")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


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


def test_the_script_measures_draws_and_draws_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    done = run(
        *("--output", tmp_path, "--markdown", "--rounds", 1, "--updates", 1, "--threads", 1),
        *("--base", json.dumps(TINY), "--sweeps", '{"d_model": [8]}', "--device", "cpu"),
    )
    assert done.returncode == 0, done.stderr
    assert "| model width D | 8 |" in done.stdout
    found = json.loads((tmp_path / "scaling.json").read_text())
    assert [row["shape"]["d_model"] for row in found] == [16, 8]
    assert all(row["peak_bytes"] > 1e8 and row["matmul_flops_per_s"] > 0 for row in found)
    again = tmp_path / "again"
    rows_file = str(tmp_path / "scaling.json")
    options = ["--output", str(again), "--format", "png", "--plot-only", rows_file]
    monkeypatch.setattr(sys, "argv", ["benchmark_scaling.py", *options])
    main()
    for name in ("time", "rate", "memory"):
        assert (tmp_path / f"scaling-{name}.svg").read_text().startswith("<?xml")
        assert (again / f"scaling-{name}.png").read_bytes().startswith(b"\x89PNG")
    assert not (again / "scaling.json").exists()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--sweeps", '{"width": [1]}'], "width"),
        (["--base", "{"], "--base"),
        (["--plot-only", "missing.json"], "missing.json"),
    ],
)
def test_what_the_user_can_mend_is_one_line(
    options: list[str], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(sys, "argv", ["benchmark_scaling.py", "--output", str(tmp_path), *options])
    with pytest.raises(SystemExit) as ended:
        main()
    line = str(ended.value)
    assert line.startswith("error: ")
    assert word in line
    assert "\n" not in line
