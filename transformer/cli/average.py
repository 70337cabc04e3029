"""transformer average."""

from transformer.cli.command import Command, emit
from transformer.config import AverageSettings


def run(settings: AverageSettings) -> None:
    """Write the averaged checkpoint, then print its folder."""
    from transformer.checkpoint import average

    emit(str(average(settings)))


COMMAND = Command(
    settings=AverageSettings,
    run=run,
    examples=(
        "transformer average checkpoint=runs/NAME last=5 output=runs/averaged",
        "transformer average checkpoint=runs/NAME best=3 output=runs/averaged",
    ),
)
