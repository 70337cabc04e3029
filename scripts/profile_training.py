"""Where the time of training goes: a table by kind of work, and a trace.

Updates run as a training run makes them, after a warm-up: first without the profiler, for their
true time, then as many with it. On the CPU, times are those that operators spend in themselves,
and what is left of the updates' time is Python; attention that is made of matrix products and
softmax counts as those. On a GPU, times are those of kernels, by the operator that launched them,
and what is left is the time in which none ran. The profiler itself takes time, on the CPU that of
Python above all: compare the two totals that are printed.

The trace (trace.json.gz) is for chrome://tracing or ui.perfetto.dev; table.json holds the figures.

    python scripts/profile_training.py --model small --output DIR
    python scripts/profile_training.py --train DIR/train --set training.compile=true --output DIR
"""

import argparse
import json
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import (
    N_DRAWN,
    add_corpus_arguments,
    data_of,
    draw_split,
    environment,
    output_folder,
    positive,
    run,
    synchronize,
)
from torch.profiler import ProfilerActivity, profile, record_function

from transformer.cli.compose import Composer
from transformer.config import Precision, TrainSettings
from transformer.device import choose_device, choose_precision, set_threads
from transformer.errors import require
from transformer.signals import Signals
from transformer.text.dataset import PreparedData, prepare_data
from transformer.training.distributed import Processes
from transformer.training.run import RunFolder
from transformer.training.start import Place, build_state
from transformer.training.stream import UpdateBatches, UpdateStream
from transformer.training.update import Updater

LOADING = "data loading"
OTHER = "other"
# The first pattern that is found in an operator's name says its kind.
KINDS = {
    LOADING: f"^{LOADING}$",
    "optimizer, clipping": r"^Optimizer\.|_fused_adam|_foreach_|linalg_vector_norm|^aten::norm",
    "attention": "scaled_dot_product|flash_attention|efficient_attention|varlen",
    "matrix products": r"::(mm|addmm|bmm|baddbmm|addmv|linear|matmul|_scaled_mm)_?\b|mkldnn_linear",
    "softmax, loss": "softmax|logsumexp|nll_loss|cross_entropy|FusedLoss",
    "dropout, random": "[Dd]ropout|bernoulli|rand|uniform|normal_|exponential|cauchy",
    "normalisation": "layer_norm|rms_norm",
    "compiled": "triton_|[Cc]ompiled|cpp_fused|inductor|^## ",
    "communication": "c10d|nccl|gloo|all_reduce|all_gather|reduce_scatter",
    "copies, memory": (
        "::(copy_|_?to|_to_copy|clone|contiguous|cat|stack|empty|resize|fill_|zero|full|ones|new_"
        "|index|gather|scatter|take|embedding|select_backward|slice_backward|set_|pin_memory|pad"
        "|_?local_scalar_dense|item|nonzero|constant_pad|repeat|record_stream|lift)"
        "|[Mm]emcpy|[Mm]emset"
    ),
    "views": (
        "^detach|::(detach|view|_?reshape(_alias)?|transpose|permute|unsqueeze|squeeze|expand|slice|select|split|chunk"
        "|narrow|t|numpy_T|flatten|unflatten|unbind|alias|as_strided|_unsafe_view|is_\\w+"
        "|unsafe_split|_has_\\w+|result_type|lift_fresh|resolve_\\w+|diagonal|movedim|size)\\b"
    ),
    "elementwise, sums": (
        "::(add|sub|rsub|mul|div|neg|exp|log|sqrt|rsqrt|square|pow|relu|threshold|where|masked_fill"
        "|sum|mean|amax|max|min|any|all|eq|ne|lt|le|gt|ge|abs|clamp|isfinite|isnan|isinf|tril|triu"
        "|bitwise_\\w+|logical_\\w+|clamp_\\w+|reciprocal|sign|lerp|addcmul|addcdiv|arange|cumsum|sort|argsort|unique"
        "|floor|remainder|gelu|silu|sigmoid|tanh|cos|sin|dot|bincount|searchsorted|count_nonzero"
        "|__\\w+__)_?(_backward)?\\b"
    ),
    "autograd": "^autograd::|Backward|AccumulateGrad|torch::autograd|^cuda|^cu[A-Z]",
}
PATTERNS = {kind: re.compile(pattern) for kind, pattern in KINDS.items()}
# What runs inside these is of their kind, whatever it is called.
RANGES = (LOADING, "optimizer, clipping")


def kind_of(names: Sequence[str]) -> str:
    """The kind of an operator by its name, which comes first, and those it runs in."""
    for name in names:
        for kind in RANGES:
            if PATTERNS[kind].search(name) and "::" not in name:
                return kind
    for kind, pattern in PATTERNS.items():
        if pattern.search(names[0]):
            return kind
    return OTHER


@dataclass
class Shares:
    """Microseconds by kind and by operator, of all updates."""

    kinds: defaultdict[str, float]
    operators: defaultdict[tuple[str, str], float]  # by kind and name

    def top(self, n: int) -> list[tuple[str, str, float]]:
        """The `n` operators that take longest: name, kind, microseconds."""
        found = [(name, kind, us) for (kind, name), us in self.operators.items()]
        return sorted(found, key=lambda entry: -entry[2])[:n]


def add_up(events: Iterable[Any], *, on_gpu: bool) -> Shares:
    """The time of each kind in the `events` of a profile: of operators or, on a GPU, of kernels."""
    shares = Shares(defaultdict(float), defaultdict(float))
    for event in events:
        if event.device_type.name != "CPU":
            continue
        us = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        if us > 0:
            kind = kind_of([event.name, *ancestors(event)])
            shares.kinds[kind] += us
            shares.operators[kind, event.name] += us
    return shares


def ancestors(event: Any) -> Iterator[str]:
    """The names of what `event` runs in, from the inside out."""
    while (event := event.cpu_parent) is not None:
        yield event.name


def busy_us(events: Iterable[Any]) -> float:
    """Microseconds in which at least one kernel or copy ran on the GPU."""
    spans = sorted(
        (event.time_range.start, event.time_range.end) for event in events if is_kernel(event)
    )
    total, end = 0.0, float("-inf")
    for start, stop in spans:
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


def is_kernel(event: Any) -> bool:
    """Whether `event` is work of a GPU, and not a mark of the time that an operator's work took."""
    return event.device_type.name == "CUDA" and not event.is_user_annotation


class Run:
    """Updates of a training run, with nothing beside them."""

    def __init__(self, settings: TrainSettings, data: PreparedData, place: Place) -> None:
        self.device = place.device
        state = build_state(settings, RunFolder(settings), data, place, begins=True)
        self.updater: Updater = state.updater
        stream = UpdateStream(
            data,
            settings,
            settings.data.batch_tokens,
            on_gpu=place.device.type == "cuda",
            processes=place.processes,
        )
        self.updates: Generator[UpdateBatches] = stream.updates(state.position)
        self.n_target_tokens = 0

    def advance(self, n: int) -> float:
        """Seconds that `n` updates take, the making of their batches included."""
        synchronize(self.device)
        started = time.perf_counter()
        for _ in range(n):
            with record_function(LOADING):
                update = next(self.updates)
            self.n_target_tokens += update.n_target_tokens
            self.updater.update(update)
        synchronize(self.device)
        return time.perf_counter() - started


def profiled(updates: Run, n: int, trace: Path) -> tuple[float, list[Any]]:
    """Seconds that `n` updates take under the profiler, and its events; writes the trace."""
    activities = [ProfilerActivity.CPU]
    if updates.device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities, acc_events=True) as profiler:
        seconds = updates.advance(n)
    profiler.export_chrome_trace(str(trace))
    return seconds, list(profiler.events() or [])


def make_table(events: Sequence[Any], seconds: float, n: int, *, on_gpu: bool) -> dict[str, Any]:
    """Milliseconds an update by kind, which add up to `seconds` over `n` updates; the operators."""
    shares = add_up(events, on_gpu=on_gpu)
    busy = busy_us(events) if on_gpu else sum(shares.kinds.values())
    kinds = {kind: shares.kinds.get(kind, 0.0) for kind in (*KINDS, OTHER)}
    # Kernels without an operator count as other; where streams overlap, less than all is busy.
    kinds[OTHER] += max(0.0, busy - sum(kinds.values()))
    rest = "no kernel runs" if on_gpu else "Python"
    kinds[rest] = seconds * 1e6 - busy

    def per_update(us: float) -> float:
        return round(us / 1e3 / n, 3)

    return {
        "ms": {kind: per_update(us) for kind, us in kinds.items()},
        "percent": {kind: round(us / seconds / 1e4, 1) for kind, us in kinds.items()},
        "operators": [(name, kind, per_update(us)) for name, kind, us in shares.top(100)],
    }


def main() -> None:
    """Profile, print the table, and write it with the trace into --output."""
    arguments = parse()
    set_threads(arguments.threads)
    output = output_folder(Path(arguments.output))
    n = arguments.updates
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_of(arguments, folder)
        device = choose_device(settings.device)
        precision = choose_precision(settings.precision, device)
        data = read_data(arguments, settings, Path(folder))
        updates = Run(settings, data, Place(device, precision, Processes(), Signals()))
        with closing(updates.updates):
            updates.advance(arguments.warmup)
            updates.n_target_tokens = 0
            plain_s = updates.advance(n)
            n_tokens = updates.n_target_tokens
            profiled_s, events = profiled(updates, n, output / "trace.json.gz")
    table = make_table(events, profiled_s, n, on_gpu=device.type == "cuda")
    result = {
        "model": arguments.model,
        "settings": arguments.set,
        "precision": precision.name,
        "updates": n,
        "target_tokens_per_s": round(n_tokens / plain_s, 1),
        "update_ms": round(plain_s / n * 1e3, 3),
        "profiled_update_ms": round(profiled_s / n * 1e3, 3),
        **table,
        "environment": environment(device),
    }
    text = json.dumps(result, indent=1)
    (output / "table.json").write_text(text + "\n", encoding="utf-8")
    show(result, arguments.top)


def show(result: dict[str, Any], n_operators: int) -> None:
    """Print the tables."""
    print(f"{'kind':<34}{'ms an update':>14}{'%':>8}")
    for kind, ms in result["ms"].items():
        print(f"{kind:<34}{ms:>14.3f}{result['percent'][kind]:>8.1f}")
    print(f"{'total, with the profiler':<34}{result['profiled_update_ms']:>14.3f}{100:>8.1f}")
    print(f"{'total, without it':<34}{result['update_ms']:>14.3f}")
    print(f"{'real target tokens/s, without it':<34}{result['target_tokens_per_s']:>14.1f}\n")
    print(f"{'operator':<50}{'kind':<22}{'ms an update':>14}")
    for name, kind, ms in result["operators"][:n_operators]:
        print(f"{name[:48]:<50}{kind:<22}{ms:>14.3f}")
    print(json.dumps(result["environment"]))


def settings_of(arguments: argparse.Namespace, folder: str) -> TrainSettings:
    """The settings of the run, which lies in `folder`."""
    overrides = ["data=phrasebook"]
    if arguments.train:
        names = {"source": arguments.source, "target": arguments.target}
        stems = {"train": arguments.train, "valid": arguments.train}
        overrides = ["data=files", *(f"data.{k}={v}" for k, v in (names | stems).items())]
    overrides += [
        *(f"model={arguments.model}", f"run_dir={folder}/run", f"device={arguments.device}"),
        *(f"precision={arguments.precision}", f"data.batch_tokens={arguments.batch_tokens}"),
        f"tokenizer.vocab_size={arguments.vocab_size}",
        *arguments.set,
    ]
    settings: TrainSettings = Composer("train", TrainSettings).settings(overrides)
    require(
        isinstance(settings.data.batch_tokens, int),
        f"data.batch_tokens={settings.data.batch_tokens} is not for a profile; give a number",
    )
    return settings


def read_data(arguments: argparse.Namespace, settings: TrainSettings, folder: Path) -> PreparedData:
    """The corpus of --train, or one of drawn lengths and ids, written into `folder`."""
    if arguments.train:
        return prepare_data(settings.data, settings.tokenizer, settings.cleaning)
    split = draw_split(folder, arguments.vocab_size, N_DRAWN)
    return data_of(folder, split, arguments.vocab_size)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_corpus_arguments(parser)
    parser.add_argument("--model", default="small", choices=["tiny", "small", "base", "big"])
    parser.add_argument("--updates", type=positive, default=10)
    parser.add_argument("--warmup", type=positive, default=5, help="updates before those measured")
    parser.add_argument("--top", type=positive, default=20, help="operators to print")
    parser.add_argument("--set", action="append", default=[], metavar="OVERRIDE")
    parser.add_argument("--output", required=True, metavar="DIR", help="for trace and table")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32", choices=[p.name for p in Precision])
    parser.add_argument("--threads", type=positive, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
