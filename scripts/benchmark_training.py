"""Training speed beside other systems: the same shape, batches, precision and threads.

Each contender is a process of its own. They take turns on the same batches, so that a machine
whose speed drifts favours none. Speed is in real tokens a second (EOS counted, padding not); the
ratio is the median over the rounds of a contender's speed over the project's on the same batches.

    python scripts/benchmark_training.py                      # drawn lengths and ids
    python scripts/benchmark_training.py --train DIR/train --source en --target de
    python scripts/benchmark_training.py --variant compiled:training.compile=true
    python scripts/benchmark_training.py --baselines marian --python marian=ENV/bin/python

On the CPU the project lets the C library keep freed memory, which other systems leave to their
users. With --tuned all contenders run with
the variables of the environment that do so, and with the products that the project takes.
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, cast

from contenders import Contender, LeftOutError, chosen, pythons_of, rotated, tuning
from measuring import (
    add_corpus_arguments,
    append_row,
    environment,
    matmul_rate,
    positive,
    read_batches,
    read_rows,
    run,
    training_flops,
)

from transformer.cli.compose import Composer
from transformer.config import ModelConfig, Precision, TrainSettings, to_mapping
from transformer.device import choose_device, choose_precision, set_threads
from transformer.errors import require
from transformer.text.batching import Batch
from transformer.text.tokenizer import PAD_ID

PROJECT = "transformer-mt"
BASELINES = {"plain": "torch.nn.Transformer", "marian": "MarianMT", "joey": "JoeyNMT"}
# What every system does alike; `baselines.loop` has the same numbers.
ALIKE = [
    *("model.dropout=0.1", "model.embedding_dropout=0.1", "training.label_smoothing=0.1"),
    *("optim.kind=adam", "optim.lr=1e-4", "optim.schedule=constant", "optim.warmup=0"),
]
# What of a run's settings is read here; a variant has the model of all.
VARIED = r"(optim\..+|training\.(compile|packing|gradient_checkpointing)|deterministic)"

Ids = list[tuple[list[list[int]], list[list[int]]]]  # of each batch: sources and targets


@dataclass
class Measured:
    """A contender, and what it was found to do."""

    contender: Contender
    model: ModelConfig
    seconds: list[float] = field(default_factory=list)  # of each round
    padded: int = 0  # tokens of all rounds, padding included
    words: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Round:
    """The batches of a turn: their numbers, and the lengths of their sentences."""

    numbers: list[int]
    source_lengths: list[int]
    target_lengths: list[int]


def main() -> None:
    """Measure, and print a table and one JSON line."""
    arguments = parse()
    row = measure(arguments)
    if arguments.json:
        append_row(arguments.json, row)
    print(table(row))
    print(json.dumps(row))


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """What is to be known of this run."""
    if arguments.json:
        read_rows(arguments.json)  # what is wrong with it shows before hours of measuring
    device = choose_device(arguments.device)
    precision = choose_precision(Precision[arguments.precision], device)
    set_threads(arguments.threads)
    require_read("--set", arguments.set, rf"{VARIED}|model\..+")
    n_batches = arguments.warmup + arguments.rounds * arguments.updates
    batches, vocab_size = read_batches(arguments, n_batches)
    ids = [ids_of(batch) for batch in batches]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        overrides = [
            *(f"model={arguments.model}", f"device={device}", f"precision={precision.name}"),
            *(f"threads={arguments.threads}", f"run_dir={folder / 'run'}", *ALIKE),
            *arguments.set,
        ]
        variants = variants_of(overrides, arguments.variant)
        base = settings_of(overrides).model
        task = {
            "model": to_mapping(base),
            "vocab_size": vocab_size,
            "device": str(device),
            "precision": precision.name,
            "threads": arguments.threads,
            "warmup": arguments.warmup,
            "batches": ids,
        }
        file = folder / "task.json"
        file.write_text(json.dumps(task), encoding="utf-8")
        variables = tuning() if arguments.tuned else {}
        measured = [
            start(stack, name, ["project", str(file), *own], base, variables=variables)
            for name, own in variants
        ]
        measured += start_baselines(stack, arguments, file, base, variables)
        rounds = rounds_of(ids, arguments)
        rates = [matmul_rate(device, precision)]
        take_turns(measured, rounds)
        rates.append(matmul_rate(device, precision))
        for one in measured:
            one.words = one.contender.start | one.contender.close()
    found = environment(device) | {"precision": precision.name, "command": sys.argv[1:]}
    found["tuned"] = variables
    found |= {"matmul_gflops": [round(rate / 1e9, 1) for rate in rates]}
    contenders = contenders_row(measured, rounds, vocab_size, median(rates))
    return {"benchmark": "training", **found, "contenders": contenders}


def ids_of(batch: Batch) -> tuple[list[list[int]], list[list[int]]]:
    """Sources and targets of a batch as ids, with EOS and without padding."""
    sides = [[row[row != PAD_ID].tolist() for row in side] for side in (batch.source, batch.labels)]
    return sides[0], sides[1]


def settings_of(overrides: Sequence[str]) -> TrainSettings:
    """The settings of the project with `overrides`; InputError for what is wrong in them."""
    return cast(TrainSettings, Composer("train", TrainSettings).settings(overrides))


def variants_of(overrides: Sequence[str], texts: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The project and its variants, each with its overrides, which are checked."""
    found = [(PROJECT, list(overrides))]
    for text in texts:
        name, colon, own = text.partition(":")
        require(
            bool(name and colon and own),
            f"--variant {text} is not NAME:OVERRIDE,OVERRIDE as in packed:training.packing=true",
        )
        require_read(f"--variant {name}:", own.split(","), VARIED)
        found.append((f"{PROJECT} {name}", [*overrides, *own.split(",")]))
    names = [name for name, _ in found]
    require(len(set(names)) == len(names), "two of --variant have one name; give each its own")
    for _, texts_of_one in found:
        settings_of(texts_of_one)
    return found


def require_read(option: str, overrides: Sequence[str], pattern: str) -> None:
    """Raise InputError for a setting that nothing here reads: its key is not of `pattern`."""
    for override in overrides:
        key = override.partition("=")[0]
        require(
            re.fullmatch(pattern, key) is not None,
            f"{option} {key} has no effect here; give optim.*, training.compile, training.packing, "
            "training.gradient_checkpointing, deterministic, or for all (--set) model.*",
        )


def start(
    stack: ExitStack,
    name: str,
    module: Sequence[str],
    model: ModelConfig,
    python: str = sys.executable,
    *,
    variables: Mapping[str, str],
) -> Measured:
    """The contender `name`, warmed up; `module` is the one that runs, and its arguments."""
    command = [python, "-m", f"baselines.{module[0]}", *module[1:]]
    contender = Contender(name, command, variables=variables)
    stack.callback(contender.kill)
    return Measured(contender, model)


def start_baselines(
    stack: ExitStack,
    arguments: argparse.Namespace,
    file: Path,
    model: ModelConfig,
    variables: Mapping[str, str],
) -> list[Measured]:
    """Those of the baselines asked for that can take part; the others are named."""
    pythons = pythons_of(arguments.python, BASELINES)
    found = []
    for name in chosen(arguments.baselines, BASELINES):
        own = [name, str(file)], model, pythons.get(name, sys.executable)
        try:
            found.append(start(stack, BASELINES[name], *own, variables=variables))
        except LeftOutError as error:
            print(error)
    return found


def rounds_of(ids: Ids, arguments: argparse.Namespace) -> list[Round]:
    """The batches of each round, after those of the warm-up."""
    found = []
    for first in range(arguments.warmup, len(ids), arguments.updates):
        numbers = list(range(first, first + arguments.updates))
        lengths = [[len(row) for n in numbers for row in ids[n][side]] for side in (0, 1)]
        found.append(Round(numbers, *lengths))
    return found


def take_turns(measured: Sequence[Measured], rounds: Sequence[Round]) -> None:
    """Let each contender make the updates of a round before any begins the next.

    Each round begins with another one.
    """
    for number, batches in enumerate(rounds):
        for one in rotated(measured, number):
            found = one.contender.turn({"batches": batches.numbers})
            one.seconds.append(found["seconds"])
            one.padded += found["n_padded_tokens"]


def contenders_row(
    measured: Sequence[Measured], rounds: Sequence[Round], vocab_size: int, rate: float
) -> dict[str, dict[str, Any]]:
    """The figures of each contender; the first one is what the others are compared with."""
    first = measured[0].seconds
    return {
        one.contender.name: figures(one, rounds, vocab_size, rate)
        | {"ratio": round(median(a / b for a, b in zip(first, one.seconds, strict=True)), 4)}
        for one in measured
    }


def figures(one: Measured, rounds: Sequence[Round], vocab_size: int, rate: float) -> dict[str, Any]:
    """What one contender was measured to do; `rate` is that of matrix products, in FLOP/s."""
    source = [sum(batches.source_lengths) for batches in rounds]
    target = [sum(batches.target_lengths) for batches in rounds]
    bound = [  # seconds that the matrix products alone would take
        training_flops(one.model, vocab_size, batches.source_lengths, batches.target_lengths) / rate
        for batches in rounds
    ]
    pairs = list(zip(bound, one.seconds, strict=True))
    speeds = [[n / s for n, s in zip(side, one.seconds, strict=True)] for side in (source, target)]
    n_updates = len(rounds[0].numbers)
    return {
        "source_tokens_per_s": round(median(speeds[0])),
        "target_tokens_per_s": round(median(speeds[1])),
        "matmul_share": round(median(b / s for b, s in pairs), 4),
        "outside_ms": round(median((s - b) / n_updates * 1000 for b, s in pairs), 2),
        "update_ms": round(median(one.seconds) / n_updates * 1000, 2),
        "padding_share": round(1 - (sum(source) + sum(target)) / one.padded, 4),
        "source_rounds": [round(speed) for speed in speeds[0]],
        "target_rounds": [round(speed) for speed in speeds[1]],
        **one.words,
    }


def table(row: Mapping[str, Any]) -> str:
    """The figures for people, in Markdown."""
    titles = [
        *("contender", "source tokens/s", "target tokens/s", "ratio", "of matrix-product rate"),
        *("outside, ms an update", "padding", "peak memory, MB", "first update, s"),
    ]
    lines = [f"| {' | '.join(titles)} |", f"|---|{'--:|' * (len(titles) - 1)}"]
    for name, found in row["contenders"].items():
        cells = [
            *(f"{found['source_tokens_per_s']:,}", f"{found['target_tokens_per_s']:,}"),
            *(f"{found['ratio']:.3f}", f"{100 * found['matmul_share']:.1f} %"),
            *(f"{found['outside_ms']:,.1f}", f"{100 * found['padding_share']:.1f} %"),
            *(f"{found['peak_memory'] / 1e6:,.0f}", f"{found['first_update_s']:.1f}"),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for name, found in row["contenders"].items():
        lines += [
            f"{name}, {side} tokens/s of each round: {found[f'{side}_rounds']}"
            for side in ("source", "target")
        ]
        lines += [f"{name} {found['differs']}"] if "differs" in found else []
    tuned = " ".join(f"{name}={value}" for name, value in row["tuned"].items())
    lines += [f"all contenders with {tuned}"] if tuned else []
    rates = " and ".join(f"{rate:,}" for rate in row["matmul_gflops"])
    return "\n".join([*lines, f"matrix products before and after: {rates} GFLOP/s"])


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_corpus_arguments(parser)
    parser.add_argument("--model", default="small", help="a file of configs/model")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32", choices=[p.name for p in Precision])
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--warmup", type=positive, default=3, help="updates before the first round")
    parser.add_argument("--updates", type=positive, default=5, help="of each contender's turn")
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="OVERRIDE")
    parser.add_argument("--variant", action="append", default=[], metavar="NAME:OVERRIDE,OVERRIDE")
    parser.add_argument(
        "--baselines", default="all", help="all, none, or some of plain,marian,joey"
    )
    parser.add_argument("--python", action="append", default=[], metavar="BASELINE=INTERPRETER")
    parser.add_argument(
        "--tuned", action="store_true", help="give every contender the project's own tuning"
    )
    parser.add_argument("--json", type=Path, help="file to add a row to")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
