"""transformer evaluate."""

from transformer.cli.command import Command, emit
from transformer.config import EvaluateSettings


def run(settings: EvaluateSettings) -> None:
    """Print the scores."""
    from transformer.evaluation import evaluate

    emit(evaluate(settings).text(settings.format))


COMMAND = Command(
    settings=EvaluateSettings,
    run=run,
    examples=(
        "transformer evaluate checkpoint=runs/NAME",
        "transformer evaluate checkpoint=runs/NAME source=FILE reference=FILE",
        "transformer evaluate checkpoint=runs/B against=runs/A analysis=true",
        "transformer evaluate checkpoint=runs/NAME test_set=wmt14",
        "transformer evaluate hypothesis=FILE reference=FILE target_language=de format=json",
        "transformer evaluate 'hypothesis=[A,B,C]' 'reference=[FILE,FILE]' target_language=de",
    ),
)
