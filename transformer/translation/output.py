"""The output of the translate command: how it looks, and where it goes."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from transformer.config import LineFormat, TranslateSettings
from transformer.errors import InputError, require
from transformer.translation.alignment import format_alignment
from transformer.translation.request import Output, Translation


def format_translations(
    translations: Sequence[Translation], first: int, settings: TranslateSettings
) -> str:
    """The output lines of a window whose first line has the number `first` in the input."""
    if settings.output_format is LineFormat.jsonl:
        lines = (_object(translation, settings) for translation in translations)
    elif settings.search.n_best == 1:
        lines = (_text(translation.outputs[0], settings) for translation in translations)
    else:
        lines = (
            _moses(number, output, settings)
            for number, translation in enumerate(translations, start=first)
            for output in translation.outputs
        )
    return "".join(line + "\n" for line in lines)


def _text(output: Output, settings: TranslateSettings) -> str:
    """The text, and where it was asked for, behind a tab the alignment."""
    return f"{output.text}\t{_links(output)}" if settings.alignment else output.text


def _moses(number: int, output: Output, settings: TranslateSettings) -> str:
    """A line of Moses' n-best lists: number of the input line, text, score, alignment."""
    fields = [str(number), output.text, f"{output.score:.6f}"]
    if settings.alignment:
        fields.append(_links(output))
    return " ||| ".join(fields)


def _links(output: Output) -> str:
    return format_alignment(output.alignment or ())


def _object(translation: Translation, settings: TranslateSettings) -> str:
    """A JSON object; what was not asked for is left out."""
    hypotheses = [_hypothesis(output, settings) for output in translation.outputs]
    return json.dumps({"source": translation.source, "hypotheses": hypotheses}, ensure_ascii=False)


def _hypothesis(output: Output, settings: TranslateSettings) -> dict[str, Any]:
    values: dict[str, Any] = {
        "text": output.text,
        "score": output.score,
        "log_probability": output.log_probability,
        "tokens": list(output.tokens),
        "token_log_probabilities": list(output.token_log_probabilities),
        "finished": output.finished,
    }
    if settings.alignment:
        values["alignment"] = [list(link) for link in output.alignment or ()]
    if settings.attention:
        values["attention"] = [list(row) for row in output.attention or ()]
    return values


def require_other_file(key: str, file: str | None, output: str | None) -> None:
    """Raise InputError where the `output` would replace the `file` that `key` names."""
    if file and output and Path(output).is_file() and Path(file).is_file():
        require(
            not Path(output).samefile(file),
            f"output={output} is the same file as {key}={file}; give another output",
        )


def resolve(output: str) -> Path:
    """The file to write, behind links; InputError where its folder is missing."""
    file = Path(os.path.realpath(output))
    require(
        file.parent.is_dir(),
        f"output={output} cannot be written: there is no folder {file.parent}; make it first",
    )
    return file


def can_be_replaced(file: Path) -> bool:
    """Whether `file` is missing or a regular one, unlike /dev/null."""
    return file.is_file() or not file.exists()


@contextmanager
def open_output(path: str | None) -> Iterator[IO[str]]:
    """A stream to the file `path`, which appears when all is written; None: standard output.

    What cannot be replaced is written to as it is. InputError where the file cannot be written.
    """
    if path is None:
        with open(sys.stdout.fileno(), "w", encoding="utf-8", newline="\n", closefd=False) as out:
            yield out
        return
    file = resolve(path)
    aside = aside_of(file) if can_be_replaced(file) else file
    try:
        out = aside.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"output={path} cannot be written: {error.strerror}") from error
    try:
        with out:
            yield out
        if aside != file:
            aside.replace(file)
    finally:
        if aside != file:
            aside.unlink(missing_ok=True)


def aside_of(file: Path) -> Path:
    """Where `file` is written until it is complete."""
    return file.with_name(f".{file.name}.{os.getpid()}")
