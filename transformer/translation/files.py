"""The translate command: from a file or standard input to a file or standard output."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import track

from transformer.config import TranslateSettings
from transformer.device import set_threads
from transformer.errors import InputError, require
from transformer.text.files import read_lines, split_lines
from transformer.translation.translator import Translation, Translator


def translate_file(settings: TranslateSettings) -> None:
    """Translate `settings.input` to `settings.output`, a line for a line.

    With n_best > 1 the output has a line a hypothesis, in Moses' format: number of the input line
    from 0, text and score, between bars.
    """
    set_threads(settings.threads)
    lines: Iterable[str] = split_lines(sys.stdin.buffer, "standard input")
    if settings.input is not None:
        lines = read_lines(Path(settings.input))
    require_other_file("input", settings.input, settings.output)
    with open_output(settings.output) as output:
        translator = Translator.load(settings.checkpoint, settings.device, settings.precision)
        translations = translator.translate(lines, settings.search)
        for number, translation in enumerate(with_progress(translations)):
            output.writelines(format_lines(number, translation, settings.search.n_best))


def format_lines(number: int, translation: Translation, n_best: int) -> list[str]:
    """The output lines of one input line."""
    if n_best == 1:
        return [translation.text + "\n"]
    return [
        f"{number} ||| {text} ||| {score:.6f}\n"
        for text, score in zip(translation.texts, translation.scores, strict=True)
    ]


def require_other_file(key: str, file: str | None, output: str | None) -> None:
    """Raise InputError where the `output` would replace the `file` that `key` names."""
    if file and output and Path(output).is_file() and Path(file).is_file():
        require(
            not Path(output).samefile(file),
            f"output={output} is the same file as {key}={file}; give another output",
        )


@contextmanager
def open_output(path: str | None) -> Iterator[IO[str]]:
    """A stream to the file `path`, which appears when all is written; None: standard output.

    InputError where the file cannot be written.
    """
    if path is None:
        with open(sys.stdout.fileno(), "w", encoding="utf-8", newline="\n", closefd=False) as out:
            yield out
        return
    file = Path(os.path.realpath(path))  # a link is written through, not replaced
    require(
        file.parent.is_dir(), f"output={path} cannot be written: there is no folder {file.parent}"
    )
    # What is no regular file, such as /dev/null, cannot be replaced: it is written to as it is.
    aside = file if file.exists() and not file.is_file() else aside_of(file)
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


def with_progress(translations: Iterator[Translation]) -> Iterable[Translation]:
    """The same items, counted on standard error where that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return translations
    return track(translations, "translating", console=console, transient=True)
