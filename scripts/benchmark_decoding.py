"""Decoding speed beside other systems, on the same batches, threads and lengths.

Each system is a process of its own that works only when told, so they take turns and a machine
whose speed drifts favours none; each round begins with another one. Sentences are sorted by length
and cut into the same batches for all. Without a checkpoint all weights are random, and every output
of a batch is made as long as the batch's longest source with EOS: EOS is forbidden (by a bias or a
mask of one column) and the length is limited, so that all write the same tokens. That leaves out
what a search gains where sentences end sooner than others. With a checkpoint the project decodes
alone, to where its model ends: the other systems cannot read its weights.

Tokens are real ones, EOS counted. The share of the matrix-product rate is of the FLOPs that a
search with a cache needs, for every system, and of the mean of that rate before and after; the
ratio is the median over the rounds of a system's speed over the project's. The latency is of
sentences on their own, a share of them in each round, of which one is decoded first and does not
count. Peak memory is over all that a process did.

    python scripts/benchmark_decoding.py --model small --beam-size 1 5 --json decoding.json
    python scripts/benchmark_decoding.py --baselines marian --python marian=ENV/bin/python
    python scripts/benchmark_decoding.py --checkpoint runs/NAME --source FILE
"""

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from baselines.decoding_report import Batches, Report, Turn, add_ratios, table
from contenders import Contender, LeftOutError, chosen, pythons_of, rotated
from measuring import (
    append_row,
    draw_split,
    environment,
    matmul_rate,
    positive,
    read_rows,
    run,
)

from transformer.checkpoint import Checkpoint, find_checkpoint
from transformer.cli.compose import Composer
from transformer.config import (
    ModelConfig,
    Precision,
    SearchConfig,
    TokenizerConfig,
    TrainSettings,
    to_mapping,
)
from transformer.device import choose_device, choose_precision, set_threads
from transformer.errors import require
from transformer.text.files import read_lines
from transformer.text.tokenizer import EOS_ID, PAD_ID, Tokenizer, train_tokenizers
from transformer.translation.translator import plan

PROJECT = "transformer-mt"
BASELINES = {
    "plain": "decoding_torch",
    "marian": "decoding_marian",
    "ctranslate2": "decoding_ctranslate2",
}


def main() -> None:
    """Measure, print a table a beam size, and keep its figures where --json says."""
    arguments = parse()
    if arguments.json:
        read_rows(arguments.json)  # what is wrong with it shows before hours of measuring
    set_threads(arguments.threads)
    device = choose_device(arguments.device)
    precision = choose_precision(Precision[arguments.precision], device)
    work, config = make_work(arguments, device, precision)
    rates = [matmul_rate(device, precision)]
    with ExitStack() as stack:
        file = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "work.json"
        file.write_text(json.dumps(work), encoding="utf-8")
        pythons = pythons_of(arguments.python, BASELINES)
        contenders, left_out = start(stack, baselines_of(arguments), pythons, file)
        turns, singles = take_turns(contenders, work, arguments.rounds, arguments.singles)
        rates.append(matmul_rate(device, precision))
        final = {each.name: each.close() for each in contenders}
    for beam_size in arguments.beam_size:
        report = Report(work, config, rates, beam_size)
        systems = {
            each.name: report.system(
                turns[each.name, beam_size], singles[each.name, beam_size], final[each.name]
            )
            for each in contenders
        }
        add_ratios(systems, PROJECT)
        row = report.head(arguments.model, arguments.source or "drawn") | {
            "systems": systems,
            "left_out": left_out,
        }
        row |= {"environment": environment(device)}
        print(table(row), flush=True)
        if arguments.json:
            append_row(arguments.json, row)


def make_work(
    arguments: argparse.Namespace, device: torch.device, precision: Precision
) -> tuple[dict[str, Any], ModelConfig]:
    """What every contender is to do, as plain numbers and text, and the shape of the model."""
    checkpoint = arguments.checkpoint
    require(
        not (checkpoint and baselines_of(arguments)),
        f"--checkpoint={checkpoint} goes without --baselines={arguments.baselines}: no other "
        "system reads its weights",
    )
    require(
        bool(arguments.source or not checkpoint),
        f"--checkpoint={checkpoint} needs --source, a file of sentences to translate",
    )
    if checkpoint:
        found = Checkpoint(find_checkpoint(checkpoint))
        config, tokenizer = found.settings.model, found.tokenizers.source
        vocab_size = found.tokenizers.target.vocab_size
        sources = encode(arguments, tokenizer)
    else:
        config, vocab_size = model_config(arguments.model), arguments.vocab_size
        sources = encode(arguments, None) if arguments.source else draw(arguments)
    batches = {str(k): cut(sources, arguments, k) for k in arguments.beam_size}
    work = {
        "sources": sources,
        "batches": batches,
        "model": to_mapping(config),
        "vocab_size": vocab_size,
        "device": str(device),
        "precision": precision.name,
        "threads": torch.get_num_threads(),
        "warm_up": arguments.warmup,
        "checkpoint": checkpoint,
    }
    return work, config


def model_config(name: str) -> ModelConfig:
    """The shape of configs/model/NAME.yaml."""
    settings: TrainSettings = Composer("train", TrainSettings).settings(
        ["data=phrasebook", f"model={name}"]
    )
    return settings.model


def encode(arguments: argparse.Namespace, tokenizer: Tokenizer | None) -> list[list[int]]:
    """The first sentences of --source in pieces; without a tokenizer, pieces of the file itself."""
    lines = [line for line in read_lines(Path(arguments.source)) if line.strip()]
    require(bool(lines), f"--source={arguments.source} holds no sentence")
    if tokenizer is None:
        config = TokenizerConfig(vocab_size=arguments.vocab_size)
        tokenizer = train_tokenizers([(line, line) for line in lines], config).source
    return tokenizer.encode(lines[: arguments.sentences])


def draw(arguments: argparse.Namespace) -> list[list[int]]:
    """Sentences of log-normal lengths whose ids are equally likely."""
    with tempfile.TemporaryDirectory() as folder:
        split = draw_split(Path(folder), arguments.vocab_size, arguments.sentences)
        rows = split.batch(np.arange(len(split))).source.tolist()
    return [[id_ for id_ in row if id_ not in {PAD_ID, EOS_ID}] for row in rows]


def cut(sources: Sequence[Sequence[int]], arguments: argparse.Namespace, beam_size: int) -> Batches:
    """The batches of the translate command, or of --batch-sentences each, longest first."""
    lengths = [len(source) for source in sources]
    config = SearchConfig(beam_size=beam_size)
    if arguments.batch_sentences:
        order = iter(sorted(range(len(lengths)), key=lambda row: -lengths[row]))
        return list(iter(lambda: list(islice(order, arguments.batch_sentences)), []))
    if arguments.batch_tokens:
        config = replace(config, batch_tokens=arguments.batch_tokens)
    return list(plan(lengths, config))


def baselines_of(arguments: argparse.Namespace) -> list[str]:
    """The baselines that take part; by default all, beside a checkpoint none."""
    return chosen(arguments.baselines or ("none" if arguments.checkpoint else "all"), BASELINES)


def start(
    stack: ExitStack, baselines: Sequence[str], pythons: Mapping[str, str], file: Path
) -> tuple[list[Contender], list[str]]:
    """The project and the `baselines`, ready to work, and why others are not."""
    contenders, left_out = [], []
    modules = {PROJECT: "decoding_project"} | {name: BASELINES[name] for name in baselines}
    for name, module in modules.items():
        command = [pythons.get(name, sys.executable), "-m", f"baselines.{module}", str(file)]
        try:
            contender = Contender(name, command)
        except LeftOutError as error:
            left_out.append(str(error))
            print(error, file=sys.stderr)
        else:
            stack.callback(contender.kill)
            contenders.append(contender)
    return contenders, left_out


def take_turns(
    contenders: Sequence[Contender], work: Mapping[str, Any], n_rounds: int, n_singles: int
) -> tuple[dict[tuple[str, int], list[Turn]], dict[tuple[str, int], list[float]]]:
    """What each contender measured with each beam size: its rounds, and seconds of singles.

    In a round each decodes all batches, then a share of the first `n_singles` sentences, one by
    one, of which the first is decoded once more before, as what comes after large batches.
    """
    turns: dict[tuple[str, int], list[Turn]] = defaultdict(list)
    singles: dict[tuple[str, int], list[float]] = defaultdict(list)
    numbers = range(min(n_singles, len(work["sources"])))
    for beam_size in map(int, work["batches"]):
        for number in range(n_rounds):
            order = rotated(contenders, number)
            for each in order:
                turns[each.name, beam_size].append(each.turn({"beam_size": beam_size}))
            share = [[row] for row in numbers[number::n_rounds]]
            for each in order if share else []:
                found = each.turn({"beam_size": beam_size, "batches": [share[0], *share]})
                singles[each.name, beam_size] += found["seconds"][1:]
    return turns, singles


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, or its `words` where they are given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", choices=["tiny", "small", "base", "big"], help="default: small")
    parser.add_argument("--checkpoint", help="a run or checkpoint; the project then works alone")
    parser.add_argument("--source", help="file of sentences; default: drawn lengths and ids")
    parser.add_argument("--vocab-size", type=positive, help="default: 8000")
    parser.add_argument("--sentences", type=positive, default=1000)
    parser.add_argument(
        "--singles", type=positive, default=50, help="sentences to decode one by one"
    )
    parser.add_argument("--beam-size", type=positive, nargs="+", default=[1, 5])
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--batch-tokens", type=positive, help="default: that of search.batch_tokens")
    sizes.add_argument("--batch-sentences", type=positive, help="in place of a budget of tokens")
    parser.add_argument("--warmup", type=positive, default=1, help="batches before the first round")
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("--baselines", help=f"all, none, or some of {','.join(BASELINES)}")
    parser.add_argument("--python", action="append", default=[], metavar="BASELINE=INTERPRETER")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32", choices=[p.name for p in Precision])
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--json", type=Path, help="a JSON list to add the results to")
    arguments = parser.parse_args(words)
    for option, default in (("model", "small"), ("vocab_size", 8000)):
        value = getattr(arguments, option)
        require(
            value is None or arguments.checkpoint is None,
            f"--{option.replace('_', '-')}={value} is not for --checkpoint, which has its own; "
            "leave one of them out",
        )
        setattr(arguments, option, default if value is None else value)
    return arguments


if __name__ == "__main__":
    run(main)
