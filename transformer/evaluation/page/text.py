"""Of a page: the text that was trained on."""

from collections.abc import Sequence
from typing import Any

from transformer.evaluation.page.subject import Subject
from transformer.pictures.page import Section
from transformer.pictures.parts import Parts
from transformer.tables import Cell, Table
from transformer.text.cleaning.report import CHANGES, RULES, CleaningReport, CorpusReport


def text_section(subject: Subject) -> Section:
    """What cleaning did to the training text, with examples, and what leaked into it."""
    parts = Parts()
    file = subject.run.data_file
    found = subject.run.json(file)
    if found is None and file.exists():
        parts.absent([f"{file.name} is damaged, so that nothing is known of cleaning."])
    elif found is None:
        note = (
            f"There is no {file.name}: training has not prepared its text yet, or it was begun by "
            "a version that left none. transformer prepare prints the same report."
        )
        parts.absent([note])
    else:
        _report(found, parts)
        _leaks(found.get("leaks"), parts)
    return parts.section("text", "Training text")


def _report(found: dict[str, Any], parts: Parts) -> None:
    try:
        report = CleaningReport.from_dict(found["report"])
    except (KeyError, TypeError, ValueError, AttributeError):
        parts.absent(["data.json holds no cleaning report that this version can read."])
        return
    share = f" ({report.kept / report.total:.1%})" if report.total else ""
    parts.lead(f"Of {report.total:,} training pairs {report.kept:,}{share} were kept.")
    parts.table(_table(report))
    for name, corpus in report.corpora.items():
        examples = _examples(corpus)
        if examples:
            inner = Parts()
            inner.table(Table(["what", "source, or before", "target, or after"], examples))
            parts.folded(f"Examples of what was dropped or changed: {name}", inner)


def _table(report: CleaningReport) -> Table:
    """A row for each corpus, rule and change that was asked."""
    rows: list[list[Cell]] = []
    for name, corpus in report.corpora.items():
        rows.append([name, "pairs", corpus.total, None])
        rows += _counts(corpus, name, "changed", CHANGES, corpus.changed)
        rows += _counts(corpus, name, "dropped", RULES, corpus.dropped)
        rows.append([name, "kept", corpus.kept, _percent(corpus, corpus.kept)])
    return Table(["corpus", "what", "pairs", "%"], rows)


def _counts(
    corpus: CorpusReport, name: str, verb: str, order: Sequence[str], counts: dict[str, int]
) -> list[list[Cell]]:
    """A row for each rule or change that was asked, in the order in which they are."""
    asked = [rule for rule in order if rule in counts]
    asked += [rule for rule in counts if rule not in order]
    return [
        [name, f"{verb}: {rule}", counts[rule], _percent(corpus, counts[rule])] for rule in asked
    ]


def _percent(corpus: CorpusReport, n: int) -> float | None:
    return 100 * n / corpus.total if corpus.total else None


def _examples(corpus: CorpusReport) -> list[list[Cell]]:
    return [
        [name, first, second]
        for name in (*RULES, *CHANGES)
        for first, second in corpus.examples.get(name, ())
    ]


def _leaks(leaks: Any, parts: Parts) -> None:
    """How many training pairs hold text of validation and test sets."""
    if not isinstance(leaks, dict) or not leaks:
        parts.absent(["Leaks were not looked for: data.leaks=ignore. Train with data.leaks=warn."])
        return
    rows: list[list[Cell]] = [[str(side), _count(n)] for side, n in leaks.items()]
    if not any(isinstance(n, int) and n for _, n in rows):
        parts.paragraph("No text of the validation and test sets was found in the training text.")
    parts.table(Table(["side", "training pairs"], rows, "Leaks of validation and test text"))


def _count(value: Any) -> Cell:
    return value if isinstance(value, int | float | str) else str(value)
