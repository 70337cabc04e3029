"""The translate command: from a file or standard input to a file or standard output."""

import logging
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from transformer.checkpoint import SETTINGS, find_checkpoint
from transformer.config import (
    DataConfig,
    LineFormat,
    Resume,
    TrainSettings,
    TranslateSettings,
    load_settings,
)
from transformer.signals import immediate
from transformer.translation.lines import Lines, Window
from transformer.translation.output import (
    can_be_replaced,
    open_output,
    require_other_file,
    resolve,
)
from transformer.translation.processes import translated
from transformer.translation.progress import line_progress
from transformer.translation.resume import Part, fingerprint, open_part
from transformer.translation.sources import chosen_language, target_languages

logger = logging.getLogger(__name__)


def translate_file(settings: TranslateSettings) -> None:
    """Translate `settings.input` to `settings.output`, a line for a line.

    With n_best > 1, text has a line a hypothesis. From file to file, a command that was
    interrupted goes on where it stopped when it is run again.
    """
    require_other_file("input", settings.input, settings.output)
    if settings.input and settings.output and are_files(settings.input, settings.output):
        _to_file(settings, settings.output)
    else:
        _to_stream(settings)


def data_of(settings: TranslateSettings) -> DataConfig:
    """What the first of the models was trained on; all agree on how lines are read."""
    file = find_checkpoint(settings.checkpoints[0]) / SETTINGS
    return load_settings(TrainSettings, file).data


def _lines(settings: TranslateSettings) -> Lines:
    """The lines to translate; InputError where nothing says what they are to be translated into."""
    data = data_of(settings)
    if settings.input_format is LineFormat.text:
        chosen_language(settings.target_language, target_languages(data))
    return Lines(settings.input, settings.input_format, data.context.source)


def are_files(source: str, output: str) -> bool:
    """Whether both, unlike pipes and devices, keep what they hold."""
    return can_be_replaced(Path(source)) and can_be_replaced(resolve(output))


def _to_file(settings: TranslateSettings, output: str) -> None:
    with (
        # Unlike KeyboardInterrupt, Stopped says to run the command again.
        immediate("before all lines were translated"),
        open_part(output, fingerprint(settings)) as part,
        closing(_lines(settings)) as lines,
    ):
        _resume(part, lines, settings.resume)
        _translate(settings, lines, part.write)


def _to_stream(settings: TranslateSettings) -> None:
    with (
        open_output(settings.output) as output,
        closing(_lines(settings)) as lines,
    ):

        def write(text: str, _: Window) -> None:
            output.write(text)
            output.flush()

        _translate(settings, lines, write)


def _resume(part: Part, lines: Lines, resume: Resume) -> None:
    """Leave out the lines whose translations `part` holds, or empty it where it is of others."""
    record = part.record
    if record is None:
        part.begin()
        return
    found = f"{part.aside} holds the translations of {record.lines} lines"
    if resume is Resume.never:
        why = "resume=never"
    elif record.fingerprint != part.fingerprint:
        why = "they are of other settings or another model"
    elif lines.skip(record.lines) != record.digest:
        why = "they are of another input"
    else:
        part.go_on()
        logger.info("%s; going on behind them", found)
        return
    logger.info("%s, but %s; beginning anew", found, why)
    part.begin()
    lines.rewind()


def _translate(
    settings: TranslateSettings, lines: Lines, write: Callable[[str, Window], None]
) -> None:
    windows = lines.windows()
    typed = settings.input is None and os.isatty(0)
    read = settings.output is None and os.isatty(1)
    with (
        line_progress(lines, wanted=not (typed or read)) as show,
        closing(translated(settings, windows)) as results,
    ):
        for window, text in results:
            write(text, window)
            show(window)
