"""The profile of training: kinds of work that add up to the time of an update."""

import gzip
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import profile_training
import pytest
from profile_training import LOADING, OTHER, busy_us, kind_of, make_table

from transformer.errors import InputError

SMALL = [
    *("--model", "tiny", "--vocab-size", "200", "--batch-tokens", "256", "--updates", "3"),
    *("--warmup", "1", "--threads", "1", "--device", "cpu", "--top", "7"),
]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a profile of a few updates has written."""
    folder = tmp_path_factory.mktemp("profile")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["profile_training.py", *SMALL, "--output", str(folder)])
        patch.setattr(profile_training, "N_DRAWN", 500)
        profile_training.main()
    return folder


@pytest.fixture(scope="module")
def table(output: Path) -> dict[str, Any]:
    """The figures of that profile."""
    found: dict[str, Any] = json.loads((output / "table.json").read_text())
    return found


def test_the_kinds_add_up_to_the_time_of_an_update(table: dict[str, Any]) -> None:
    assert sum(table["ms"].values()) == pytest.approx(table["profiled_update_ms"], abs=0.05)
    assert sum(table["percent"].values()) == pytest.approx(100, abs=1)
    assert all(ms >= 0 for ms in table["ms"].values())
    assert table["update_ms"] > 0


def test_nearly_all_that_operators_do_is_of_a_known_kind(table: dict[str, Any]) -> None:
    operators = sum(ms for kind, ms in table["ms"].items() if kind != "Python")
    assert table["ms"][OTHER] < 0.1 * operators


def test_what_every_update_does_has_taken_time(table: dict[str, Any]) -> None:
    kinds = ("matrix products", "softmax, loss", "dropout, random", "normalisation")
    for kind in (*kinds, "optimizer, clipping", "copies, memory", LOADING, "Python"):
        assert table["ms"][kind] > 0, kind


def test_the_trace_is_one_of_chrome(output: Path) -> None:
    with gzip.open(output / "trace.json.gz", "rt") as file:
        names = {event.get("name") for event in json.load(file)["traceEvents"]}
    assert {LOADING, "aten::mm"} <= names


def test_all_figures_are_printed(table: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    profile_training.show(table, 7)
    lines = capsys.readouterr().out.splitlines()
    for kind in (*table["ms"], "total, with the profiler", "total, without it"):
        assert any(line.startswith(kind) for line in lines), kind
    assert len(lines) == 1 + len(table["ms"]) + 4 + 1 + 7 + 1


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["aten::addmm_", "aten::linear"], "matrix products"),
        (["aten::_scaled_dot_product_flash_attention_for_cpu"], "attention"),
        (["aten::_log_softmax_backward_data"], "softmax, loss"),
        (["aten::random_"], "dropout, random"),
        (["aten::native_dropout_backward"], "dropout, random"),
        (["aten::native_layer_norm_backward"], "normalisation"),
        (["aten::threshold_backward"], "elementwise, sums"),
        (["aten::mul"], "elementwise, sums"),
        (["aten::mul", "Optimizer.step#AdamW.step"], "optimizer, clipping"),
        (["aten::mm", "aten::matmul", LOADING], LOADING),
        (["aten::_foreach_mul_"], "optimizer, clipping"),
        (["aten::_to_copy"], "copies, memory"),
        (["aten::t"], "views"),
        (["autograd::engine::evaluate_function: MmBackward0"], "autograd"),
        (["triton_poi_fused_add_0"], "compiled"),
        (["aten::something_unheard_of"], OTHER),
    ],
)
def test_an_operator_is_of_the_kind_that_its_name_says(names: list[str], kind: str) -> None:
    assert kind_of(names) == kind


def event(start: float, end: float, device: str = "CUDA", **more: Any) -> Any:
    """What the profiler tells of a kernel, or of an operator that launched one."""
    fields = {
        "name": "kernel",
        "device_type": SimpleNamespace(name=device),
        "is_user_annotation": False,
        "time_range": SimpleNamespace(start=start, end=end),
        "cpu_parent": None,
        "self_device_time_total": 0.0,
    }
    return SimpleNamespace(**(fields | more))


def test_kernels_that_overlap_are_busy_once() -> None:
    events = [
        *(event(0, 10), event(5, 12), event(6, 8), event(20, 25)),
        *(event(0, 100, is_user_annotation=True), event(0, 100, device="CPU")),
    ]
    assert busy_us(events) == 17


def test_kernels_count_for_the_operator_that_launched_them_and_lone_ones_as_other() -> None:
    events = [
        event(0, 1, device="CPU", name="aten::mm", self_device_time_total=600.0),
        event(1, 2, device="CPU", name="aten::mul", self_device_time_total=300.0),
        *(event(0, 600), event(600, 900), event(950, 1000)),
    ]
    found = make_table(events, 2e-3, 2, on_gpu=True)["ms"]
    assert found["matrix products"] == 0.3
    assert found["elementwise, sums"] == 0.15
    assert found[OTHER] == 0.025
    assert found["no kernel runs"] == 0.525
    assert sum(found.values()) == pytest.approx(1.0)


def test_a_setting_that_does_not_exist_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = [*SMALL, "--output", str(tmp_path), "--set", "training.labelsmoothing=0"]
    monkeypatch.setattr(sys, "argv", ["profile_training.py", *words])
    with pytest.raises(InputError, match="labelsmoothing"):
        profile_training.main()


def test_an_output_that_is_a_file_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    words = ["profile_training.py", *SMALL, "--output", str(tmp_path / "file")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(InputError, match="file cannot be a folder"):
        profile_training.main()
