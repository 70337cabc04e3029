"""transformer attention."""

import json

from transformer.cli.command import Command, emit
from transformer.config import AttentionSettings, OutputFormat


def run(settings: AttentionSettings) -> None:
    """Draw the pictures, and print how sharply and how far each head looks."""
    from transformer.evaluation.attention import show_attention

    table = show_attention(settings)
    if settings.format is OutputFormat.json:
        emit(json.dumps(table.summary(), indent=2))
    else:
        emit(table.render(settings.format.name))


COMMAND = Command(
    settings=AttentionSettings,
    run=run,
    examples=(
        "transformer attention checkpoint=runs/NAME input=FILE output=attention.html",
        (
            "transformer attention checkpoint=runs/NAME input=FILE lines=[3] kinds=[cross] "
            "layers=[3] heads=[2] output=head.png"
        ),
    ),
)
