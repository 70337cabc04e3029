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
        "echo 'Where is the railway station?' | transformer translate checkpoint=runs/NAME",
        "transformer translate checkpoint=runs/NAME input=FILE output=FILE processes=4",
        "transformer translate checkpoint=runs/NAME input=FILE output=FILE target_language=fr",
        "transformer translate checkpoint=runs/NAME input=FILE search.n_best=5 alignment=true",
        "transformer translate checkpoint=[runs/A,runs/B] input=FILE output_format=jsonl",
        (
            """echo '{"source": "The train is late.", "prefix": "Der", "include": ["Zug"]}' | """
            "transformer translate checkpoint=runs/NAME input_format=jsonl"
        ),
    ),
)
