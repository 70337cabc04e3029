"""Which format a path is of, where the settings do not say."""

import os
from pathlib import Path

from transformer.config import STDIN, CorpusConfig, CorpusFormat
from transformer.errors import require
from transformer.text.files import user_path
from transformer.text.readers.plain import has_stems, one_of
from transformer.text.readers.prepared import MANIFEST
from transformer.text.readers.streams import COMPRESSED

ENDINGS = {
    ".tsv": CorpusFormat.tsv,
    ".csv": CorpusFormat.csv,
    ".jsonl": CorpusFormat.jsonl,
    ".json": CorpusFormat.jsonl,
    ".ndjson": CorpusFormat.jsonl,
    ".parquet": CorpusFormat.parquet,
    ".tmx": CorpusFormat.tmx,
    ".xlf": CorpusFormat.xliff,
    ".xliff": CorpusFormat.xliff,
    ".po": CorpusFormat.po,
    ".mo": CorpusFormat.po,
}
# What `load_dataset` names the reader of files with this ending.
TABLES = {".parquet": "parquet", ".json": "json", ".jsonl": "json", ".csv": "csv"}
SAVED = ("dataset_dict.json", "state.json")  # written by `save_to_disk`


def format_of(corpus: CorpusConfig) -> CorpusFormat:
    """The format of a corpus: the one set, else that of what its path is or is called."""
    if corpus.format is not CorpusFormat.auto:
        require(
            corpus.path != STDIN or corpus.format in ENDINGS.values(),
            f"format={corpus.format.value} cannot be read from standard input",
        )
        return corpus.format
    if corpus.path == STDIN:
        return CorpusFormat.tsv
    path = user_path(corpus.path)
    if path.is_dir():
        return _format_of_folder(path, corpus)
    ending = path.with_suffix("").suffix if path.suffix.lower() in COMPRESSED else path.suffix
    found = ENDINGS.get(ending.lower(), CorpusFormat.plain)
    # A stem may end like a table.
    source = one_of(path.with_name(f"{path.name}.{corpus.source}"))
    return found if path.exists() or not source.exists() else CorpusFormat.plain


def _format_of_folder(path: Path, corpus: CorpusConfig) -> CorpusFormat:
    if (path / MANIFEST).is_file():
        return CorpusFormat.prepared
    if any((path / name).exists() for name in SAVED):
        return CorpusFormat.hub
    tables = (Path(name).suffix in TABLES for _, _, names in os.walk(path) for name in names)
    if not has_stems(path, corpus) and any(tables):
        return CorpusFormat.hub
    return CorpusFormat.moses
