"""transformer translate."""

from transformer.cli.command import Command
from transformer.config import TranslateSettings


def run(settings: TranslateSettings) -> None:
    """Translate line by line."""
    from transformer.translation import translate_file

    translate_file(settings)


COMMAND = Command(
    settings=TranslateSettings,
    run=run,
    examples=(
        "transformer translate checkpoint=runs/NAME input=FILE output=FILE",
        "echo 'Where is the station?' | transformer translate checkpoint=runs/NAME",
    ),
)
