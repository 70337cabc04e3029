"""The report command."""

from pathlib import Path

from transformer.config import ReportSettings
from transformer.errors import require
from transformer.evaluation.attention import write
from transformer.evaluation.page.attention import attention_section
from transformer.evaluation.page.compared import compared_section
from transformer.evaluation.page.cost import cost_section
from transformer.evaluation.page.curves import curves_section
from transformer.evaluation.page.head import footer, subtitle, tiles
from transformer.evaluation.page.results import results_section
from transformer.evaluation.page.runs import Run, read_run, with_names
from transformer.evaluation.page.scores import scores_section
from transformer.evaluation.page.sentences import sentences_section
from transformer.evaluation.page.settings import settings_section
from transformer.evaluation.page.subject import Subject
from transformer.evaluation.page.text import text_section
from transformer.pictures.page import render_page
from transformer.translation.output import resolve

FILE = "report.html"

_SECTIONS = (
    scores_section,
    compared_section,
    curves_section,
    results_section,
    sentences_section,
    attention_section,
    text_section,
    cost_section,
    settings_section,
)


def report(settings: ReportSettings) -> Path:
    """The file of the page that shows a run, beside others where there are some.

    InputError where a folder is no run's or is given twice, or the file cannot be written.
    """
    run, *others = with_names(_runs(settings))
    file = Path(settings.output) if settings.output is not None else run.path / FILE
    require(not file.is_dir(), f"output={file} is a folder; give a file, as in output=report.html")
    resolve(str(file))
    subject = Subject(settings, run, others)
    page = render_page(
        run.name,
        [section(subject) for section in _SECTIONS],
        subtitle(subject),
        tiles=tiles(subject),
        cautions=subject.cautions,
        footer=footer(),
    )
    write(str(file), page.encode())
    return file


def _runs(settings: ReportSettings) -> list[Run]:
    """The run, and those beside it, which differ by more than how their folders are spelt."""
    runs = [read_run("run_dir", settings.run_dir)]
    for path in settings.others:
        run = read_run("against", path)
        twice = any(run.path.samefile(other.path) for other in runs)
        require(not twice, f"against={path} is a run that is given again; give each once")
        runs.append(run)
    return runs
