"""Text of the target language becomes a tagged corpus of synthetic pairs, by a reverse model.

After Sennrich et al. (2016); with --search sampling as Edunov et al. (2018), with the tag as
Caswell et al. (2019). For a model from English into German, the reverse model translates German
text into English; the pairs become OUTPUT.en, which the model wrote, and OUTPUT.de, the text as it
was. OUTPUT.en.raw keeps all translations, a line for a line: a command that was interrupted goes
on from there when it is run again, and another --max-ratio costs no translation.

    python scripts/backtranslate.py --checkpoint runs/de-en --input mono.de \\
        --output DIR/synthetic --source en --target de
"""

import argparse
import json
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from measuring import output_folder, positive, run

from transformer.checkpoint import Checkpoint, find_checkpoint
from transformer.config import (
    CorpusConfig,
    SamplingConfig,
    SearchConfig,
    SearchMethod,
    TranslateSettings,
)
from transformer.config.languages import check_language
from transformer.errors import Stopped, require
from transformer.text.digests import digest_file
from transformer.text.files import read_pairs
from transformer.text.tokenizer import Tokenizers
from transformer.translation import open_output, translate_file
from transformer.translation.resume import fingerprint

MAX_RATIO = 3.0
BLOCK = 10_000  # pairs whose pieces are counted at once
Pair = tuple[str, str]


@dataclass
class Counts:
    """Pairs, by what becomes of them."""

    kept: int = 0
    blank: int = 0
    uneven: int = 0


def main() -> None:
    """Translate, filter, and say how to train with what is left."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = parse()
    checkpoint = Checkpoint(find_checkpoint(arguments.checkpoint, "--checkpoint"))
    settings = settings_of(arguments, checkpoint)
    try:
        translate(settings)
    except Stopped as stopped:
        sys.exit(str(stopped))
    counts = write(arguments, checkpoint.tokenizers)
    print(
        f"{counts.kept + counts.blank + counts.uneven} lines: {counts.kept} pairs written, "
        f"{counts.blank} with a blank side left out, {counts.uneven} with sides more uneven than "
        f"--max-ratio={arguments.max_ratio:g}",
        file=sys.stderr,
    )
    print(f"'data.train=[DIR/train,{{path: {shown(arguments.output)}, tag: {arguments.tag}}}]'")


def settings_of(arguments: argparse.Namespace, checkpoint: Checkpoint) -> TranslateSettings:
    """The translation; InputError where the model does not translate in this direction."""
    data = checkpoint.settings.data
    known = ", ".join(f"{source} into {target}" for source, target in data.directions)
    require(
        (arguments.target, arguments.source) in data.directions,
        f"--checkpoint={arguments.checkpoint} translates {known}; --source={arguments.source} "
        f"--target={arguments.target} needs a model from {arguments.target} into "
        f"{arguments.source}",
    )
    seed = SamplingConfig.seed if arguments.seed is None else arguments.seed
    search = SearchConfig(
        method=arguments.search,
        sampling=SamplingConfig(seed=seed),
        batch_tokens=arguments.batch_tokens,
    )
    return TranslateSettings(
        checkpoint=str(arguments.checkpoint),
        input=str(arguments.input),
        output=str(raw_of(arguments)),
        search=search,
        processes=arguments.processes,
        threads=arguments.threads,
        device=arguments.device,
        target_language=arguments.source if data.tagged_languages else None,
    )


def raw_of(arguments: argparse.Namespace) -> Path:
    """The file of all translations."""
    return Path(f"{arguments.output}.{arguments.source}.raw")


def translate(settings: TranslateSettings) -> None:
    """Make the file of all translations, unless it is there, of these settings and this input."""
    raw = Path(str(settings.output))
    note = raw.with_name(f"{raw.name}.json")
    state = {
        "fingerprint": fingerprint(settings),
        "input": digest_file(Path(str(settings.input))).hex(),
    }
    if raw.is_file() and note.is_file() and note.read_text(encoding="utf-8") == json.dumps(state):
        print(f"{raw} holds the translations of this text already", file=sys.stderr)
        return
    note.unlink(missing_ok=True)
    translate_file(settings)
    note.write_text(json.dumps(state), encoding="utf-8")


def write(arguments: argparse.Namespace, tokenizers: Tokenizers) -> Counts:
    """Write the pairs that are kept, and count all; InputError where none is."""
    counts = Counts()
    files = [f"{arguments.output}.{side}" for side in (arguments.source, arguments.target)]
    with ExitStack() as stack:
        sides = [stack.enter_context(open_output(file)) for file in files]
        pairs = read_pairs(raw_of(arguments), arguments.input)
        for pair in kept(pairs, tokenizers, arguments.max_ratio, counts):
            for side, text in zip(sides, pair, strict=True):
                side.write(f"{text}\n")
        require(
            counts.kept > 0,
            f"no pair of --input={arguments.input} is left: {counts.blank} have a blank side, "
            f"{counts.uneven} are more uneven than --max-ratio={arguments.max_ratio:g}",
        )
    return counts


def kept(
    pairs: Iterable[Pair], tokenizers: Tokenizers, max_ratio: float, counts: Counts
) -> Iterator[Pair]:
    """The pairs without a blank side of which neither is too long beside the other, in pieces.

    The reverse model's tokenizers are the other way round: what it wrote is its target.
    """
    remaining = iter(pairs)
    while block := list(islice(remaining, BLOCK)):
        full = [pair for pair in block if pair[0].strip() and pair[1].strip()]
        counts.blank += len(block) - len(full)
        written = tokenizers.target.encode([source for source, _ in full])
        read = tokenizers.source.encode([target for _, target in full])
        for pair, *ids in zip(full, written, read, strict=True):
            shorter, longer = sorted(map(len, ids))
            if longer > max_ratio * max(shorter, 1):
                counts.uneven += 1
            else:
                counts.kept += 1
                yield pair


def shown(path: Path) -> str:
    """The path as an override can hold it."""
    text = str(path)
    plain = all(character.isalnum() or character in "/._-~" for character in text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def parse() -> argparse.Namespace:
    """The command line; InputError for what no model is needed to refuse."""
    description, _, _ = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--checkpoint", required=True, help="the reverse model: a run's folder")
    parser.add_argument("--input", type=Path, required=True, help="text of the target language")
    parser.add_argument("--output", type=Path, required=True, help="stem of the two files")
    parser.add_argument("--source", required=True, help="language that the reverse model writes")
    parser.add_argument("--target", required=True, help="language of the input")
    parser.add_argument(
        "--search", type=str, default=SearchMethod.beam.name, help="beam (default) or sampling"
    )
    parser.add_argument("--seed", type=int, help=f"of sampling; default: {SamplingConfig.seed}")
    parser.add_argument("--batch-tokens", type=positive, default=SearchConfig.batch_tokens)
    parser.add_argument("--processes", type=positive, default=1)
    parser.add_argument("--threads", type=positive)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--tag", default="bt", help="of the corpus; default: bt")
    parser.add_argument(
        "--max-ratio", type=float, default=MAX_RATIO, help="longer side over shorter, in pieces"
    )
    arguments = parser.parse_args()
    for key in ("source", "target"):
        check_language(f"--{key}", getattr(arguments, key))
    require(
        arguments.source != arguments.target,
        f"--source={arguments.source} and --target={arguments.target} are one language",
    )
    CorpusConfig(path=str(arguments.output), tag=arguments.tag)
    require(
        1 <= arguments.max_ratio < float("inf"),
        f"--max-ratio={arguments.max_ratio:g} must be at least 1",
    )
    require(
        arguments.seed is None or arguments.search == SearchMethod.sampling.name,
        f"--seed={arguments.seed} goes with --search sampling",
    )
    require(arguments.input.is_file(), f"--input={arguments.input} is no file")
    check_output(arguments)
    return arguments


def check_output(arguments: argparse.Namespace) -> None:
    """Make the output's folder; InputError where the input would be replaced."""
    output_folder(arguments.output.parent)
    for side in (arguments.source, arguments.target):
        file = Path(f"{arguments.output}.{side}")
        require(
            not file.is_file() or not file.samefile(arguments.input),
            f"--output={arguments.output} would replace --input={arguments.input}; give another",
        )


if __name__ == "__main__":
    run(main)
