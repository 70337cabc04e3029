"""Parallel text from the `datasets` library: the hub, or files it can read."""

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc
from datasets.exceptions import DatasetsError

from transformer.config import HubConfig
from transformer.errors import InputError, require
from transformer.text.files import digest_file

LOGGER = logging.getLogger(__name__)
# What `load_dataset` names the reader of files with this ending.
FORMATS = {
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".csv": "csv",
}
# Characters that end a line elsewhere; a sentence from a table may hold them.
_LINE_ENDS = str.maketrans({"\n": " ", "\r": " "})


class HubCorpus:
    """A set with a `translation` feature, or with a column of text for each language.

    `data.path` is a folder of `save_to_disk`, a parquet, JSON or CSV file, a folder of such files,
    or else a name on the hub. A line end inside a text becomes a space; a missing text is empty.
    `scratch` is a folder for the Arrow files into which `datasets` copies local files; without it
    they go where that library keeps its cache.
    """

    def __init__(self, config: HubConfig, scratch: Path | None = None) -> None:
        self._config = config
        self._scratch = scratch
        self._path = Path(config.path).expanduser()

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the local files and of the settings that choose from them, or of all pairs."""
        config = self._config
        digest = hashlib.blake2b(digest_size=16)
        if not self._path.exists():
            for split in filter(self.has_split, ("train", "valid", "test")):
                digest.update(f"\n\n{split}\n".encode())
                for source, target in self.pairs(split):
                    digest.update(f"{source}\n{target}\n".encode())
            return digest.hexdigest()
        choice = (config.name, config.train, config.valid, config.test)
        columns = (config.source, config.target, config.source_column, config.target_column)
        digest.update(repr((choice, columns)).encode())
        for file in _files(self._path):
            digest.update(file.relative_to(self._path).as_posix().encode())
            digest.update(digest_file(file))
        return digest.hexdigest()

    def has_split(self, split: str) -> bool:
        return self._split_name(split) is not None

    def pairs(self, split: str) -> Iterator[tuple[str, str]]:
        name = self._split_name(split)
        if name is None:
            return
        n_pairs = 0
        for part in self._parts(split, name):
            columns = self._columns(part)
            for table in part.with_format("arrow").iter(batch_size=1000):
                sources, targets = (_texts(table, *column) for column in columns)
                n_pairs += len(sources)
                yield from zip(sources, targets, strict=True)
        require(n_pairs > 0, f"data.{split}={name} of data.path={self._config.path} is empty")

    def _split_name(self, split: str) -> str | None:
        config = self._config
        return {"train": config.train, "valid": config.valid, "test": config.test}[split]

    @cached_property
    def _splits(self) -> dict[str, datasets.Dataset]:
        try:
            with _quiet():
                loaded = self._load()
        except (OSError, ValueError, RuntimeError, DatasetsError) as error:
            reason = " ".join(str(error.__cause__ or error).split())
            hint = "" if self._path.exists() else "is neither on disk nor within reach on the hub: "
            raise InputError(
                f"data.path={self._config.path} {hint or 'cannot be read: '}{reason}"
            ) from error
        # A single set of `save_to_disk` has no split names.
        return {"train": loaded} if isinstance(loaded, datasets.Dataset) else dict(loaded)

    def _load(self) -> datasets.Dataset | datasets.DatasetDict:
        config, path = self._config, self._path
        if not path.exists():
            LOGGER.info("loading %s from the Hugging Face hub", config.path)
            return datasets.load_dataset(config.path, config.name, revision=config.revision)
        if _is_saved(path):
            return datasets.load_from_disk(str(path))
        return _load_files(path, config.name, self._scratch)

    def _parts(self, split: str, name: str) -> Iterator[datasets.Dataset]:
        """The rows that a split's name asks for: `train`, `train[:1000]`, `train+test`."""
        lengths = {key: len(rows) for key, rows in self._splits.items()}
        try:
            chosen = datasets.ReadInstruction.from_spec(name).to_absolute(lengths)
        except (ValueError, AssertionError) as error:
            raise InputError(
                f"data.{split}={name} is no split of data.path={self._config.path}, which has "
                f"{', '.join(lengths)}" + (" (or null for no test)" if split == "test" else "")
            ) from error
        for part in chosen:
            rows = self._splits[part.splitname]
            start, stop, _ = slice(part.from_, part.to).indices(len(rows))
            yield rows.select(range(start, max(start, stop)))

    def _columns(self, rows: datasets.Dataset) -> list[tuple[str, str | None]]:
        """For each side its column, and the field in it where the column is `translation`."""
        config = self._config
        sides = (
            ("source", config.source_column, config.source),
            ("target", config.target_column, config.target),
        )
        return [self._column(rows, *side) for side in sides]

    def _column(
        self, rows: datasets.Dataset, side: str, column: str | None, language: str
    ) -> tuple[str, str | None]:
        names = rows.column_names
        if column is None and "translation" in names:
            languages = _fields(rows.features["translation"])
            require(
                language in languages,
                f"data.{side}={language} is no language of data.path={self._config.path}, whose "
                f"translations have {', '.join(languages) or 'none'}",
            )
            return "translation", language
        require(
            (column or language) in names,
            f"data.{side}_column={column or language} is no column of data.path="
            f"{self._config.path}, which has {', '.join(names)}",
        )
        kind = rows.features[column or language]
        require(
            isinstance(kind, datasets.Value) and kind.dtype in ("string", "large_string", "null"),
            f"data.{side}_column={column or language} of data.path={self._config.path} "
            f"does not hold text",
        )
        return column or language, None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries from drawing progress bars and from logging what they raise as well."""
    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    bars = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            datasets.enable_progress_bars()


def _texts(table: pa.Table, column: str, field: str | None) -> list[str]:
    values = table[column] if field is None else pc.struct_field(table[column], field)
    return [(text or "").translate(_LINE_ENDS) for text in values.to_pylist()]


def _fields(feature: Any) -> list[str]:
    """The languages of a `translation` column, however it was stored."""
    if isinstance(feature, datasets.Translation):
        return list(feature.languages)
    return list(feature) if isinstance(feature, dict) else []


def _is_saved(path: Path) -> bool:
    """Whether `save_to_disk` wrote this folder."""
    return any((path / name).exists() for name in ("dataset_dict.json", "state.json"))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = (Path(folder) / name for folder, _, names in os.walk(path) for name in names)
    return sorted(file for file in found if not file.name.startswith("."))


def _load_files(path: Path, name: str | None, scratch: Path | None) -> datasets.DatasetDict:
    """The sets in a file, or in a folder by the library's own rules for names of splits."""
    formats = {FORMATS[file.suffix] for file in _files(path) if file.suffix in FORMATS}
    # Else the words "null" and "NA" would be read as no text at all.
    options: dict[str, Any] = {"keep_default_na": False} if formats == {"csv"} else {}
    cache = None if scratch is None else str(scratch)
    if path.is_dir():
        return datasets.load_dataset(str(path), name, cache_dir=cache, **options)
    if not formats:
        raise InputError(
            f"data.path={path} must end in one of {', '.join(FORMATS)}, or be a folder"
        )
    return datasets.load_dataset(*formats, data_files=str(path), cache_dir=cache, **options)
