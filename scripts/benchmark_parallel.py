"""Efficiency of several processes that train one model: measured on a CPU, predicted for GPUs.

Measured: the all-reduce of gloo against size, to which latency and bandwidth are fitted; then, a
point at a time, updates of one process alone, of two that do not communicate (what memory and
caches allow), and of two that sum their gradients; one thread each. Beside them stands what the
model of parallel_model.py says, with the communication hidden and not. Then the model alone speaks,
of GPUs with named interconnects. Into the folder --output go parallel.json and a figure. Needs
matplotlib.

    python scripts/benchmark_parallel.py --output docs/scaling --markdown
    python scripts/benchmark_parallel.py --output docs/scaling --predict-only --markdown

--predict-only leaves parallel.json as it is, and is refused beside an option of the measurements.
"""

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import torch
import torch.distributed as dist
from interconnects import GPU, Rows, draw, predict, prediction_table
from measuring import append_row, environment, output_folder, positive, run
from parallel_model import Cluster, Gradient, Link, UpdateWork, fit_link, ring_s, update_s
from synthetic import Phases, Shape, Training, together

from transformer.config import ParallelConfig, Precision
from transformer.device import set_threads
from transformer.errors import InputError, require
from transformer.training.distributed import joined

CPU = torch.device("cpu")
MEGABYTE = 2**20
# model=small and the base model; few tokens mean much communication for the work.
POINTS = [
    Shape(batch_tokens=512),
    Shape(batch_tokens=2048),
    Shape(d_model=512, layers=6, batch_tokens=128),
    Shape(d_model=512, layers=6, batch_tokens=512),
]
SIZES = [4**i * 1024 for i in range(9)]  # bytes: 1 KiB to 64 MiB
MODES = ("alone", "apart", "together")
MEASURED = {"points": POINTS, "sizes": SIZES, "rounds": 3, "updates": 3, "repeats": 20}


def time_messages(sizes: Sequence[int], repeats: int) -> list[float]:
    """Seconds of an all-reduce of each of `sizes`, in bytes; of one of several processes."""
    set_threads(1)
    found = []
    with joined(ParallelConfig(), "cpu") as processes:
        for size in sizes:
            tensor = torch.zeros(size // 4)
            times = []
            for _ in range(repeats + 1):
                processes.agree(0.0)
                started = time.perf_counter()
                dist.all_reduce(tensor)
                times.append(time.perf_counter() - started)
            found.append(median(times[1:]))
    return found


def visit(mode: str, shape: Shape, bucket_mb: float, n_updates: int) -> list[dict[str, Any]]:
    """What one process measures in each update; where several communicate, the seconds alone."""
    set_threads(1)
    with joined(ParallelConfig(bucket_mb=bucket_mb), "cpu") as processes:
        sums = processes if mode == "together" else None
        training = Training(shape, CPU, Precision.fp32, processes=sums)
        training.update()
        if mode == "together":
            return [{"update_s": training.update()} for _ in range(n_updates)]
        phases = Phases(training)
        processes.agree(0.0)  # begin at one time
        return [phases.update() for _ in range(n_updates)]


def measure_point(shape: Shape, arguments: argparse.Namespace) -> dict[str, Rows]:
    """The updates of all processes and rounds by mode; the modes take turns, in any order."""
    random = Random(1)
    found: dict[str, Rows] = {mode: [] for mode in MODES}
    for _ in range(arguments.rounds):
        for mode in random.sample(MODES, len(MODES)):
            call = mode, shape, arguments.bucket_mb, arguments.updates
            calls = [call] if mode == "alone" else [call, call]
            for updates in together(visit, *calls):
                found[mode] += updates
    return found


def work_of(updates: Rows) -> UpdateWork:
    """The medians of updates of processes that do not communicate."""
    gradients = [update["gradients"] for update in updates]
    parts = {
        part: median(update[part] for update in updates)
        for part in ("forward_s", "backward_s", "optimizer_s")
    }
    order = [n_bytes for _, n_bytes in gradients[0]]
    ready = [median(place) for place in zip(*[[r for r, _ in g] for g in gradients], strict=True)]
    return UpdateWork(**parts, gradients=list(map(Gradient, ready, order)))


def row_of(shape: Shape, found: dict[str, Rows], link: Link, bucket_mb: float) -> dict[str, Any]:
    """Measured and predicted seconds and efficiencies of a point."""
    alone, apart, summed = (median(update["update_s"] for update in found[mode]) for mode in MODES)
    work = work_of(found["apart"])
    cluster = Cluster(inside=link, between=link)
    hidden, exposed = (
        update_s(work, 2, cluster, bucket_bytes=bucket_mb * MEGABYTE, overlap=overlap)
        for overlap in (True, False)
    )
    return {
        "shape": asdict(shape),
        "bucket_mb": bucket_mb,
        "gradient_bytes": sum(gradient.n_bytes for gradient in work.gradients),
        "forward_s": work.forward_s,
        "backward_s": work.backward_s,
        "optimizer_s": work.optimizer_s,
        "alone_s": alone,
        "apart_s": apart,
        "together_s": summed,
        "machine": alone / apart,
        "communication": apart / summed,
        "efficiency": alone / summed,
        "predicted_hidden_s": hidden,
        "predicted_exposed_s": exposed,
        "error_hidden": hidden / summed - 1,
        "error_exposed": exposed / summed - 1,
    }


def measure(arguments: argparse.Namespace) -> tuple[dict[str, Any], Rows]:
    """The all-reduce with the link fitted to it, and a row a point."""
    print("all-reduce", file=sys.stderr)
    calls = [(arguments.sizes, arguments.repeats)] * 2
    seconds = [max(both) for both in zip(*together(time_messages, *calls), strict=True)]
    link = fit_link(arguments.sizes, seconds, 2)
    rows = []
    for shape in arguments.points:
        print(shape, file=sys.stderr)
        found = measure_point(shape, arguments)
        rows.append(row_of(shape, found, link, arguments.bucket_mb))
    return {"sizes": arguments.sizes, "seconds": seconds} | asdict(link), rows


def tables(messages: dict[str, Any], rows: Rows) -> Iterator[str]:
    """Lines of Markdown: the all-reduce, the efficiencies, the check of the model."""
    link = Link(latency_s=messages["latency_s"], bandwidth=messages["bandwidth"])
    yield (
        f"All-reduce of two processes: {1e6 * link.latency_s:,.0f} us a message and "
        f"{link.bandwidth / 1e9:.2f} GB/s fitted."
    )
    yield from ["", "| bytes | measured ms | fitted ms |", "|--:|--:|--:|"]
    for size, seconds in zip(messages["sizes"], messages["seconds"], strict=True):
        yield f"| {size:,} | {1e3 * seconds:.2f} | {1e3 * ring_s(size, 2, link):.2f} |"
    yield ""
    yield "| point | alone ms | apart ms | together ms | machine | communication | efficiency |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for row in rows:
        times = " | ".join(f"{1e3 * row[f'{mode}_s']:,.0f}" for mode in MODES)
        shares = (row[name] for name in ("machine", "communication", "efficiency"))
        yield f"| {name_of(row)} | {times} | {' | '.join(f'{share:.0%}' for share in shares)} |"
    yield from ["", "| point | measured ms | hidden ms | error | exposed ms | error |"]
    yield "|---|--:|--:|--:|--:|--:|"
    for row in rows:
        predicted = " | ".join(
            f"{1e3 * row[f'predicted_{kind}_s']:,.0f} | {row[f'error_{kind}']:+.0%}"
            for kind in ("hidden", "exposed")
        )
        yield f"| {name_of(row)} | {1e3 * row['together_s']:,.0f} | {predicted} |"


def name_of(row: dict[str, Any]) -> str:
    """A point in words."""
    shape = row["shape"]
    return (
        f"D = {shape['d_model']}, {shape['layers']} + {shape['layers']} layers, "
        f"{shape['batch_tokens']:,} tokens, {row['gradient_bytes'] / 1e6:,.0f} MB"
    )


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, required=True, help="folder of rows and figure")
    parser.add_argument("--predict-only", action="store_true", help="measure nothing")
    parser.add_argument("--format", choices=["svg", "png"], default="svg", help="of the figure")
    parser.add_argument("--markdown", action="store_true", help="print tables")
    parser.add_argument("--bucket-mb", type=float, default=ParallelConfig.bucket_mb)
    measured = parser.add_argument_group("measurements")
    measured.add_argument("--points", type=shapes, help='as [{"d_model": 512}]')
    measured.add_argument("--sizes", type=message_sizes, help="as [1024, 4096], in bytes")
    measured.add_argument("--rounds", type=positive)
    measured.add_argument("--updates", type=positive, help="that are timed in a visit")
    measured.add_argument("--repeats", type=positive, help="of an all-reduce")
    gpu = parser.add_argument_group("assumptions about the GPU")
    gpu.add_argument("--matmul-tflops", type=float, default=GPU.matmul_flops / 1e12)
    gpu.add_argument("--base-share", type=float, default=GPU.base_share)
    gpu.add_argument("--big-share", type=float, default=GPU.big_share)
    gpu.add_argument("--link-share", type=float, default=GPU.link_share)
    arguments = parser.parse_args()
    if importlib.util.find_spec("matplotlib") is None:
        parser.error("matplotlib is missing; pip install -c constraints.txt -e '.[bench]'")
    for name, default in MEASURED.items():
        given = getattr(arguments, name) is not None
        require(
            not (given and arguments.predict_only),
            f"--{name} is for what --predict-only leaves out; give one of the two",
        )
        if not given:
            setattr(arguments, name, default)
    return arguments


def shapes(text: str) -> list[Shape]:
    """The points that a JSON list of objects gives; InputError where it gives none."""
    mend = 'give a JSON list of objects as [{"d_model": 512}]'
    try:
        found = [Shape(**fields) for fields in json.loads(text)]
    except (TypeError, ValueError, InputError) as error:
        raise InputError(f"--points={text}: {error}; {mend}") from error
    require(bool(found), f"--points={text} has no point; {mend}")
    return found


def message_sizes(text: str) -> list[int]:
    """The bytes that a JSON list gives, of whole numbers in fp32; two at least, for the fit."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    numbers = found if isinstance(found, list) else []
    fits = all(type(n) is int and n > 0 and n % 4 == 0 for n in numbers)
    require(
        fits and len(set(numbers)) > 1,
        f"--sizes={text} is no JSON list of two or more different multiples of 4",
    )
    return numbers


def gpu_of(arguments: argparse.Namespace) -> GPU:
    """The assumptions of the command line."""
    return GPU(
        1e12 * arguments.matmul_tflops,
        arguments.base_share,
        arguments.big_share,
        arguments.link_share,
    )


def main() -> None:
    """Measure, predict, write."""
    arguments = parse()
    ParallelConfig(bucket_mb=arguments.bucket_mb)  # refuses what is no size
    predicted = predict(gpu_of(arguments), arguments.bucket_mb * MEGABYTE)
    output_folder(arguments.output)  # whether it takes files shows before the work
    result = {**environment(CPU), "predicted": predicted}
    lines = []
    if not arguments.predict_only:
        messages, rows = measure(arguments)
        result |= {"all_reduce": messages, "points": rows}
        lines = [*tables(messages, rows), ""]
    if not arguments.predict_only:
        file = arguments.output / "parallel.json"
        file.unlink(missing_ok=True)
        append_row(file, result)
    draw(predicted, arguments.output / f"parallel.{arguments.format}")
    if arguments.markdown:
        print("\n".join([*lines, *prediction_table(predicted)]))


if __name__ == "__main__":
    run(main)
