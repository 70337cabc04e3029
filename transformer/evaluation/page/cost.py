"""Of a page: what training cost."""

from collections.abc import Callable
from statistics import median

from transformer.evaluation.page.runs import Run
from transformer.evaluation.page.subject import Subject
from transformer.pictures.page import Section
from transformer.pictures.parts import Parts
from transformer.tables import Table


def cost_section(subject: Subject) -> Section:
    """Time, speed, memory and energy, beside those of other runs."""
    runs = [subject.run, *subject.others]
    rows = [[name, *(tell(run) for run in runs)] for name, tell in _ROWS]
    parts = Parts()
    note = (
        "Speed: the median over the log lines. Time includes validation. Memory is the GPU's where "
        "there is one, else that of the process."
    )
    heads = [run.name for run in runs] if subject.others else ["this run"]
    parts.table(Table(["what", *heads], rows, notes=[note]))
    return parts.section("cost", "Cost")


def _time(run: Run) -> str:
    return "not known" if run.minutes is None else as_time(run.minutes)


def as_time(minutes: float) -> str:
    """Minutes as people say them."""
    if minutes < 1:
        return f"{60 * minutes:.0f} s"
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h"


def _updates(run: Run) -> str:
    return "none" if run.update is None else f"{run.update:,}"


def _speed(curve: str) -> Callable[[Run], str]:
    def tell(run: Run) -> str:
        found = run.scalars.curves.get(curve)
        return "not known" if found is None else f"{median(found.values):,.0f}"

    return tell


def _memory(run: Run) -> str:
    found = run.scalars.curves.get("memory/gb")
    return "not known" if found is None else f"{max(found.values):.2f} GB"


def _energy(run: Run) -> str:
    kwh = run.scalars.last("energy/kwh")
    return "not measured: no GPU or no NVML" if kwh is None else f"{kwh:.3f} kWh"


def _parameters(run: Run) -> str:
    return "not known" if run.n_parameters is None else f"{run.n_parameters:,}"


_ROWS: tuple[tuple[str, Callable[[Run], str]], ...] = (
    ("parameters", _parameters),
    ("updates", _updates),
    ("time", _time),
    ("source tokens/s", _speed("speed/source_tokens_per_s")),
    ("target tokens/s", _speed("speed/target_tokens_per_s")),
    ("peak memory", _memory),
    ("energy", _energy),
)
