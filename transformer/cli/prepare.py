"""transformer prepare."""

from transformer.cli.command import Command, emit
from transformer.config import PrepareSettings


def run(settings: PrepareSettings) -> None:
    """Fill the cache, then print the cleaning report and the folder."""
    from transformer.text.dataset import prepare_data

    prepared = prepare_data(settings.data, settings.tokenizer)
    emit(f"{prepared.report.table()}\nprepared in {prepared.folder}")


COMMAND = Command(
    settings=PrepareSettings,
    run=run,
    examples=(
        "transformer prepare",
        (
            "transformer prepare data=files data.source=en data.target=de "
            "data.train=DIR/train data.valid=DIR/valid tokenizer.vocab_size=8000"
        ),
    ),
)
