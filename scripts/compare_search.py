"""BLEU and chrF of each way to search, with one model and with an ensemble of several.

The first checkpoint is the model; all of them together are the ensemble. The oracle of a row is
the best of its n outputs for each line, by chrF against the reference: how much there is to gain by
choosing better. `other` is the share of lines that the way translates otherwise than the first row.

    python scripts/compare_search.py --checkpoint runs/A runs/B --source FILE --reference FILE
"""

import argparse
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from measuring import environment, positive, run
from sacrebleu.metrics.chrf import CHRF

from transformer.config import RequestSettings, SearchConfig, SearchMethod, from_mapping
from transformer.errors import require
from transformer.metrics import bleu, chrf
from transformer.text.files import read_lines
from transformer.translation import Translation, Translator, start

SAMPLES = {"method": SearchMethod.sampling.name}
# Name, settings of the search, whether by the ensemble.
WAYS: list[tuple[str, dict[str, Any], bool]] = [
    ("beam 5", {}, False),
    ("beam 5, patience 1", {"patience": 1.0}, False),
    ("beam 5, its 5 best", {"n_best": 5}, False),
    ("beam 20, its 20 best", {"beam_size": 20, "n_best": 20}, False),
    ("greedy", {"beam_size": 1}, False),
    ("diverse, 5 groups of 1", {"groups": 5, "n_best": 5}, False),
    ("samples", {**SAMPLES, "n_best": 5}, False),
    ("samples, epsilon 0.02", {**SAMPLES, "n_best": 5, "sampling": {"epsilon": 0.02}}, False),
    ("samples, top-p 0.9", {**SAMPLES, "n_best": 5, "sampling": {"top_p": 0.9}}, False),
    ("MBR chrF of beam 20", {"beam_size": 20, "mbr": "chrf"}, False),
    *(
        (
            f"MBR {name} of 64 samples, epsilon 0.02",
            {**SAMPLES, "mbr": name, "sampling": {"n": 64, "epsilon": 0.02}},
            False,
        )
        for name in ("chrf", "bleu")
    ),
    ("ensemble, beam 5", {}, True),
    ("ensemble, greedy", {"beam_size": 1}, True),
]
HEADS = "| way | BLEU | chrF | oracle BLEU | oracle chrF | of n | other | sentences/s |"


def main() -> None:
    """Print a row a way."""
    arguments = parse()
    sources, references = (
        list(islice(read_lines(file), arguments.sentences))
        for file in (Path(arguments.source), Path(arguments.reference))
    )
    require(len(sources) == len(references), "the two files have different numbers of lines")
    single, *others = arguments.checkpoint
    translators = {False: load(single, arguments.threads)}
    if others:
        translators[True] = load(arguments.checkpoint, arguments.threads)
    language = translators[False].settings.data.target
    ways = [way for way in WAYS if way[2] in translators and way[0].startswith(arguments.only)]
    require(bool(ways), f"--only={arguments.only}: no way begins so with these checkpoints")
    print(HEADS)
    print("|---" * HEADS.count(" |") + "|")
    first: list[str] = []
    for name, settings, together in ways:
        began = time.perf_counter()
        config = from_mapping(SearchConfig, settings)
        found = list(translators[together].translate(sources, config))
        speed = len(sources) / (time.perf_counter() - began)
        first = first or [each.text for each in found]
        print(row(name, found, references, first, language, speed), flush=True)
    print(bleu(first, references, language).signature, chrf(first, references).signature)
    for key, value in environment(translators[False].device).items():
        print(f"{key}: {value}")


def load(checkpoint: Any, threads: int | None) -> Translator:
    """As the commands do."""
    return start(RequestSettings(checkpoint=checkpoint, threads=threads))


def row(
    name: str,
    found: Sequence[Translation],
    references: list[str],
    first: list[str],
    language: str,
    speed: float,
) -> str:
    """A line of the table."""
    texts = [each.text for each in found]
    best = [oracle(each.texts, text) for each, text in zip(found, references, strict=True)]
    n = max(len(each.outputs) for each in found)
    other = sum(map(str.__ne__, texts, first)) / len(texts)
    values = [
        *(f"{scores.value:.2f}" for scores in judged(texts, references, language)),
        *(f"{scores.value:.2f}" if n > 1 else "" for scores in judged(best, references, language)),
        str(n) if n > 1 else "",
        f"{100 * other:.1f} %",
        f"{speed:.1f}",
    ]
    return f"| {name} | {' | '.join(values)} |"


def judged(texts: list[str], references: list[str], language: str) -> list[Any]:
    """BLEU and chrF."""
    return [bleu(texts, references, language), chrf(texts, references)]


def oracle(texts: Sequence[str], reference: str) -> str:
    """Which of `texts` is most like the `reference`."""
    metric = CHRF()
    return max(texts, key=lambda text: metric.sentence_score(text, [reference]).score)


def parse() -> argparse.Namespace:
    """The command line."""
    description, _, _ = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--checkpoint", nargs="+", required=True, help="run folders")
    parser.add_argument("--source", required=True)
    parser.add_argument("--reference", required=True)
    parser.add_argument("--sentences", type=positive, help="default: all")
    parser.add_argument("--threads", type=positive)
    parser.add_argument("--only", default="", help="ways whose name begins so")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
