"""Of a page: its head."""

from datetime import datetime

from transformer import __version__
from transformer.evaluation.page.cost import as_time
from transformer.evaluation.page.runs import Run
from transformer.evaluation.page.subject import Scored, Subject
from transformer.pictures.page import Tile

_MOST_TILES = 3  # of scores


def subtitle(subject: Subject) -> str:
    """The run in a line: what it translates, how far and when it was trained, beside what."""
    run = subject.run
    parts = [run.languages, _state(run)]
    if run.scalars.ended is not None:
        parts.append(f"{datetime.fromtimestamp(run.scalars.ended).astimezone():%d %B %Y}")
    if subject.others:
        parts.append(f"against {', '.join(other.name for other in subject.others)}")
    return " · ".join(parts)


def _state(run: Run) -> str:
    most = run.settings.training.max_updates
    if run.update is None:
        return "not trained yet"
    if run.end is not None:
        return f"trained for {run.update:,} updates"
    of = f" of {most:,}" if most is not None else ""
    return f"update {run.update:,}{of}: training goes on, or was interrupted"


def tiles(subject: Subject) -> list[Tile]:
    """The numbers that stand out."""
    run = subject.run
    found = _score_tiles(subject.scored)
    if run.update is not None:
        found.append(Tile("updates", f"{run.update:,}"))
    if run.minutes is not None:
        found.append(Tile("training time", as_time(run.minutes)))
    if run.n_parameters is not None:
        found.append(Tile("parameters", _short(run.n_parameters)))
    return found


def _score_tiles(scored: list[Scored]) -> list[Tile]:
    """The scores of the one set, else the first metric of each of a few."""
    if not scored:
        return []
    where = "" if scored[0].text.split == "test" else ", validation"
    if len(scored) == 1:
        return [
            _tile(f"{score.name}{where}", score.value, score.margin) for score in scored[0].scores
        ]
    firsts = [(each.text, each.scores[0]) for each in scored[:_MOST_TILES]]
    return [
        _tile(f"{score.name}, {text.name}{where}", score.value, score.margin)
        for text, score in firsts
    ]


def _tile(label: str, value: float, margin: float | None) -> Tile:
    return Tile(label, f"{value:.1f}", "" if margin is None else f"± {margin:.1f}")


def _short(n: int) -> str:
    if n >= 1_000_000:
        return f"{n / 1_000_000:.1f} M"
    return f"{n / 1_000:.0f} k" if n >= 10_000 else f"{n:,}"


def footer() -> str:
    """By what the page was made."""
    return f"Made by transformer report, version {__version__}. The page needs no network."
