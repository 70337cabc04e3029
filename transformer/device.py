"""Where and in which arithmetic a model runs."""

import ctypes
import logging
import os
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from threading import Lock

import torch

from transformer.config import Precision
from transformer.errors import InputError, require

logger = logging.getLogger(__name__)

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h
TRYING = Lock()  # the permission to round is of all threads
# What oneDNN, and torch's layer above it, read how many kernels to keep from.
KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
KERNELS = 64  # a step of a search needs ten of them
EXACT = 1e-5  # of sums of 256 products: fp32 stays below it, bf16 errs by 1e-2
AUTOCAST_DTYPES = {Precision.bf16: torch.bfloat16, Precision.fp16: torch.float16}


def choose_device(name: str) -> torch.device:
    """The device of `name`; `auto` is the GPU where there is one, else the CPU.

    A GPU named with a number becomes torch's current one.

    InputError where it is not a device of this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device={name} is no device; use auto, cpu, cuda or cuda:N") from error
    require(device.type in ("cpu", "cuda"), f"device={name} is not supported; use cpu or cuda")
    n_devices = torch.cuda.device_count()
    require(
        device.type == "cpu" or n_devices > 0,
        f"device={name}, but torch {torch.__version__} finds no GPU here; use device=cpu",
    )
    require(
        device.type == "cpu" or (device.index or 0) < n_devices,
        f"device={name}, but there are only {n_devices} GPUs, counted from 0",
    )
    if device.index is not None and device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def choose_precision(precision: Precision, device: torch.device) -> Precision:
    """`precision`, with `auto` decided for `device`; sets how its matrix products are made."""
    if device.type == "cpu":
        limit_kernels()
    if precision is Precision.auto:
        precision = Precision.bf16 if device.type == "cuda" and has_bf16() else Precision.fp32
    require(
        precision is not Precision.tf32 or device.type == "cuda",
        "precision=tf32 is an arithmetic of GPUs; on the CPU use precision=fp32",
    )
    if precision in AUTOCAST_DTYPES and device.type == "cpu":
        logger.warning("precision=%s is very slow on most CPUs; fp32 is not", precision.name)
    torch.set_float32_matmul_precision(_permission(precision, device))
    return precision


def _permission(precision: Precision, device: torch.device) -> str:
    """How much torch may round the inputs of fp32 products, by its own names.

    On AMD's processors torch's default library leaves half of the speed unused. The permission to
    round to bf16 makes torch take another one, which has no such kernels there and rounds nothing.
    A GPU would round: where there is one, nothing is permitted for the CPU's sake.
    """
    if precision is Precision.tf32:
        return "high"
    is_alone = device.type == "cpu" and not torch.cuda.is_available()
    return "medium" if is_alone and is_amd() and is_exact("medium") else "highest"


def is_amd() -> bool:
    """Whether the processor is one of AMD's, as Linux tells."""
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False


@cache
def is_exact(permission: str) -> bool:
    """Whether fp32 products on the CPU keep all their bits although torch may round their inputs.

    Tried on the shapes of short and of long batches, with gradients' transposed factors.
    """
    shapes = [(rows, columns) for rows in (1, 5, 64, 1024) for columns in (256, 1000)]
    with TRYING:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision(permission)
        try:
            return all(_error(rows, columns) < EXACT for rows, columns in shapes)
        finally:
            torch.set_float32_matmul_precision(before)


def _error(rows: int, columns: int) -> float:
    """The `relative_error` of a product and of its transpose."""
    generator = torch.Generator().manual_seed(1)
    x, weight = (
        torch.randn(n, 256, generator=generator, dtype=torch.float32, device="cpu")
        for n in (rows, columns)
    )
    exact = x.double() @ weight.double().T
    return relative_error(torch.stack([x @ weight.T, (weight @ x.T).T]), exact)


def relative_error(found: torch.Tensor, exact: torch.Tensor) -> float:
    """The largest error, relative to the root of the mean square of what is `exact`."""
    return float((found - exact).abs().max() / exact.square().mean().sqrt())


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The context in which a forward pass runs; `precision` is not `auto`."""
    dtype = AUTOCAST_DTYPES.get(precision)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


def keep_freed_memory() -> None:
    """Let the C library keep the memory of freed tensors for the next ones.

    Otherwise it gives large ones back, and the system zeroes each of their pages again at the next
    use. It is of the whole process and for good: what was once in use stays with the process. Does
    nothing where the library is not glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(M_MMAP_MAX, 0)  # nothing in a mapping of its own, which ends with the tensor
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)  # bytes at the end that stay


def limit_kernels() -> None:
    """Let the CPU's library keep few kernels, if the environment says nothing of it.

    It makes one for each shape and keeps 1,024, each with working memory of up to megabytes. Has
    an effect before the first product of a process.
    """
    for name in KERNEL_CACHES:
        os.environ.setdefault(name, str(KERNELS))


def require_compiler(device: torch.device) -> None:
    """Raise InputError unless torch.compile works for `device`."""
    try:
        torch.compile(torch.relu)(torch.zeros(8, device=device))
    except (torch._dynamo.exc.TorchDynamoException, RuntimeError) as error:
        reason = next(
            (line for line in str(error).splitlines() if line.strip()), type(error).__name__
        )
        raise InputError(
            f"training.compile=true: torch.compile does not work here ({reason[:120]}); it needs "
            "g++, on a GPU Triton too; or set it to false"
        ) from error


def count_compiled() -> int:
    """How many graphs torch.compile has made kernels for in this process."""
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def set_threads(threads: int | None) -> None:
    """Let torch use that many threads of the CPU; None leaves its own choice."""
    if threads is not None:
        torch.set_num_threads(threads)


def lower_precision(precision: Precision, device: torch.device) -> Precision | None:
    """The next arithmetic to try where `precision` gives no finite numbers; None after fp32."""
    if precision is Precision.fp16 and device.type == "cuda" and has_bf16():
        return Precision.bf16
    return None if precision is Precision.fp32 else Precision.fp32


def has_bf16() -> bool:
    """Whether the GPU computes in bf16 itself."""
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def set_deterministic(wanted: bool) -> None:
    """Let a GPU give the same bits for the same input each time; the CPU does so in any case."""
    if wanted:
        # Read when cuBLAS begins; without it, its sums have no fixed order.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(wanted)
