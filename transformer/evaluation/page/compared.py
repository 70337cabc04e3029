"""Of a page: the run beside others."""

from collections.abc import Sequence

from transformer.config import flatten, to_mapping
from transformer.config import shown as as_written
from transformer.errors import InputError
from transformer.evaluation.page.runs import Run
from transformer.evaluation.page.subject import Scored, Subject
from transformer.evaluation.page.translated import TranslatedSet
from transformer.evaluation.results import shown
from transformer.metrics import Paired, compare, score_sentences
from transformer.pictures.curves import difference_histogram
from transformer.pictures.page import Section
from transformer.pictures.parts import Parts, Sentence, sentence
from transformer.tables import Cell, Table

_LOWER_IS_BETTER = ("TER",)  # beginnings of metrics' names


def compared_section(subject: Subject) -> Section:
    """Scores, significance, gains and losses beside the runs of `against`."""
    parts = Parts()
    if not subject.others:
        parts.absent(
            ["Nothing to compare with: against=runs/OTHER puts another run beside this one."]
        )
        return parts.section("beside", "Side by side")
    for each, beside in zip(subject.scored, subject.beside, strict=True):
        if beside:
            parts.head(each.text.label)
            _set(subject, each, beside, parts)
    parts.absent(_unmatched(subject))
    parts.head("Settings that differ")
    _settings(subject.run, subject.others, parts)
    return parts.section("beside", "Side by side")


def _set(
    subject: Subject, each: Scored, beside: Sequence[tuple[Run, TranslatedSet]], parts: Parts
) -> None:
    """The systems that translated one set."""
    text, settings = each.text, subject.settings
    systems = {subject.run.name: text.translations}
    systems |= {run.name: other.translations for run, other in beside}
    references = [text.references]
    try:
        found = compare(
            systems,
            subject.run.name,
            references,
            text.language,
            settings.metrics,
            settings.significance,
            text.sources,
        )
    except InputError as error:
        parts.absent([f"The systems cannot be compared: {error}."])
        return
    for run, other in beside:
        if len(subject.others) > 1:
            parts.head(f"{subject.run.name} against {run.name}", small=True)
        parts.table(_scores(subject, run.name, found[subject.run.name], found[run.name]))
        theirs = score_sentences(
            "chrf", other.translations, references, text.language, settings.metrics
        )
        gains = [a - b for a, b in zip(each.chrf, theirs, strict=True)]
        _against(subject, each, run, other, gains, parts)


def _scores(subject: Subject, name: str, mine: Sequence[Paired], theirs: Sequence[Paired]) -> Table:
    """A row a metric, of the run and of the one called `name`."""
    level = subject.settings.significance.level
    tests = list(dict.fromkeys(test for each in theirs for test in each.p))
    rows: list[list[Cell]] = []
    for own, other in zip(mine, theirs, strict=True):
        difference = own.score.value - other.score.value
        rows.append(
            [
                own.score.name,
                shown(own.score),
                shown(other.score),
                f"{difference:+.2f}".replace("-", "−"),
                *(_p(other.p.get(test), difference) for test in tests),
                _verdict(own.score.name, difference, other.p, level),
            ]
        )
    note = "No significance was tested: significance.test=none."
    if tests:
        note = (
            "p: how likely chance alone makes a difference as large (paired "
            f"{' and '.join(tests)}); below {level:g} it is called better or worse."
        )
    heads = [f"p, {test}" if len(tests) > 1 else "p" for test in tests]
    run = subject.run.name
    return Table(["metric", run, name, "difference", *heads, f"{run} is"], rows, notes=[note])


def _p(value: float | None, difference: float) -> str:
    # Of scores that are the same the tests say nothing: they count what exceeds the difference.
    return "" if value is None or difference == 0 else f"{value:.4f}"


def _verdict(name: str, difference: float, p: dict[str, float], level: float) -> str:
    """What the tests allow to say; all that were made have to agree."""
    if difference == 0:
        return "the same"
    if not p or max(p.values()) >= level:
        return "not told apart" if p else ""
    better = (difference < 0) == name.startswith(_LOWER_IS_BETTER)
    return "▲ better" if better else "▼ worse"


def _against(
    subject: Subject,
    each: Scored,
    run: Run,
    other: TranslatedSet,
    gains: Sequence[float],
    parts: Parts,
) -> None:
    """Sentence by sentence against one other run."""
    if other.update != each.text.update:
        parts.note(f"{run.name}: {other.label}.")
    wins, losses = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    parts.balance(wins, len(gains) - wins - losses, losses, run.name)
    title = f"chrF of {subject.run.name} less that of {run.name}, sentence by sentence"
    parts.html(difference_histogram(gains, title=title, unit="points of chrF"))
    n = subject.settings.sentences
    order = sorted(range(len(gains)), key=lambda row: gains[row])
    losing = [row for row in order[:n] if gains[row] < 0]
    winning = [row for row in reversed(order[len(order) - n :]) if gains[row] > 0] if n else []
    if not losing and not winning:
        return
    names = (subject.run.name, run.name)
    rows = [_sentence(each, other, row, gains[row], names) for row in [*winning, *losing]]
    inner = Parts()
    inner.sentences(
        ["line", "difference"], rows, "The reference is marked against the first translation."
    )
    summary = f"The {len(winning)} largest gains and the {len(losing)} largest losses"
    parts.folded(summary, inner)


def _sentence(
    each: Scored, other: TranslatedSet, row: int, gain: float, names: tuple[str, str]
) -> Sentence:
    text = each.text
    return sentence(
        [row + 1, gain],
        text.sources[row],
        text.references[row],
        list(zip(names, (text.translations[row], other.translations[row]), strict=True)),
        by_characters=each.by_characters,
    )


def _unmatched(subject: Subject) -> list[str]:
    """What cannot be compared."""
    if not subject.scored:
        return ["This run has no translations yet that could be compared."]
    notes = []
    for run in subject.others:
        lacking = [
            each.text.label
            for each, beside in zip(subject.scored, subject.beside, strict=True)
            if run not in [found for found, _ in beside]
        ]
        if lacking:
            split = subject.scored[0].text.split
            why = (run.tests if split == "test" else run.valids).notes
            notes.append(
                f"{run.name} has no translations of the same lines of {', '.join(lacking)}. "
                + " ".join(why)
            )
    return notes


def _settings(run: Run, others: Sequence[Run], parts: Parts) -> None:
    flat = [flatten(to_mapping(each.settings)) for each in (run, *others)]
    keys = dict.fromkeys(key for each in flat for key in each if key != "run_dir")
    absent = object()
    rows = [
        [key, *(as_written(each[key]) if key in each else "–" for each in flat)]
        for key in keys
        if any(each.get(key, absent) != flat[0].get(key, absent) for each in flat)
    ]
    if rows:
        parts.table(Table(["setting", run.name, *(other.name for other in others)], rows))
    else:
        parts.paragraph("None but run_dir: the runs differ by chance, or by their code.")
