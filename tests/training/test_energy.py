"""The energy of a run, by counters that a test moves."""

import builtins
import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from transformer.training import energy as energy_module
from transformer.training.energy import Energy, find_counter

GPU = torch.device("cuda")


class Nvml(SimpleNamespace):
    """What of pynvml is used; `counts` are the millijoules of each GPU."""

    class NVMLError(Exception):
        pass

    counts: dict[str, float]

    def nvmlInit(self) -> None:  # noqa: N802
        """Nothing to begin."""

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> float:  # noqa: N802
        if handle not in self.counts:
            raise self.NVMLError("Not Supported")
        return self.counts[handle]


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    """Two GPUs of which this process uses both."""
    fake = Nvml(counts={"GPU-a": 5e9, "GPU-b": 1e9})
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.setattr(energy_module, "uuids", lambda _: ["GPU-a", "GPU-b"])
    return fake


def test_joules_of_all_gpus_are_counted_from_the_start(nvml: Nvml) -> None:
    energy = Energy(find_counter(GPU))
    nvml.counts["GPU-a"] += 3.6e9  # a kilowatt-hour in mJ
    nvml.counts["GPU-b"] += 1.8e9
    energy.last_s -= 100
    scalars = energy.scalars()
    assert scalars["energy/kwh"] == pytest.approx(1.5)
    assert scalars["energy/watts"] == pytest.approx(5.4e6 / 100, rel=0.01)
    energy.last_s -= 100
    again = energy.scalars()
    assert again["energy/kwh"] == pytest.approx(1.5)
    assert again["energy/watts"] == 0


def test_a_resumed_run_counts_on(nvml: Nvml) -> None:
    energy = Energy(find_counter(GPU))
    energy.load(2.0)
    nvml.counts["GPU-a"] += 3.6e9
    assert energy.kwh() == pytest.approx(3.0)
    without = Energy(None)
    without.load(2.0)
    assert (without.kwh(), without.scalars()) == (2.0, {})


@pytest.mark.parametrize("kwh", [0, 1])
def test_a_counter_that_fails_later_ends_no_run(nvml: Nvml, kwh: int) -> None:
    nvml.counts = {"GPU-a": 0, "GPU-b": 0}
    energy = Energy(find_counter(GPU))
    nvml.counts["GPU-a"] += kwh * 3.6e9
    assert energy.kwh() == pytest.approx(kwh)
    nvml.counts.clear()
    assert energy.kwh() == pytest.approx(kwh)


def test_a_cpu_has_no_counter_and_no_word_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert find_counter(torch.device("cpu")) is None
    assert caplog.records == []


def test_a_gpu_without_a_counter_is_one_line(nvml: Nvml, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    nvml.counts.clear()
    assert find_counter(GPU) is None
    (record,) = caplog.records
    assert "Not Supported" in record.getMessage()


def test_a_missing_package_is_one_line_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "pynvml":
            raise ImportError(name)
        return real(name, *rest)

    caplog.set_level(logging.INFO)
    monkeypatch.setattr(builtins, "__import__", without)
    assert find_counter(GPU) is None
    (record,) = caplog.records
    assert "transformer-mt[energy]" in record.getMessage()


@pytest.mark.gpu
def test_a_real_gpu_counts() -> None:
    counter = find_counter(GPU)
    if counter is None:
        pytest.skip("this GPU counts no energy")
    assert counter() > 0
