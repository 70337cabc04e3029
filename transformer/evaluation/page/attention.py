"""Of a page: where the model looks."""

from pathlib import Path

from transformer.config import EvaluateSettings, Unit
from transformer.errors import InputError
from transformer.evaluation.page.subject import NO_TRANSLATIONS, Scored, Subject
from transformer.pictures.interactive import attention_section as drawn
from transformer.pictures.page import Section
from transformer.pictures.parts import Parts
from transformer.translation import Translator
from transformer.translation.looking import fits, look
from transformer.translation.sets import requests_of

# Of a sentence and of its translation that can still be read in a picture.
_MOST_WORDS, _MOST_WRITTEN = 25, 40


def attention_section(subject: Subject) -> Section:
    """Heat-maps of a few sentences of the first set, and which they are."""
    n, parts = subject.settings.attention, Parts()
    if n == 0:
        parts.absent(["No attention was asked for: attention=0. Give attention=3."])
    elif not subject.scored:
        parts.absent([NO_TRANSLATIONS])
    elif subject.run.checkpoint is None:
        parts.absent(["There is no checkpoint to look at; training.checkpoint_every makes them."])
    else:
        try:
            _draw(subject, subject.scored[0], subject.run.checkpoint, parts)
        except InputError as error:
            parts.absent([f"The attention cannot be shown: {error}."])
    return parts.section("attention", "Attention")


def _draw(subject: Subject, each: Scored, checkpoint: Path, parts: Parts) -> None:
    settings = subject.settings
    translator = Translator.of(
        EvaluateSettings(
            checkpoint=str(checkpoint), device=settings.device, threads=settings.threads
        )
    )
    chosen = chosen_rows(each, settings.attention, translator)
    if not chosen:
        none = (
            f"No sentence of 1 to {_MOST_WORDS} words has a translation of 1 to {_MOST_WRITTEN}, "
            "which is what can be read in a picture."
        )
        parts.absent([none])
        return
    text = each.text
    requests = requests_of(text.rows, text.language, translator.settings.data)
    found = look(
        translator,
        [requests[row] for row in chosen],
        [text.translations[row] for row in chosen],
        Unit.words,
    )
    of = "; ".join(f"line {row + 1}, {why}" for row, why in chosen.items())
    parts.lead(
        f"Of the {text.label}: {of}. The targets are the run's own translations, as checkpoint "
        f"{checkpoint.name} reads them."
    )
    parts.html(drawn(found, numbers=[row + 1 for row in chosen]).html)


def chosen_rows(each: Scored, n: int, translator: Translator) -> dict[int, str]:
    """`n` rows at most, each with why it was chosen: the worst, of median length, the longest, …

    None is blank, cut into parts, or longer than can be read in a picture, and none has such a
    translation.
    """
    text, lengths, written = each.text, each.lengths, each.analysis.lines.translation_words
    rows = [
        row
        for row, length in enumerate(lengths)
        if 0 < length <= _MOST_WORDS
        and 0 < len(written[row]) <= _MOST_WRITTEN
        and fits(translator, text.sources[row], text.translations[row])
    ]
    if not rows:
        return {}
    by_length = sorted(rows, key=lambda row: (lengths[row], row))
    worst = sorted(rows, key=lambda row: (each.chrf[row], row))
    wanted = [
        (worst[0], "the worst by chrF"),
        (by_length[len(rows) // 2], "of median length"),
        (by_length[-1], f"the longest of up to {_MOST_WORDS} words"),
        (worst[-1], "the best by chrF"),
    ]
    # Those behind are spread over all lengths.
    spread = [by_length[i * len(rows) // n] for i in range(n)]
    wanted += [(row, f"of {lengths[row]} words") for row in spread]
    chosen: dict[int, str] = {}
    for row, why in wanted:
        chosen.setdefault(row, why)
    return dict(list(chosen.items())[:n])
