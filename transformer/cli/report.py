"""transformer report."""

from transformer.cli.command import Command, emit
from transformer.config import ReportSettings


def run(settings: ReportSettings) -> None:
    """Write the page, and print its path."""
    from transformer.evaluation.page import report

    emit(str(report(settings)))


COMMAND = Command(
    settings=ReportSettings,
    run=run,
    examples=(
        "transformer report run_dir=runs/NAME",
        "transformer report run_dir=runs/NAME against=runs/OTHER output=FILE.html",
    ),
)
