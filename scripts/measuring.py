"""What scripts share: command lines, the machine's speed, a batch's work, batches, results."""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np
import torch
from serving import peak_resident

from transformer.config import CleaningConfig, FilesConfig, ModelConfig, Precision, TokenizerConfig
from transformer.device import AUTOCAST_DTYPES
from transformer.errors import InputError, require
from transformer.text.batching import Batch, make_loader, plan_epoch
from transformer.text.cleaning import CleaningReport
from transformer.text.dataset import EncodedSplit, PreparedData, prepare_data
from transformer.text.mixing import Part
from transformer.text.preparing.leaks import NO_LEAKS
from transformer.text.preparing.store import WIDEST, SplitWriter
from transformer.text.ragged import Lists
from transformer.text.tokenizer import EOS_ID, Tokenizer, Tokenizers

SCRIPTS = Path(__file__).resolve().parent
# [M, K] x [K, N] as the layers of the models have them.
CPU_SHAPES = [(4096, 256, 1024), (4096, 512, 2048), (4096, 1024, 4096)]
GPU_SHAPES = [(8192, 1024, 4096), (4096, 4096, 4096), (8192, 8192, 8192)]
TIMED_FLOPS = 1e10  # of a timing at least; smaller products are repeated
GPU_WARM_UP_S, GPU_TIMED_S = 0.5, 0.2  # of products before the timings, and of a timing, at least
N_DRAWN = 30_000  # pairs of a drawn corpus
# Mean, standard deviation and correlation of the logarithms of both sides' lengths in pieces:
# Multi30k's training pairs, English to German, in 8,000 joint pieces.
LOG_MEAN, LOG_STD, LOG_CORRELATION = (2.64, 2.66), (0.32, 0.36), 0.83


def run(main: Callable[[], None]) -> None:
    """Run a script; what its user can mend becomes one line and status 1."""
    try:
        main()
    except InputError as error:
        sys.exit(str(error))


def positive(text: str) -> int:
    """The whole number `text`, at least 1; the type of a command line's counts."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number of at least 1")
    return number


def output_folder(path: Path) -> Path:
    """The folder `path`, made where it is missing; InputError where it cannot be one."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{path} cannot be a folder: {error.strerror}; name one that can be written"
        ) from error
    return path


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
    """The median of `repeats` timings, in FLOP/s, after a warm-up."""
    M, K, N = shape
    x, weight = (torch.randn(rows, K, device=device).to(dtype) for rows in (M, N))
    flops = 2 * M * K * N

    def timed(n: int) -> float:
        synchronize(device)
        started = time.perf_counter()
        for _ in range(n):
            torch.nn.functional.linear(x, weight)
        synchronize(device)
        return time.perf_counter() - started

    n_products = max(1, round(TIMED_FLOPS / flops))
    timed(n_products)
    if device.type == "cuda":
        n_products = products_of_timing(n_products, timed(n_products), GPU_WARM_UP_S)
        n_products = products_of_timing(n_products, timed(n_products), GPU_TIMED_S)
    return median(n_products * flops / timed(n_products) for _ in range(repeats))


def products_of_timing(n: int, seconds: float, least_s: float) -> int:
    """How many products take `least_s` seconds where `n` took `seconds`; at least one."""
    return max(1, math.ceil(n * least_s / max(seconds, 1e-9)))


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
    parser.add_argument("--vocab-size", type=positive, default=8000)
    parser.add_argument("--batch-tokens", type=positive, default=4096)


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
    tokenizer = TokenizerConfig(vocab_size=arguments.vocab_size)
    return prepare_data(data, tokenizer, CleaningConfig()).train


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
    with SplitWriter(folder / "train", WIDEST, aligned=False) as writer:
        writer.append({"source": Lists.of(source), "target": Lists.of(target)})
    return EncodedSplit(folder / "train")


def data_of(folder: Path, split: EncodedSplit, vocab_size: int) -> PreparedData:
    """What training takes, of `split` alone."""
    pieces = cast(Tokenizer, PieceCount(vocab_size))
    parts = [Part("drawn", 0, len(split))]
    tokenizers, report = Tokenizers(pieces, pieces), CleaningReport()
    return PreparedData(folder, "drawn", tokenizers, split, parts, [], report, dict(NO_LEAKS))


class PieceCount:
    """A tokenizer of which nothing but its size is asked."""

    model = b""

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size
