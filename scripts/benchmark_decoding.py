"""Decoding speed beside other systems, on the same batches, threads and lengths.

Each system is a process of its own that works only when told, so they take turns and a machine
whose speed drifts favours none; each round begins with another one. Sentences are sorted by length
and cut into the same batches for all. Without a checkpoint all weights are random, and every output
of a batch is made as long as the batch's longest source with EOS: EOS is forbidden (by a bias or a
mask of one column) and the length is limited, so that all write the same tokens. That leaves out
what a search gains where sentences end sooner than others. With a checkpoint all systems have its
weights, and each decodes to where its own search ends, with the same beam, exponent of the length
and greatest length (what a system cannot do alike is printed); the table then has BLEU beside
--reference, and the share of sentences for which a system writes what the project does.

Tokens are real ones, EOS counted. The share of the matrix-product rate is of the FLOPs that a
search with a cache needs, for every system, and of the mean of that rate before and after; the
ratio is the median over the rounds of a system's speed over the project's. The latency is of
sentences on their own, a share of them in each round, of which one is decoded first and does not
count. Peak memory is over all that a process did. With --tuned, every system has the variables of
the environment that keep freed memory, and the library for products that the project takes.

    python scripts/benchmark_decoding.py --model small --beam-size 1 5 --json decoding.json
    python scripts/benchmark_decoding.py --baselines marian --python marian=ENV/bin/python
    python scripts/benchmark_decoding.py --checkpoint runs/NAME --source FILE --reference FILE
"""

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from baselines.decoding_report import Report, Turn, add_ratios, table
from baselines.decoding_work import make_job
from contenders import Contender, LeftOutError, chosen, pythons_of, rotated, tuning
from measuring import append_row, environment, matmul_rate, positive, read_rows, run

from transformer.config import Precision
from transformer.device import choose_device, choose_precision, set_threads
from transformer.errors import require

PROJECT = "transformer-mt"
BASELINES = {
    "plain": "decoding_torch",
    "marian": "decoding_marian",
    "ctranslate2": "decoding_ctranslate2",
    "ctranslate2-int8": "decoding_ctranslate2_int8",
}


def main() -> None:
    """Measure, print a table a beam size, and keep its figures where --json says."""
    arguments = parse()
    if arguments.json:
        read_rows(arguments.json)  # what is wrong with it shows before hours of measuring
    set_threads(arguments.threads)
    device = choose_device(arguments.device)
    precision = choose_precision(Precision[arguments.precision], device)
    baselines = chosen(arguments.baselines, BASELINES)
    pythons = pythons_of(arguments.python, BASELINES)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        job = make_job(arguments, device, precision, folder)
        (folder / "work.json").write_text(json.dumps(job.work), encoding="utf-8")
        rates = [matmul_rate(device, precision)]
        variables = tuning() if arguments.tuned else {}
        file = folder / "work.json"
        contenders, left_out = start(stack, baselines, pythons, file, variables)
        turns, singles = take_turns(contenders, job.work, arguments.rounds, arguments.singles)
        rates.append(matmul_rate(device, precision))
        final = {each.name: each.close() for each in contenders}
    for beam_size in arguments.beam_size:
        report = Report(job.work, job.config, rates, beam_size)
        systems = {
            each.name: report.system(
                turns[each.name, beam_size], singles[each.name, beam_size], final[each.name]
            )
            for each in contenders
        }
        add_ratios(systems, PROJECT)
        if job.judge:
            outputs = {name: report.outputs(turns[name, beam_size][0]) for name in systems}
            for name in systems:
                systems[name] |= job.judge.quality(outputs[name], outputs[PROJECT])
        row = report.head(arguments.model, arguments.source or "drawn")
        row |= {"shortlist": arguments.shortlist, "tuned": variables}
        row |= {"systems": systems, "left_out": left_out, "environment": environment(device)}
        print(table(row), flush=True)
        if arguments.json:
            append_row(arguments.json, row)


def start(
    stack: ExitStack,
    baselines: Sequence[str],
    pythons: Mapping[str, str],
    file: Path,
    variables: Mapping[str, str],
) -> tuple[list[Contender], list[str]]:
    """The project and the `baselines`, ready to work, and why others are not."""
    contenders, left_out = [], []
    modules = {PROJECT: "decoding_project"} | {name: BASELINES[name] for name in baselines}
    for name, module in modules.items():
        python = pythons.get(name, pythons.get(name.partition("-")[0], sys.executable))
        command = [python, "-m", f"baselines.{module}", str(file)]
        try:
            contender = Contender(name, command, variables=variables)
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
    parser.add_argument("--checkpoint", help="a run or checkpoint, for weights that were trained")
    parser.add_argument("--source", help="file of sentences; default: drawn lengths and ids")
    parser.add_argument("--reference", help="file of translations, for BLEU with --checkpoint")
    parser.add_argument(
        "--search",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="settings of the search with --checkpoint; default: normalization=plain patience=1",
    )
    parser.add_argument("--shortlist", help="file of the shortlist command, for the project alone")
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
    parser.add_argument(
        "--baselines", default="all", help=f"all, none, or some of {','.join(BASELINES)}"
    )
    parser.add_argument("--python", action="append", default=[], metavar="BASELINE=INTERPRETER")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32", choices=[p.name for p in Precision])
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument(
        "--tuned", action="store_true", help="give every contender the project's own tuning"
    )
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
