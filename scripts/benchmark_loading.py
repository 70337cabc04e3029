"""How fast updates are read, and how long a consumer waits for them.

For each number of workers and of updates made ahead: updates and tokens a second as fast as they
can be made, the time to the first one, and the share of its time for which a consumer that takes
so many milliseconds an update (it sleeps) waits for data, with the border of an epoch in the
middle. The wait for the first update is not in that share. Tokens are those of both sides without
padding.

    python scripts/benchmark_loading.py --train DIR/train --source en --target de
    python scripts/benchmark_loading.py --pairs 4500000 --batch-tokens 25000 --update-ms 25
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from measuring import (
    LOG_CORRELATION,
    LOG_MEAN,
    LOG_STD,
    add_corpus_arguments,
    append_row,
    positive,
    read_rows,
    run,
)
from measuring import environment as environment_of

from transformer.config import FilesConfig, TokenizerConfig, TrainSettings
from transformer.errors import require
from transformer.text.batching import measure, padding_share, shapes
from transformer.text.dataset import EncodedSplit, prepare_data
from transformer.text.encoded import CHUNK_ROWS, IDS, write_ids
from transformer.text.tokenizer import EOS_ID
from transformer.training.distributed import Processes
from transformer.training.stream import Leg, Position, UpdateStream

N_PAIRS = 100_000


def main() -> None:
    """Measure, print one JSON line, and add it to the file of --json."""
    arguments = parse()
    if arguments.json is not None:
        read_rows(arguments.json)  # whether it takes rows shows before the work
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        split = open_split(arguments, Path(folder))
        streams = [
            stream_of(split, arguments, workers=workers, prefetch=prefetch)
            for workers, prefetch in product(arguments.workers, arguments.prefetch)
        ]
        row: dict[str, Any] = {**environment_of(torch.device("cpu")), "benchmark": "loading"}
        row |= {"pairs": len(split), "batch_tokens": arguments.batch_tokens}
        row |= planning(streams[0])
        row["update_ms"] = arguments.update_ms
        row["loaders"] = [
            {"workers": stream.workers, "prefetch": stream.prefetch} | loading(stream, arguments)
            for stream in streams
        ]
    print(json.dumps(row))
    if arguments.json is not None:
        append_row(arguments.json, row)


def planning(stream: UpdateStream) -> dict[str, Any]:
    """What an epoch's plan takes, and what it holds."""
    seconds = []
    for epoch in range(3):
        started = time.perf_counter()
        plan = stream.plan(epoch)
        seconds.append(time.perf_counter() - started)
    lengths = stream.split.source_lengths, stream.split.target_lengths
    started = time.perf_counter()
    measure(plan, *lengths)
    return {
        "plan_s": round(median(seconds), 4),
        "measure_s": round(time.perf_counter() - started, 4),
        "batches": len(plan),
        "shapes": len(shapes(plan, *lengths)),
        "padding_share": round(padding_share(plan, *lengths), 4),
    }


def loading(stream: UpdateStream, arguments: argparse.Namespace) -> dict[str, Any]:
    """The speed of `stream`, and the waits of a consumer."""
    n, n_batches = arguments.updates, len(stream.plan(0))
    before = min(n, n_batches)  # updates before the border of the epoch
    legs = (Leg(arguments.batch_tokens, n_batches - before),)
    position = Position(n_batches - before, 0, legs)
    latency, waits, n_tokens = walk(stream, position, n + before, 0.0)
    _, calm, _ = walk(stream, position, n + before, arguments.update_ms / 1e3)
    busy = len(calm) * arguments.update_ms / 1e3
    return {
        "first_update_ms": round(1e3 * latency, 2),
        "updates_per_s": round(len(waits) / sum(waits), 1),
        "tokens_per_s": round(n_tokens / sum(waits)),
        "waiting_share": round(sum(calm) / (sum(calm) + busy), 5),
        "longest_wait_ms": round(1e3 * max(calm), 2),
    }


def walk(
    stream: UpdateStream, position: Position, n: int, update_s: float
) -> tuple[float, list[float], int]:
    """Seconds waited for the first update and for each of `n` others, and the others' tokens."""
    started = time.perf_counter()
    with closing(stream.updates(position)) as updates:
        next(updates)
        latency = time.perf_counter() - started
        waits, n_tokens = [], 0
        for _ in range(n):
            time.sleep(update_s)
            started = time.perf_counter()
            update = next(updates)
            waits.append(time.perf_counter() - started)
            n_tokens += update.n_source_tokens + update.n_target_tokens
    return latency, waits, n_tokens


def stream_of(
    split: EncodedSplit, arguments: argparse.Namespace, *, workers: int, prefetch: int
) -> UpdateStream:
    """The updates of one process."""
    data = FilesConfig(source="xx", target="yy", train="drawn", valid="drawn")
    data = replace(data, workers=workers, prefetch=prefetch)
    settings = TrainSettings(data=data)
    return UpdateStream(
        split, settings, arguments.batch_tokens, on_gpu=False, processes=Processes()
    )


def open_split(arguments: argparse.Namespace, folder: Path) -> EncodedSplit:
    """The corpus of the command line, or one drawn into `folder`."""
    if arguments.train is None:
        size = arguments.vocab_size
        require(size > EOS_ID + 1, f"--vocab-size={size} must be above {EOS_ID + 1}")
        file = folder / "train.arrow"
        write_ids(file, drawn(arguments.pairs or N_PAIRS, size))
        return EncodedSplit(file)
    languages = {"source": arguments.source, "target": arguments.target}
    data = FilesConfig(**languages, train=arguments.train, valid=arguments.train)
    return prepare_data(data, TokenizerConfig(vocab_size=arguments.vocab_size)).train


def drawn(n_pairs: int, vocab_size: int) -> Iterator[pa.Table]:
    """Pairs of log-normal lengths whose ids are equally likely."""
    generator = np.random.Generator(np.random.PCG64(1))
    variance = np.outer(LOG_STD, LOG_STD) * [[1, LOG_CORRELATION], [LOG_CORRELATION, 1]]
    for start in range(0, n_pairs, CHUNK_ROWS):
        n = min(CHUNK_ROWS, n_pairs - start)
        logs = generator.multivariate_normal(LOG_MEAN, variance, n)
        columns = {}
        for side, lengths in zip(IDS, np.exp(logs).round().clip(1, 255).T, strict=True):
            offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
            ids = generator.integers(EOS_ID + 1, vocab_size, offsets[-1], dtype=np.int32)
            columns[side] = pa.ListArray.from_arrays(offsets, ids)
        yield pa.table(columns).cast(IDS.arrow_schema)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_corpus_arguments(parser)
    parser.add_argument(
        "--pairs", type=positive, help=f"drawn where there is no --train; default: {N_PAIRS:,}"
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--prefetch", type=int, nargs="+", default=[0, 4])
    parser.add_argument("--updates", type=positive, default=100, help="on each side of the border")
    parser.add_argument(
        "--update-ms", type=float, default=30.0, help="the consumer's time for each"
    )
    parser.add_argument("--json", type=Path, help="a file to which the row is added")
    arguments = parser.parse_args()
    require(
        arguments.pairs is None or arguments.train is None,
        f"--pairs={arguments.pairs} are drawn, but --train={arguments.train} is read; give one",
    )
    require(
        0 <= arguments.update_ms < float("inf"),
        f"--update-ms={arguments.update_ms} must be at least 0",
    )
    return arguments


if __name__ == "__main__":
    run(main)
