"""Of a page: where translations are good and bad."""

from collections.abc import Sequence

from transformer.errors import InputError
from transformer.evaluation.analysis import Bucket
from transformer.evaluation.page.subject import NO_TRANSLATIONS, Subject
from transformer.pictures.curves import Bars, bar_chart
from transformer.pictures.page import Section
from transformer.pictures.parts import Parts


def results_section(subject: Subject) -> Section:
    """Scores by length and rare words, and what is wrong with translations, set by set."""
    parts = Parts()
    if not subject.scored:
        parts.absent([NO_TRANSLATIONS])
    elif subject.training_notes:
        parts.absent(subject.training_notes)
    for number, each in enumerate(subject.scored):
        if len(subject.scored) > 1:
            parts.head(each.text.label)
        parts.figures(_charts(subject, number))
        tables = each.analysis.tables()
        if len(subject.scored) == 1:
            for table in tables:
                parts.table(table)
        else:
            inner = Parts()
            for table in tables:
                inner.table(table)
            parts.folded("The numbers, and what goes wrong", inner)
    return parts.section("results", "Where it is good and bad")


def _charts(subject: Subject, number: int) -> list[str]:
    """The first metric by length and by rare words, of all runs that translated the set."""
    each = subject.scored[number]
    scored = [(subject.run.name, each)]
    for run, text in subject.beside[number]:
        try:
            scored.append((run.name, subject.score(text, each.analysis.training)))
        except InputError:  # said where the runs are compared
            continue
    charts = [
        _chart([(name, one.analysis.by_length) for name, one in scored], "words of the source"),
        _chart(
            [(name, one.analysis.by_rarity or []) for name, one in scored],
            "share of rare words in the source",
        ),
    ]
    return [chart for chart in charts if chart is not None]


def _chart(systems: Sequence[tuple[str, Sequence[Bucket]]], what: str) -> str | None:
    """A bar for each system and bucket; None where no bucket has a score."""
    _, first = systems[0]
    if not first or not first[0].scores:
        return None
    metric = first[0].scores[0].name
    bars = [_bars(name, buckets, colour) for colour, (name, buckets) in enumerate(systems)]
    labels = [bucket.label for bucket in first]
    return bar_chart(labels, bars, title=f"{metric} by {what}", unit=metric)


def _bars(name: str, buckets: Sequence[Bucket], colour: int) -> Bars:
    return Bars(
        name,
        [bucket.scores[0].value for bucket in buckets],
        notes=[f"{bucket.n:,} sentences" for bucket in buckets],
        colour=colour,
    )
