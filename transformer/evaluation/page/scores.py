"""Of a page: what the translations are worth."""

from statistics import fmean
from typing import Any

from transformer.evaluation.page.subject import Scored, Subject, signatures
from transformer.evaluation.results import shown
from transformer.evaluation.run import RESULT
from transformer.pictures.page import Section
from transformer.pictures.parts import Parts
from transformer.tables import Cell, Table


def scores_section(subject: Subject) -> Section:
    """Each set's scores with intervals and signatures, and their mean."""
    parts = Parts()
    if subject.scored:
        parts.lead(_lead(subject))
        parts.table(_table(subject.scored))
        parts.signatures(signatures([(each.text.label, each.scores) for each in subject.scored]))
    else:
        _as_kept(subject, parts)
    parts.absent(subject.missing)
    return parts.section("scores", "Scores")


def _lead(subject: Subject) -> str:
    interval = (
        "± is half the interval of 95 %, by the bootstrap with "
        f"{subject.settings.metrics.resamples:,} resamples."
        if subject.settings.metrics.resamples > 1
        else ""
    )
    if subject.scored[0].text.split == "valid":
        return (
            "There is no translated test set, so these are translations of the newest validation, "
            f"which are often made with a narrower beam. {interval}"
        )
    made_by = (subject.run.json(subject.run.path / RESULT) or {}).get("made_by")
    checkpoint = made_by.get("checkpoint") if isinstance(made_by, dict) else None
    of = f" Translated with checkpoint {checkpoint}." if checkpoint else ""
    return f"{interval}{of} Lower is better of TER, higher of all others."


def _table(scored: list[Scored]) -> Table:
    names = [score.name for score in scored[0].scores]
    rows: list[list[Cell]] = [
        [each.text.label, *map(shown, each.scores), len(each.text.sources)] for each in scored
    ]
    if len(scored) > 1:
        columns = zip(*([score.value for score in each.scores] for each in scored), strict=True)
        means = [f"{fmean(values):.2f}" for values in columns]
        rows.append([f"mean of {len(scored)} sets", *means, None])
    return Table(["set", *names, "sentences"], rows)


def _as_kept(subject: Subject, parts: Parts) -> None:
    """What the run's own test found, where the text itself is not at hand."""
    kept = subject.run.json(subject.run.path / RESULT)
    rows = _kept_rows(kept) if kept is not None else []
    if rows:
        parts.lead("These numbers are those of test.json, which the end of training left.")
        parts.table(Table(["set", "metric", "score", "signature"], rows))


def _kept_rows(kept: dict[str, Any]) -> list[list[Cell]]:
    sets = kept.get("sets", [kept])
    try:
        return [
            [
                str(each.get("name") or "test"),
                str(score["name"]),
                float(score["value"]),
                str(score["signature"]),
            ]
            for each in sets
            for score in each["scores"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError):
        return []
