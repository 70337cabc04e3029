"""Choices of device and arithmetic."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import pytest
import torch

from transformer.config import Precision
from transformer.device import (
    EXACT,
    KERNEL_CACHES,
    KERNELS,
    _error,
    autocast,
    choose_device,
    choose_precision,
    is_amd,
    is_exact,
    require_compiler,
    set_threads,
)
from transformer.errors import InputError

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    precision, threads = torch.get_float32_matmul_precision(), torch.get_num_threads()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(precision)
    torch.set_num_threads(threads)


def pretend(monkeypatch: pytest.MonkeyPatch, n_gpus: int, *, bf16: bool = True) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    # Every GPU emulates bf16, slowly: that does not count.
    monkeypatch.setattr(
        torch.cuda,
        "is_bf16_supported",
        lambda *, including_emulation=True: bf16 or including_emulation,
    )


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 0)
    assert choose_device("auto") == CPU
    pretend(monkeypatch, 1)
    assert choose_device("auto") == GPU


def test_devices_of_the_machine_are_taken_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 2)
    for name in ("cpu", "cuda", "cuda:0", "cuda:1"):
        assert choose_device(name) == torch.device(name)


@pytest.mark.parametrize(
    ("name", "n_gpus", "message"),
    [
        ("cuda", 0, "device=cuda, but .* finds no GPU here; use device=cpu"),
        ("cuda:1", 0, "finds no GPU here"),
        ("cuda:2", 2, "there are only 2 GPUs, counted from 0"),
        ("gpu", 1, "device=gpu is no device; use auto, cpu, cuda or cuda:N"),
        ("", 1, "device= is no device"),
        ("cuda:x", 1, "is no device"),
        ("meta", 1, "device=meta is not supported; use cpu or cuda"),
    ],
)
def test_other_devices_are_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, n_gpus: int, message: str
) -> None:
    pretend(monkeypatch, n_gpus)
    with pytest.raises(InputError, match=message) as caught:
        choose_device(name)
    assert "\n" not in str(caught.value)


def test_auto_is_bf16_on_a_gpu_that_has_it_and_fp32_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch, 1)
    assert choose_precision(Precision.auto, GPU) is Precision.bf16
    assert choose_precision(Precision.auto, CPU) is Precision.fp32
    pretend(monkeypatch, 1, bf16=False)
    assert choose_precision(Precision.auto, GPU) is Precision.fp32


@pytest.mark.parametrize("precision", [Precision.fp32, Precision.bf16, Precision.fp16])
def test_a_named_precision_is_taken_as_it_is(precision: Precision) -> None:
    assert choose_precision(precision, CPU) is precision
    assert choose_precision(precision, GPU) is precision


def test_tf32_is_refused_on_the_cpu() -> None:
    with pytest.raises(InputError, match="on the CPU use precision=fp32"):
        choose_precision(Precision.tf32, CPU)


def test_only_tf32_lets_matrix_products_round() -> None:
    choose_precision(Precision.tf32, GPU)
    assert torch.get_float32_matmul_precision() == "high"
    for precision in (Precision.fp32, Precision.bf16, Precision.fp16):
        choose_precision(precision, GPU)
        assert torch.get_float32_matmul_precision() == "highest"


def pretend_processor(
    monkeypatch: pytest.MonkeyPatch, *, vendor: str, exact: bool = True, n_gpus: int = 0
) -> list[str]:
    """The permissions that are tried, on a processor whose vendor and arithmetic are made up."""
    tried: list[str] = []

    def is_exact(permission: str) -> bool:
        tried.append(permission)
        return exact

    told = f"processor : 0\nvendor_id : {vendor}\nmodel name : unknown\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: told)
    monkeypatch.setattr("transformer.device.is_exact", is_exact)
    pretend(monkeypatch, n_gpus)
    return tried


@pytest.mark.parametrize("precision", [Precision.auto, Precision.fp32, Precision.bf16])
def test_products_may_take_the_other_library_on_amds_processors(
    monkeypatch: pytest.MonkeyPatch, precision: Precision
) -> None:
    tried = pretend_processor(monkeypatch, vendor="AuthenticAMD")
    choose_precision(precision, CPU)
    assert torch.get_float32_matmul_precision() == "medium"
    assert tried == ["medium"]


@pytest.mark.parametrize(
    ("vendor", "exact", "n_gpus", "device"),
    [
        ("GenuineIntel", True, 0, CPU),
        ("AuthenticAMD", False, 0, CPU),
        ("AuthenticAMD", True, 1, CPU),
        ("AuthenticAMD", True, 1, GPU),
        ("GenuineIntel", True, 1, GPU),
    ],
)
def test_nothing_may_round_on_any_other_machine(
    monkeypatch: pytest.MonkeyPatch, vendor: str, exact: bool, n_gpus: int, device: torch.device
) -> None:
    tried = pretend_processor(monkeypatch, vendor=vendor, exact=exact, n_gpus=n_gpus)
    torch.set_float32_matmul_precision("medium")
    choose_precision(Precision.fp32, device)
    assert torch.get_float32_matmul_precision() == "highest"
    # Trying permits it for a moment, to all threads.
    assert tried == ([] if exact else ["medium"])


def test_without_linuxs_files_the_processor_is_not_amds(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert not is_amd()


@pytest.mark.parametrize("before", ["highest", "high", "medium"])
def test_trying_leaves_the_permission_as_it_was(
    monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    permitted: list[str] = []

    def error(rows: int, columns: int) -> float:
        permitted.append(torch.get_float32_matmul_precision())
        raise RuntimeError(f"{rows} and {columns} do not fit")

    torch.set_float32_matmul_precision(before)
    assert is_exact.__wrapped__("highest")
    assert torch.get_float32_matmul_precision() == before
    monkeypatch.setattr("transformer.device._error", error)
    with pytest.raises(RuntimeError):
        is_exact.__wrapped__("medium")
    assert permitted == ["medium"]
    assert torch.get_float32_matmul_precision() == before


def test_threads_try_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def error(rows: int, columns: int) -> float:
        sleep(1e-3 * (1 + rows % 3 + columns % 2))
        return 0 if torch.get_float32_matmul_precision() == "highest" else 1

    monkeypatch.setattr("transformer.device._error", error)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(is_exact.__wrapped__, ["medium", "highest"] * 4))
    assert found == [False, True] * 4
    assert torch.get_float32_matmul_precision() == "highest"


def test_products_that_round_to_bf16_are_not_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _error(5, 256) < EXACT
    product = torch.Tensor.__matmul__

    def rounding(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if x.dtype is torch.float64:
            return product(x, y)
        return product(x.bfloat16().float(), y.bfloat16().float())

    monkeypatch.setattr(torch.Tensor, "__matmul__", rounding)
    assert _error(5, 256) > 100 * EXACT


def test_what_is_tried_is_single_precision_whatever_the_default() -> None:
    single = _error(5, 256)
    torch.set_default_dtype(torch.float64)
    try:
        assert _error(5, 256) == single > 0
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [
        (Precision.fp32, torch.float32),
        (Precision.bf16, torch.bfloat16),
        (Precision.fp16, torch.float16),
    ],
)
def test_autocast_computes_products_in_the_named_arithmetic(
    precision: Precision, dtype: torch.dtype
) -> None:
    with autocast(precision, CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is dtype


def test_threads_are_set_only_where_asked_for() -> None:
    set_threads(2)
    assert torch.get_num_threads() == 2
    set_threads(None)
    assert torch.get_num_threads() == 2


def test_a_compiler_that_does_not_work_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(function: object) -> object:
        raise RuntimeError("no compiler found\nand a long tale")

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(
        InputError, match=r"training.compile=true: .* \(no compiler found\)"
    ) as told:
        require_compiler(CPU)
    assert "\n" not in str(told.value)


FREED = """
import resource
from transformer.device import keep_freed_memory
import torch
if {kept}:
    keep_freed_memory()
for _ in range(20):
    torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_memory_is_used_again_as_it_is() -> None:
    plain, kept = (
        int(subprocess.check_output([sys.executable, "-c", FREED.format(kept=kept)]))
        for kept in (False, True)
    )
    assert kept < plain / 10


def test_few_kernels_are_kept_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = KERNEL_CACHES
    monkeypatch.setenv(one, "7")
    monkeypatch.setenv(other, "7")  # to be restored in the end
    monkeypatch.delenv(other)
    choose_precision(Precision.fp32, CPU)
    assert os.environ[one] == "7"
    assert os.environ[other] == str(KERNELS)
