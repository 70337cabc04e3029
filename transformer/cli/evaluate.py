"""transformer evaluate."""

from transformer.cli.command import Command, emit
from transformer.config import EvaluateSettings, OutputFormat


def run(settings: EvaluateSettings) -> None:
    """Print the scores as a table or as JSON."""
    from transformer.evaluation import evaluate

    report = evaluate(settings)
    emit(report.json() if settings.format is OutputFormat.json else report.table())


COMMAND = Command(
    settings=EvaluateSettings,
    run=run,
    examples=(
        "transformer evaluate checkpoint=runs/NAME",
        "transformer evaluate checkpoint=runs/NAME source=FILE reference=FILE",
        "transformer evaluate hypothesis=FILE reference=FILE target_language=de format=json",
    ),
)
