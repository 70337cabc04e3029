"""How fast updates are read, and how long a consumer waits for them.

For each number of workers and of updates made ahead: the time to the first update, updates and
tokens a second as fast as they can be made, how many such workers a consumer of a million target
tokens a second needs, and the share of its time for which a consumer that takes so many
milliseconds an update (it sleeps) waits for data, with the border of an epoch in the middle (of a
chapter, where the corpus has several). The wait for the first update is not in these. Tokens are
without padding; `tokens_per_s` are those of both sides. `plan_s` and `plan_mb` are what a chapter
takes to plan: seconds, and the most memory beside that of the corpus.

    python scripts/benchmark_loading.py --train DIR/train --source en --target de
    python scripts/benchmark_loading.py --pairs 20000000 --batch-tokens 25000 --update-ms 25
"""

import argparse
import json
import math
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
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

from transformer.config import (
    CleaningConfig,
    FilesConfig,
    TokenizerConfig,
    TokenizerKind,
    TrainSettings,
)
from transformer.errors import require
from transformer.text.dataset import EncodedSplit, prepare_data
from transformer.text.mixing import Part
from transformer.text.preparing.store import SplitWriter
from transformer.text.ragged import Lists
from transformer.text.tokenizer import EOS_ID
from transformer.training.chapters import Leg
from transformer.training.distributed import Processes
from transformer.training.stream import Position, UpdateStream

N_PAIRS = 100_000
DRAWN_ROWS = 100_000  # at once


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
    """What a chapter's plan takes, and what it holds."""
    chapters, legs = stream.chapters, [fresh(stream)]
    seconds = []
    for epoch in range(3):
        started = time.perf_counter()
        planned = chapters.plan(epoch, 0, legs)
        seconds.append(time.perf_counter() - started)
    tracemalloc.start()
    chapters.plan(0, 0, legs)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {
        "chapters": chapters.mix.n_chapters,
        "plan_s": round(median(seconds), 4),
        "plan_mb": round(peak / 1e6, 1),
        "batches": len(planned.plan),
        "shapes": len(planned.sizes.shapes),
        "padding_share": round(planned.sizes.padding_share, 4),
    }


def loading(stream: UpdateStream, arguments: argparse.Namespace) -> dict[str, Any]:
    """The speed of `stream`, and the waits of a consumer."""
    latency, *_ = walk(stream, Position(), 0, 0.0)
    n, n_batches = arguments.updates, len(stream.chapters.plan(0, 0, [fresh(stream)]).plan)
    before = min(n, n_batches)  # updates before the border of the chapter
    legs = (Leg(arguments.batch_tokens, n_batches - before),)
    position = Position(n_batches - before, 0, 0, legs)
    _, waits, *n_tokens = walk(stream, position, n + before, 0.0)
    _, calm, *_ = walk(stream, position, n + before, arguments.update_ms / 1e3)
    busy = len(calm) * arguments.update_ms / 1e3
    per_s = n_tokens[1] / sum(waits)
    return {
        "first_update_ms": round(1e3 * latency, 2),
        "updates_per_s": round(len(waits) / sum(waits), 1),
        "tokens_per_s": round(sum(n_tokens) / sum(waits)),
        "target_tokens_per_s": round(per_s),
        "workers_for_a_million": math.ceil(1e6 / per_s * max(1, stream.workers)),
        "waiting_share": round(sum(calm) / (sum(calm) + busy), 5),
        "longest_wait_ms": round(1e3 * max(calm), 2),
    }


def fresh(stream: UpdateStream) -> Leg:
    """The beginning of a chapter."""
    return Leg(stream.batch_tokens, 0)


def walk(
    stream: UpdateStream, position: Position, n: int, update_s: float
) -> tuple[float, list[float], int, int]:
    """Seconds waited for the first update and for each of `n` others, and the others' tokens."""
    started = time.perf_counter()
    with closing(stream.updates(position)) as updates:
        next(updates)
        latency = time.perf_counter() - started
        waits, n_source, n_target = [], 0, 0
        for _ in range(n):
            time.sleep(update_s)
            started = time.perf_counter()
            update = next(updates)
            waits.append(time.perf_counter() - started)
            n_source += update.n_source_tokens
            n_target += update.n_target_tokens
    return latency, waits, n_source, n_target


@dataclass(frozen=True)
class OneCorpus:
    """A split, all of it one corpus."""

    train: EncodedSplit

    @property
    def parts(self) -> list[Part]:
        return [Part("train", 0, len(self.train))]


def stream_of(
    split: EncodedSplit, arguments: argparse.Namespace, *, workers: int, prefetch: int
) -> UpdateStream:
    """The updates of one process."""
    data = FilesConfig(source="xx", target="yy", train="drawn", valid="drawn")
    data = replace(data, workers=workers, prefetch=prefetch)
    settings = TrainSettings(data=data)
    return UpdateStream(
        OneCorpus(split), settings, arguments.batch_tokens, on_gpu=False, processes=Processes()
    )


def open_split(arguments: argparse.Namespace, folder: Path) -> EncodedSplit:
    """The corpus of the command line, or one drawn into `folder`."""
    if arguments.train is None:
        size = arguments.vocab_size
        require(size > EOS_ID + 1, f"--vocab-size={size} must be above {EOS_ID + 1}")
        with SplitWriter(folder / "train", size, aligned=False) as writer:
            for sides in drawn(arguments.pairs or N_PAIRS, size):
                writer.append(sides)
        return EncodedSplit(folder / "train")
    languages = {"source": arguments.source, "target": arguments.target}
    data = FilesConfig(**languages, train=arguments.train, valid=arguments.train)
    alpha = arguments.sampling
    tokenizer = TokenizerConfig(
        kind=TokenizerKind.bpe,
        vocab_size=arguments.vocab_size,
        source_sampling=alpha,
        target_sampling=alpha,
    )
    return prepare_data(data, tokenizer, CleaningConfig()).sampled(tokenizer, 1).train


def drawn(n_pairs: int, vocab_size: int) -> Iterator[dict[str, Lists]]:
    """Pairs of log-normal lengths whose ids are equally likely."""
    generator = np.random.Generator(np.random.PCG64(1))
    variance = np.outer(LOG_STD, LOG_STD) * [[1, LOG_CORRELATION], [LOG_CORRELATION, 1]]
    for start in range(0, n_pairs, DRAWN_ROWS):
        n = min(DRAWN_ROWS, n_pairs - start)
        logs = generator.multivariate_normal(LOG_MEAN, variance, n)
        sides = {}
        for side, lengths in zip(
            ("source", "target"), np.exp(logs).round().clip(1, 255).T.astype(np.int32), strict=True
        ):
            ids = generator.integers(EOS_ID + 1, vocab_size, int(lengths.sum()), dtype=np.int32)
            sides[side] = Lists(ids, lengths)
        yield sides


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_corpus_arguments(parser)
    parser.add_argument(
        "--pairs", type=positive, help=f"drawn where there is no --train; default: {N_PAIRS:,}"
    )
    parser.add_argument("--sampling", type=float, help="BPE-dropout of the pairs of --train")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--prefetch", type=int, nargs="+", default=[0, 4])
    parser.add_argument("--updates", type=positive, default=100, help="on each side of the border")
    parser.add_argument(
        "--update-ms", type=float, default=30.0, help="the consumer's time for each"
    )
    parser.add_argument("--json", type=Path, help="a file to which the row is added")
    arguments = parser.parse_args()
    require(
        arguments.sampling is None or arguments.train is not None,
        "--sampling is of text; give --train as well",
    )
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
