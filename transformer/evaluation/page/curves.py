"""Of a page: how training went."""

from transformer.evaluation.page.runs import Run
from transformer.evaluation.page.subject import Subject
from transformer.pictures.curves import Line, line_chart
from transformer.pictures.page import Section
from transformer.pictures.parts import Parts

_TRAIN_LOSS, _VALID_LOSS = "train/loss", "validation/loss"
# Curves with charts of their own: title, name, unit.
_CHARTS = (
    ("BLEU of validation", "validation/bleu", ""),
    ("chrF of validation", "validation/chrf", ""),
    ("Learning rate", "train/learning_rate", ""),
    ("Gradient norm", "train/gradient_norm", ""),
    ("Speed", "speed/target_tokens_per_s", "target tokens/s"),
    ("Memory", "memory/gb", "GB"),
)
_SHARE = "data/share/"
_STYLES = ("dash", "dot", "dashdot", "longdash")  # of the sets, where there are several


def curves_section(subject: Subject) -> Section:
    """Losses, scores, rate, norm, speed, memory and shares of corpora over updates."""
    runs = [subject.run, *subject.others]
    charts = [_loss(runs), *(_chart(runs, *each) for each in _CHARTS), _shares(subject.run)]
    parts = Parts()
    drawn = [chart for chart in charts if chart is not None]
    if drawn:
        parts.lead(
            "A tap or the mouse shows numbers; a click on a name in a legend hides its line."
        )
        parts.figures(drawn)
    for run in runs:
        name = f"{run.name}: " if subject.others else ""
        parts.absent(f"{name}{note}" for note in run.scalars.notes)
    return parts.section("curves", "Curves")


def _loss(runs: list[Run]) -> str | None:
    lines = []
    for number, run in enumerate(runs):
        name = f"{run.name}, " if len(runs) > 1 else ""
        lines += _lines(run, _TRAIN_LOSS, f"{name}training", number, faint=True)
        lines += _lines(run, _VALID_LOSS, f"{name}validation", number, points=True)
        lines += _parts_of(run, _VALID_LOSS, name, number)
    return line_chart(lines, title="Loss", unit="nats a token") if lines else None


def _chart(runs: list[Run], title: str, curve: str, unit: str) -> str | None:
    lines = []
    for number, run in enumerate(runs):
        points = curve.startswith("validation/")
        several = len(runs) > 1
        sets = _parts_of(run, curve, f"{run.name}, " if several else "", number)
        alone = "mean of all sets" if sets else "this run"
        lines += _lines(run, curve, run.name if several else alone, number, points=points)
        lines += sets
    return line_chart(lines, title=title, unit=unit) if lines else None


def _shares(run: Run) -> str | None:
    names = sorted(name for name in run.scalars.curves if name.startswith(_SHARE))
    lines = [
        line
        for number, name in enumerate(names)
        for line in _lines(run, name, name.removeprefix(_SHARE), number)
    ]
    return line_chart(lines, title="Shares of corpora", unit="of pairs") if lines else None


def _lines(
    run: Run, curve: str, name: str, colour: int, *, points: bool = False, faint: bool = False
) -> list[Line]:
    """The line of a curve; none where the run has none."""
    found = run.scalars.curves.get(curve)
    if found is None:
        return []
    line = Line(name, found.updates, found.values, colour=colour, points=points, faint=faint)
    return [line]


def _parts_of(run: Run, curve: str, name: str, colour: int) -> list[Line]:
    """The lines of the sets that a curve is the mean of."""
    sets = sorted(each for each in run.scalars.curves if each.startswith(f"{curve}/"))
    return [
        Line(
            name + each.removeprefix(f"{curve}/"),
            run.scalars.curves[each].updates,
            run.scalars.curves[each].values,
            colour=colour,
            style=_STYLES[i % len(_STYLES)],
            faint=True,
        )
        for i, each in enumerate(sets)
    ]
