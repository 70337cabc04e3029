"""The score command: from two parallel files to a file or standard output."""

import json
from collections.abc import Iterator
from itertools import tee
from pathlib import Path
from typing import Any

from transformer.config import LineFormat, ScoreSettings
from transformer.text.files import read_pairs
from transformer.translation.alignment import format_alignment
from transformer.translation.output import open_output, require_other_file
from transformer.translation.progress import with_progress
from transformer.translation.request import Output
from transformer.translation.translator import Translator, start


def score_file(settings: ScoreSettings) -> None:
    """Score each line of `settings.target` as a translation of that line of `settings.source`.

    Text is the score by which the search ranks, with 6 decimals, a line for a line. InputError
    where one file has more lines.
    """
    for key, file in (("source", settings.source), ("target", settings.target)):
        require_other_file(key, file, settings.output)
    with open_output(settings.output) as output:
        translator = start(settings)
        for line in with_progress(score_lines(translator, settings), "scoring"):
            output.write(line + "\n")


def score_lines(translator: Translator, settings: ScoreSettings) -> Iterator[str]:
    """The output line of each pair."""
    to_score, to_show = tee(read_pairs(Path(settings.source), Path(settings.target)))
    outputs = translator.score(
        to_score, settings.search, alignment=settings.alignment, attention=settings.attention
    )
    for output, (source, _) in zip(outputs, to_show, strict=True):
        if settings.output_format is LineFormat.jsonl:
            yield as_json(source, output)
        else:
            yield as_text(output)


def as_text(output: Output) -> str:
    """The score, and where it was asked for, behind a tab the alignment in Pharaoh's format."""
    links = "" if output.alignment is None else f"\t{format_alignment(output.alignment)}"
    return f"{output.score:.6f}{links}"


def as_json(source: str, output: Output) -> str:
    """A JSON object; what was not asked for is left out."""
    values: dict[str, Any] = {
        "source": source,
        "target": output.text,
        "score": output.score,
        "log_probability": output.log_probability,
        "tokens": list(output.tokens),
        "token_log_probabilities": list(output.token_log_probabilities),
    }
    if output.alignment is not None:
        values["alignment"] = [list(link) for link in output.alignment]
    if output.attention is not None:
        values["attention"] = [list(row) for row in output.attention]
    return json.dumps(values, ensure_ascii=False)
