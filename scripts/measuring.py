"""What benchmarks share: the machine's speed, a batch's work, batches, contenders, results."""

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np
import pyarrow as pa
import torch
from serving import peak_resident

from transformer.config import FilesConfig, ModelConfig, Precision, TokenizerConfig
from transformer.device import AUTOCAST_DTYPES
from transformer.errors import InputError, require
from transformer.text.batching import Batch, make_loader, plan_epoch
from transformer.text.dataset import EncodedSplit, prepare_data
from transformer.text.encoded import IDS, write_ids
from transformer.text.tokenizer import EOS_ID

SCRIPTS = Path(__file__).resolve().parent
# [M, K] x [K, N] as the layers of the models have them.
CPU_SHAPES = [(4096, 256, 1024), (4096, 512, 2048), (4096, 1024, 4096)]
GPU_SHAPES = [(8192, 1024, 4096), (4096, 4096, 4096), (8192, 8192, 8192)]
TIMED_FLOPS = 1e10  # of a timing at least; smaller products are repeated
N_DRAWN = 30_000  # pairs of a drawn corpus
# Mean, standard deviation and correlation of the logarithms of both sides' lengths in pieces:
# Multi30k's training pairs, English to German, in 8,000 joint pieces.
LOG_MEAN, LOG_STD, LOG_CORRELATION = (2.64, 2.66), (0.32, 0.36), 0.83


def matmul_rate(device: torch.device, precision: Precision, *, repeats: int = 5) -> float:
    """FLOP/s of matrix products in `precision`: of the medians of some shapes, the best.

    `choose_precision` must have been called: tf32 is a switch of the whole process.
    """
    dtype = AUTOCAST_DTYPES.get(precision, torch.float32)
    shapes = CPU_SHAPES if device.type == "cpu" else GPU_SHAPES
    return max(_rate(shape, device, dtype, repeats) for shape in shapes)


def _rate(
    shape: tuple[int, int, int], device: torch.device, dtype: torch.dtype, repeats: int
) -> float:
    """The median of `repeats` timings, in FLOP/s."""
    M, K, N = shape
    x, weight = (torch.randn(rows, K, device=device).to(dtype) for rows in (M, N))
    flops = 2 * M * K * N
    n_products = max(1, round(TIMED_FLOPS / flops))
    rates = []
    for _ in range(repeats + 1):
        synchronize(device)
        started = time.perf_counter()
        for _ in range(n_products):
            torch.nn.functional.linear(x, weight)
        synchronize(device)
        rates.append(n_products * flops / (time.perf_counter() - started))
    return median(rates[1:])  # the first one warms up


def synchronize(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def training_flops(
    config: ModelConfig,
    vocab_size: int,
    source_lengths: Sequence[int],
    target_lengths: Sequence[int],
) -> float:
    """FLOPs of the matrix products of forward and backward pass of a batch without padding.

    Lengths are with EOS. Attention's two products count whole, though half of the causal ones is
    masked; the backward pass counts twice the forward pass, though kernels that keep no attention
    weights compute one of its products again.
    """
    D, F, V = config.d_model, config.d_feed_forward, vocab_size
    source = np.asarray(source_lengths, dtype=np.float64)
    target = np.asarray(target_lengths, dtype=np.float64)
    S, T = float(source.sum()), float(target.sum())

    def attention(n_queries: float, n_keys: float, n_pairs: float) -> float:
        return 4 * D * D * (n_queries + n_keys) + 4 * D * n_pairs

    encoder = attention(S, S, float(source @ source)) + 4 * S * D * F
    decoder = attention(T, T, float(target @ target)) + 4 * T * D * F
    decoder += attention(T, S, float(target @ source))
    layers = config.encoder_layers * encoder + config.decoder_layers * decoder
    return 3 * (layers + 2 * T * D * V)


def environment(device: torch.device) -> dict[str, Any]:
    """Where and of what a figure was measured."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _commit() -> str | None:
    """The commit checked out, with -dirty where files differ from it; None outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=10"]
    try:
        found = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Add `row` to the JSON list in the file `path`, which is made where it is missing.

    InputError where it holds something else; a killed process leaves the file as it was.
    """
    rows = read_rows(path)
    rows.append(dict(row))
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error


def read_rows(path: Path) -> list[Any]:
    """The JSON list in the file `path`, empty where there is none; InputError for aught else."""
    mend = "give a file that holds a JSON list, or a new one"
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); {mend}") from error
    require(isinstance(rows, list), f"{path} holds JSON that is no list; {mend}")
    return cast(list[Any], rows)


def peak_memory(device: torch.device) -> int:
    """The most bytes so far: resident ones of this process, or torch's on a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_resident()


def add_corpus_arguments(parser: argparse.ArgumentParser) -> None:
    """Let the command line say where batches come from."""
    parser.add_argument("--train", help="stem of two text files; default: drawn lengths and ids")
    parser.add_argument("--source", default="en", help="ending of the source file")
    parser.add_argument("--target", default="de", help="ending of the target file")
    parser.add_argument("--vocab-size", type=int, default=8000)
    parser.add_argument("--batch-tokens", type=int, default=4096)


def read_batches(arguments: argparse.Namespace, n: int) -> tuple[list[Batch], int]:
    """The first `n` batches in training order, and the size of the vocabulary.

    InputError where an epoch has fewer.
    """
    with tempfile.TemporaryDirectory() as folder:
        split = _open_split(arguments, Path(folder))
        lengths = split.source_lengths, split.target_lengths
        plan = plan_epoch(*lengths, arguments.batch_tokens, seed=1, epoch=0)
        require(
            len(plan) >= n,
            f"an epoch has {len(plan)} batches, but {n} are to be measured; lower the rounds or "
            f"--batch-tokens={arguments.batch_tokens}",
        )
        return list(islice(make_loader(split, plan), n)), arguments.vocab_size


def _open_split(arguments: argparse.Namespace, folder: Path) -> EncodedSplit:
    if arguments.train is None:
        return draw_split(folder, arguments.vocab_size, N_DRAWN)
    languages = {"source": arguments.source, "target": arguments.target}
    data = FilesConfig(**languages, train=arguments.train, valid=arguments.train)
    return prepare_data(data, TokenizerConfig(vocab_size=arguments.vocab_size)).train


def draw_split(folder: Path, vocab_size: int, n_pairs: int) -> EncodedSplit:
    """Pairs of log-normal lengths whose ids are equally likely, written into `folder`."""
    require(vocab_size > EOS_ID + 1, f"--vocab-size={vocab_size} must be above {EOS_ID + 1}")
    generator = np.random.Generator(np.random.PCG64(1))
    variance = np.outer(LOG_STD, LOG_STD) * [[1, LOG_CORRELATION], [LOG_CORRELATION, 1]]
    logs = generator.multivariate_normal(LOG_MEAN, variance, n_pairs)
    lengths = np.exp(logs).round().clip(1, 255).astype(np.int64)  # [n_pairs, 2]
    rows = [[generator.integers(EOS_ID + 1, vocab_size, n) for n in side] for side in lengths.T]
    return write_split(folder, *rows)


def write_split(folder: Path, source: Sequence[Any], target: Sequence[Any]) -> EncodedSplit:
    """Pairs of ids without EOS as the trainer reads them, written into `folder`."""
    file = folder / "train.arrow"
    columns = {"source": list(source), "target": list(target)}
    write_ids(file, [pa.table(columns, schema=IDS.arrow_schema)])
    return EncodedSplit(file)


class LeftOutError(Exception):
    """A contender cannot take part, for the reason that it gives in one line."""


class Contender:
    """A system in a process of its own, which works only when it is told.

    Both sides send one JSON object a line. When the process has warmed up, it says what there is
    to say of its start; `serving.serve` is its side of the conversation.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, variables: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        path = os.pathsep.join([str(SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        changes = {"PYTHONPATH": path, "CONTENDER_STARTED": repr(time.time())}
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | changes | dict(variables or {}),
            text=True,
            encoding="utf-8",
        )
        self.start = self._read()

    def turn(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What the process measured at what `request` asked for."""
        return self._ask(request)

    def close(self) -> dict[str, Any]:
        """Its final words: peak memory, versions. The process ends."""
        words = self._ask({"close": True})
        self._process.communicate()
        return words

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.communicate()

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(dict(request)) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # what it died of shows in `_read`
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.communicate()
            raise InputError(
                f"{self.name} ended with status {self._process.returncode}; what it died of "
                "stands above"
            )
        found = cast(dict[str, Any], json.loads(line))
        if "left_out" in found:
            self._process.communicate()
            raise LeftOutError(f"{self.name} is left out: {found['left_out']}")
        return found
