"""transformer prepare."""

from transformer.cli.command import Command, emit
from transformer.config import PrepareSettings


def run(settings: PrepareSettings) -> None:
    """Fill the cache, then print the cleaning report and the folder."""
    from transformer.text.dataset import prepare_data

    prepared = prepare_data(settings.data, settings.tokenizer, settings.cleaning)
    emit(
        f"{prepared.report.table()}\n"
        f"{prepared.leaks_text()}"
        f"with examples in {prepared.report_file}\n"
        f"prepared in {prepared.folder}"
    )


COMMAND = Command(
    settings=PrepareSettings,
    run=run,
    examples=(
        "transformer prepare",
        (
            "transformer prepare data=files data.source=en data.target=de "
            "data.train=DIR/train data.valid=DIR/valid tokenizer.vocab_size=8000"
        ),
        (
            "transformer prepare data=files data.source=en data.target=de "
            "'data.train=[DIR/a,DIR/b.tmx.gz,{path: DIR/c.tsv, weight: 2}]' data.valid=DIR/valid "
            "cleaning=strict cleaning.keep_rejected=rejected.tsv data.leaks=remove"
        ),
        (
            "zcat DIR/a.tsv.gz | transformer prepare data=files data.source=en data.target=de "
            "data.train=- data.valid=DIR/valid"
        ),
    ),
)
