"""Cost of an update against width, depth, sentence length, vocabulary and batch size.

One of them is varied at a time around a base point: model=small on a CPU, model=base on a GPU.
The batches hold drawn sentences of one exact length, so there is no padding. Each round visits all
points in an order of its own, each in a process of its own, and measures the rate of the machine's
matrix products among them; figures are medians over the rounds. Into the folder --output go
scaling.json and figures (.svg): time of an update beside what the FLOP formula predicts at the rate
of the base point, share of the machine's matrix-product rate, and peak memory. Needs matplotlib.

    python scripts/benchmark_scaling.py --output docs/scaling --markdown
    python scripts/benchmark_scaling.py --output docs/scaling --plot-only docs/scaling/scaling.json
"""

import argparse
import importlib.util
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import torch
from measuring import (
    append_row,
    environment,
    matmul_rate,
    output_folder,
    peak_memory,
    positive,
    read_rows,
    run,
)
from scaling_figures import AXES, FIGURES, Rows, draw, markdown
from synthetic import Shape, Training, together

from transformer.config import Precision
from transformer.device import choose_device, choose_precision, set_threads
from transformer.errors import InputError, require

BASES = {
    "cpu": Shape(),
    "cuda": Shape(d_model=512, layers=6, vocab_size=32_000, batch_tokens=24_576),
}
SWEEPS = {
    "cpu": {
        "d_model": [64, 128, 256, 384, 512],
        "layers": [1, 2, 3, 4, 6],
        "length": [8, 16, 32, 64, 128],
        "vocab_size": [1000, 4000, 8000, 16_000, 32_000],
        "batch_tokens": [256, 512, 1024, 2048, 4096],
    },
    "cuda": {
        "d_model": [256, 512, 768, 1024, 1536],
        "layers": [2, 4, 6, 8, 12],
        "length": [16, 32, 64, 128, 256],
        "vocab_size": [4000, 8000, 16_000, 32_000, 64_000],
        "batch_tokens": [3072, 6144, 12_288, 24_576, 49_152],
    },
}
WARM_UP = {"cpu": 1, "cuda": 5}  # updates


def points(base: Shape, sweeps: dict[str, list[int]]) -> list[Shape]:
    """The base point, then all others, each once."""
    shapes = [base]
    for name, values in sweeps.items():
        shapes += [replace(base, **{name: value}) for value in values]
    return list(dict.fromkeys(shapes))


def visit(
    shape: Shape | None, device_name: str, precision_name: str, threads: int, n_updates: int
) -> dict[str, Any]:
    """Seconds of an update and peak memory at a point; without one, the matrix-product rate."""
    set_threads(threads)
    device = choose_device(device_name)
    precision = choose_precision(Precision[precision_name], device)
    if shape is None:
        return {"rate": matmul_rate(device, precision, repeats=n_updates)}
    training = Training(shape, device, precision)
    for _ in range(WARM_UP[device.type]):
        training.update()
    update_s = median(training.update() for _ in range(n_updates))
    return {"update_s": update_s, "peak_bytes": peak_memory(device)}


def measure(arguments: argparse.Namespace) -> Rows:
    """A row a point; the base point first."""
    device = choose_device(arguments.device)
    set_threads(arguments.threads)
    visits: list[Shape | None] = [None, *points(*settings_of(arguments, device))]
    place = arguments.device, arguments.precision, torch.get_num_threads(), arguments.updates
    random = Random(1)
    found: dict[Shape | None, Rows] = {shape: [] for shape in visits}
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
        for shape in random.sample(visits, len(visits)):
            found[shape] += together(visit, (shape, *place))
    rate = median(result["rate"] for result in found.pop(None))
    precision = choose_precision(Precision[arguments.precision], device)
    where = environment(device) | {"precision": precision.name}
    return [
        row_of(shape, results, rate) | where
        for shape, results in found.items()
        if shape is not None
    ]


def row_of(shape: Shape, results: Rows, rate: float) -> dict[str, Any]:
    """What the rounds' `results` at a point amount to; `rate` is in FLOP/s."""
    seconds = [result["update_s"] for result in results]
    update_s = median(seconds)
    return {
        "shape": asdict(shape),
        "flops": shape.flops(),
        "update_s": update_s,
        "rounds_s": seconds,
        "target_tokens_per_s": shape.n_tokens / update_s,
        "matmul_flops_per_s": rate,
        "share": shape.flops() / update_s / rate,
        "peak_bytes": max(result["peak_bytes"] for result in results),
    }


def settings_of(
    arguments: argparse.Namespace, device: torch.device
) -> tuple[Shape, dict[str, list[int]]]:
    """The base point and the values of each axis; InputError where an option misnames one."""
    base = replace(BASES[device.type], **axes_of("--base", arguments.base or "{}"))
    if arguments.sweeps is None:
        return base, SWEEPS[device.type]
    sweeps = axes_of("--sweeps", arguments.sweeps)
    for name, values in sweeps.items():
        require(
            isinstance(values, list),
            f"--sweeps: {name}={values!r} is no list of values; give one as [8, 16]",
        )
    return base, sweeps


def axes_of(option: str, text: str) -> dict[str, Any]:
    """The JSON object that an option gives, whose keys are axes."""
    known = ", ".join(AXES)
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"{option}={text} is not JSON ({error}); known are {known}") from error
    require(isinstance(found, dict), f"{option}={text} is no JSON object with {known}")
    unknown = ", ".join(name for name in found if name not in AXES)
    require(not unknown, f"{option}: {unknown} unknown; known are {known}")
    return dict(found)


def rows_in(file: Path) -> Rows:
    """What an earlier run wrote; InputError where a file holds none of it."""
    rows = read_rows(file)
    require(bool(rows), f"--plot-only={file} is missing or has no rows")
    require(
        all(isinstance(row, dict) and {"shape", "rounds_s", "share"} <= row.keys() for row in rows),
        f"--plot-only={file} holds other rows; give a scaling.json of this script",
    )
    return rows


def write(rows: Rows, arguments: argparse.Namespace) -> None:
    """The figures and, of what was measured, the rows."""
    if arguments.plot_only is None:
        file = arguments.output / "scaling.json"
        file.unlink(missing_ok=True)
        for row in rows:
            append_row(file, row)
    for panels in FIGURES:
        draw(rows, panels, arguments.output / f"scaling-{panels.name}.{arguments.format}")
    if arguments.markdown:
        print(markdown(rows))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, required=True, help="folder of rows and figures")
    parser.add_argument("--plot-only", type=Path, metavar="FILE", help="draw these rows")
    parser.add_argument("--format", choices=["svg", "png"], default="svg", help="of the figures")
    parser.add_argument("--markdown", action="store_true", help="print a table")
    parser.add_argument("--base", metavar="JSON", help='as {"d_model": 512}')
    parser.add_argument("--sweeps", metavar="JSON", help='as {"length": [8, 16]}')
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("--updates", type=positive, default=2, help="that are timed in a visit")
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=[p.name for p in Precision])
    arguments = parser.parse_args()
    if importlib.util.find_spec("matplotlib") is None:
        parser.error("matplotlib is missing; pip install -c constraints.txt -e '.[bench]'")
    return arguments


def main() -> None:
    """Measure or read, and write."""
    arguments = parse()
    if arguments.plot_only is None:
        output_folder(arguments.output)  # whether it takes files shows before the work
        rows = measure(arguments)
    else:
        rows = rows_in(arguments.plot_only)
        output_folder(arguments.output)
    write(rows, arguments)


if __name__ == "__main__":
    run(main)
