"""transformer shortlist."""

from transformer.cli.command import Command
from transformer.config import ShortlistSettings


def run(settings: ShortlistSettings) -> None:
    """Learn the shortlist of a run's tokenizers and write it."""
    from transformer.translation.shortlist import make_shortlist

    make_shortlist(settings)


COMMAND = Command(
    settings=ShortlistSettings,
    run=run,
    examples=(
        "transformer shortlist checkpoint=runs/NAME output=runs/NAME/shortlist",
        "transformer translate checkpoint=runs/NAME shortlist=runs/NAME/shortlist",
    ),
)
