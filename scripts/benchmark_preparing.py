"""How fast, and in how much memory, corpora are prepared; how soon training begins after that.

Draws pairs of made-up sentences (words by Zipf's law, lengths as in newspaper text) into --folder,
where they stay and are taken again. Then, each as a whole process: `transformer prepare` with the
pieces of a small part of them, SentencePiece's own `encode` of the same lines on as many threads,
and `transformer train` up to its first update, with the cache in place. Memory is the largest sum
over all processes of the command, measured ten times a second: anonymous memory, which nothing can
take back, and all that is resident, in which pages of mapped files count as well.

    python scripts/benchmark_preparing.py --folder DIR --pairs 20000000 --processes 2
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch
from measuring import append_row, environment, output_folder, positive, read_rows, run

from transformer.errors import require
from transformer.text.files import read_lines

WORDS = 20_000  # distinct words of a language
BLOCK = 50_000  # lines drawn, or encoded, at once
EVERY_S = 0.1
LEARNT_FROM = 200_000  # pairs that the pieces are learnt from
VALID = 1_000


def main() -> None:
    """Measure, print one JSON line, and add it to the file of --json."""
    arguments = parse()
    if arguments.json is not None:
        read_rows(arguments.json)  # whether it takes rows shows before the work
    folder = output_folder(arguments.folder)
    draw(folder / "valid", VALID, seed=2)
    draw(folder / "learn", LEARNT_FROM, seed=3)
    draw(folder / f"train{arguments.pairs}", arguments.pairs, seed=1)
    row: dict[str, Any] = {**environment(torch.device("cpu")), "benchmark": "preparing"}
    row |= {"pairs": arguments.pairs, "processes": arguments.processes}
    learnt = command(folder, "learn", arguments, "prepare", "tokenizer.sample_size=200000")
    row["learn_s"] = learnt["seconds"]
    pieces = f"tokenizer.init_from={learnt['folder']}"
    name = f"train{arguments.pairs}"
    prepared = command(folder, name, arguments, "prepare", pieces)
    row["prepare"] = prepared | {"lines_per_s": 2 * arguments.pairs / prepared["seconds"]}
    model = Path(learnt["folder"]) / "tokenizer" / "joint.model"
    row["encode"] = encode(folder / name, model, arguments)
    row["ratio"] = row["prepare"]["lines_per_s"] / row["encode"]["lines_per_s"]
    settings = ["model=tiny", "training.max_updates=1", "training.log_every=1", "data.test=null"]
    train = [pieces, f"run_dir={folder}/run", "training.resume=never", *settings]
    row["train"] = command(folder, name, arguments, "train", *train)
    print(json.dumps(row))
    if arguments.json is not None:
        append_row(arguments.json, row)


def draw(stem: Path, n_pairs: int, *, seed: int) -> None:
    """Write `n_pairs` to stem.en and stem.de, unless they are there."""
    if stem.with_name(f"{stem.name}.done").exists():
        return
    generator = np.random.default_rng(seed)
    vocabulary = [words(side) for side in ("en", "de")]
    frequencies = 1 / np.arange(10, WORDS + 10)
    bounds = np.cumsum(frequencies / frequencies.sum())
    with (
        stem.with_name(f"{stem.name}.en").open("w", encoding="utf-8") as source,
        stem.with_name(f"{stem.name}.de").open("w", encoding="utf-8") as target,
    ):
        for start in range(0, n_pairs, BLOCK):
            n = min(BLOCK, n_pairs - start)
            lengths = np.clip(generator.lognormal(2.75, 0.55, n), 2, 80).astype(np.int64)
            ids = np.searchsorted(bounds, generator.random(int(lengths.sum())))
            for file, side in zip((source, target), vocabulary, strict=True):
                file.writelines(sentences(side[ids], lengths))
    stem.with_name(f"{stem.name}.done").touch()


def words(language: str) -> Any:
    """Made-up words, the frequent ones short; every fifth of `de` has an umlaut."""
    generator = np.random.default_rng(len(language) + ord(language[0]))
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    found = []
    for rank in range(WORDS):
        size = 2 + int(generator.integers(0, 3)) + rank.bit_length() // 3
        word = "".join(letters[generator.integers(0, len(letters), size)])
        found.append(word.replace("o", "ö") if language == "de" and rank % 5 == 0 else word)
    return np.array(found, dtype=object)


def sentences(drawn: Any, lengths: Any) -> Iterator[str]:
    """Lines of so many words each."""
    start = 0
    texts = drawn.tolist()
    for length in lengths.tolist():
        yield " ".join(texts[start : start + length]) + ".\n"
        start += length


def command(
    folder: Path, name: str, arguments: argparse.Namespace, verb: str, *overrides: str
) -> dict[str, Any]:
    """What a command of the project took; of prepare its folder, of train the first update."""
    line = [sys.executable, "-m", "transformer", verb, "data=files", "data.source=en"]
    line += ["data.target=de", f"data.train={folder}/{name}", f"data.valid={folder}/valid"]
    line += [f"data.cache_dir={folder}/cache", f"data.prepare_processes={arguments.processes}"]
    line += [f"tokenizer.vocab_size={arguments.vocab_size}", f"cleaning={arguments.cleaning}"]
    began = time.monotonic()
    process = subprocess.Popen(
        [*line, *overrides], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    peaks, output, first_s = watch(process, began)
    require(process.returncode == 0 or first_s > 0, f"transformer {verb} failed: {output[-1000:]}")
    found: dict[str, Any] = {"seconds": time.monotonic() - began, **peaks}
    if verb == "prepare":
        found["folder"] = output.rpartition("prepared in ")[2].strip().splitlines()[0]
    else:
        found["first_update_s"] = first_s
    return found


def watch(process: "subprocess.Popen[bytes]", began: float) -> tuple[dict[str, float], str, float]:
    """The peaks of a process and its children, its output, and when it told of update 1."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    peaks = {"anonymous_gb": 0.0, "resident_gb": 0.0}
    output, first_s = "", 0.0
    while True:
        ended = process.poll() is not None
        for name, value in memory_of(process.pid).items():
            peaks[name] = max(peaks[name], value)
        output += (process.stdout.read() or b"").decode(errors="replace")
        if not first_s and "update 1 " in output:
            first_s = time.monotonic() - began
            process.kill()  # nothing is to be known of what follows
        if ended:
            return peaks, output, first_s
        time.sleep(EVERY_S)


def memory_of(pid: int) -> dict[str, float]:
    """Gigabytes of a process and all below it."""
    kilobytes = {"RssAnon": 0, "VmRSS": 0}
    waiting = [pid]
    while waiting:
        place = Path("/proc") / str(waiting.pop())
        try:
            for line in (place / "status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in kilobytes:
                    kilobytes[name] += int(value.split()[0])
            for task in (place / "task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except (OSError, ValueError):
            continue
    return {
        "anonymous_gb": kilobytes["RssAnon"] * 1024 / 1e9,
        "resident_gb": kilobytes["VmRSS"] * 1024 / 1e9,
    }


def encode(stem: Path, model: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """What SentencePiece's own encode takes for all lines; reading them is not counted."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    seconds, n_lines, n_pieces = 0.0, 0, 0
    for side in ("en", "de"):
        lines = read_lines(stem.with_name(f"{stem.name}.{side}"))
        while block := [line for _, line in zip(range(BLOCK), lines, strict=False)]:
            began = time.perf_counter()
            ids = processor.encode(block, num_threads=arguments.processes)
            seconds += time.perf_counter() - began
            n_lines += len(block)
            n_pieces += sum(map(len, ids))
            if n_lines >= arguments.encode_lines:
                break
    return {
        "seconds": seconds,
        "lines": n_lines,
        "lines_per_s": n_lines / seconds,
        "pieces_a_line": n_pieces / n_lines,
    }


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, required=True, help="for the text and the cache")
    parser.add_argument("--pairs", type=positive, default=2_000_000)
    parser.add_argument("--processes", type=positive, default=2)
    parser.add_argument("--vocab-size", type=positive, default=16_000)
    parser.add_argument("--cleaning", default="light", choices=["none", "light", "strict"])
    parser.add_argument("--encode-lines", type=positive, default=4_000_000, help="of each side")
    parser.add_argument("--json", type=Path, help="file to which the row is added")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
