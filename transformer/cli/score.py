"""transformer score."""

from transformer.cli.command import Command
from transformer.config import ScoreSettings


def run(settings: ScoreSettings) -> None:
    """Write a score a line."""
    from transformer.translation import score_file

    score_file(settings)


COMMAND = Command(
    settings=ScoreSettings,
    run=run,
    examples=(
        "transformer score checkpoint=runs/NAME source=FILE target=FILE",
        "transformer score checkpoint=runs/NAME source=FILE target=FILE output_format=jsonl",
    ),
)
