"""Parallel text from the `datasets` library: the hub, or files it can read."""

import hashlib
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc
from datasets.exceptions import DatasetsError

from transformer.config import CorpusConfig
from transformer.errors import InputError, require
from transformer.text.digests import digest_file
from transformer.text.readers.formats import SAVED, TABLES
from transformer.text.readers.jsonl import Columns, columns_of, document_of, text_of
from transformer.text.readers.reader import (
    DOCUMENT,
    PAIR,
    Meter,
    Run,
    filled,
    flat,
    numbered,
    regroup,
)

LOGGER = logging.getLogger(__name__)
AT_ONCE = 1_000  # rows
# The branch of a set on the hub with its files as Parquet, in a folder for each configuration.
CONVERTED = "refs/convert/"
# One of the parts of a split's name: train, train[:1000], test[100:200].
PART = re.compile(r"\s*([\w.-]+)\s*(?:\[\s*(-?\d+%?)?\s*:\s*(-?\d+%?)?\s*\])?\s*")
REFUSALS = (OSError, ValueError, RuntimeError, DatasetsError)


class HubReader:
    """A set with a `translation` feature, or with a column of text for each language.

    The path is a folder of `save_to_disk`, a parquet, JSON or CSV file, a folder of such files,
    or else a name on the hub. A line end inside a text becomes a space; a missing text is empty.
    `split` is what to read where the corpus does not say: such a split, or the only one.
    `scratch` is a folder for the Arrow files into which `datasets` copies local files; without it
    they go where that library keeps its cache.
    """

    def __init__(
        self,
        corpus: CorpusConfig,
        split: str,
        *,
        scratch: Path | None = None,
        documents: bool = False,
    ) -> None:
        self._corpus = corpus
        self._default = split
        self._scratch = scratch
        self._documents = documents
        self._path = Path(corpus.path).expanduser()
        # What `save_to_disk` wrote is read where it stands.
        self._streaming = bool(corpus.streaming) and not _is_saved(self._path)

    @property
    def fields(self) -> tuple[str, ...]:
        return DOCUMENT if self._documents else PAIR

    @property
    def n_bytes(self) -> int | None:
        return None

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the settings that choose and of the files: local ones, or the cached copies.

        Of a set that is streamed there is no copy: its name and its revision stand for it.
        """
        corpus = self._corpus
        choice = (corpus.config, corpus.split or self._default, self.fields, *corpus.direction)
        columns = (corpus.source_column, corpus.target_column, corpus.document_column)
        digest = hashlib.blake2b(repr((choice, columns)).encode(), digest_size=16)
        if self._path.exists():
            for file in _files(self._path):
                digest.update(file.relative_to(self._path).as_posix().encode())
                digest.update(digest_file(file))
        elif self._streaming:
            digest.update(repr((corpus.path, corpus.revision)).encode())
            if corpus.revision is None:
                LOGGER.warning(
                    "%s is streamed without a revision: a change on the hub would not be noticed",
                    corpus.path,
                )
        else:
            self._digest_copies(digest)
        return digest.hexdigest()

    def _digest_copies(self, digest: Any) -> None:
        """Add the content of the Arrow files that the split is in, or all rows without files."""
        files = [Path(file["filename"]) for part in self._parts() for file in part.cache_files]
        for file in files:
            digest.update(digest_file(file))
        if not files:
            for run in self.columns(AT_ONCE):
                digest.update(repr(run).encode())

    def columns(self, size: int, meter: Meter | None = None) -> Iterator[Run]:
        del meter  # of bytes that nobody knows the number of
        runs = self._streamed() if self._streaming else self._copied()
        if self._documents and self._corpus.document_column is None:
            runs = numbered([runs])
        return filled(regroup(runs, size), f"{self._split_name} is empty")

    @property
    def _split_name(self) -> str:
        return self._corpus.split or self._default

    def _copied(self) -> Iterator[Run]:
        for part in self._parts():
            columns = self._columns(part)
            for table in part.with_format("arrow").iter(batch_size=AT_ONCE):
                try:
                    yield _run(table, columns)
                except UnicodeDecodeError as error:
                    raise InputError(f"text is not UTF-8 ({error.reason}); mend it") from error

    def _streamed(self) -> Iterator[Run]:
        for split, first, last in _stream_parts(self._split_name):
            with self._refusing():
                rows = self._load(split=split, streaming=True).skip(first)
                rows = rows if last is None else rows.take(max(0, last - first))
                columns = None
                for batch in rows.iter(batch_size=AT_ONCE):
                    columns = columns or columns_of(
                        list(batch), self._corpus, documents=self._documents
                    )
                    yield _streamed_run(batch, columns)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Turn what the library refuses into an InputError of one line."""
        try:
            with _quiet():
                yield
        except REFUSALS as error:
            reason = " ".join(str(error.__cause__ or error).split())
            where = "cannot be read" if self._path.exists() else "neither on disk nor within reach"
            raise InputError(f"{where}: {reason}") from error

    @cached_property
    def _splits(self) -> dict[str, datasets.Dataset]:
        with self._refusing():
            loaded = self._load()
        # A single set of `save_to_disk` has no split names.
        return {"train": loaded} if isinstance(loaded, datasets.Dataset) else dict(loaded)

    def _load(self, **options: Any) -> Any:
        corpus, path = self._corpus, self._path
        if _is_saved(path):
            return datasets.load_from_disk(str(path))
        if path.exists():
            return _load_files(path, corpus.config, self._scratch, options)
        LOGGER.info("loading %s from the Hugging Face hub", corpus.path)
        if corpus.config and (corpus.revision or "").startswith(CONVERTED):
            options["data_dir"] = corpus.config
            return datasets.load_dataset(corpus.path, revision=corpus.revision, **options)
        return datasets.load_dataset(
            corpus.path, corpus.config, revision=corpus.revision, **options
        )

    def _parts(self) -> Iterator[datasets.Dataset]:
        """The rows that a split's name asks for: `train`, `train[:1000]`, `train+test`."""
        lengths = {key: len(rows) for key, rows in self._splits.items()}
        name = self._split_name
        if self._corpus.split is None and name not in lengths and len(lengths) == 1:
            (name,) = lengths
        try:
            chosen = datasets.ReadInstruction.from_spec(name).to_absolute(lengths)
        except (ValueError, AssertionError) as error:
            raise InputError(f"{name} is no split; there are {', '.join(lengths)}") from error
        for part in chosen:
            rows = self._splits[part.splitname]
            start, stop, _ = slice(part.from_, part.to).indices(len(rows))
            yield rows.select(range(start, max(start, stop)))

    def _columns(self, rows: datasets.Dataset) -> Columns:
        """The columns of the fields; InputError where they do not hold text."""
        columns = columns_of(rows.column_names, self._corpus, documents=self._documents)
        if columns.nested:
            languages = _languages(rows.features["translation"])
            for language in (columns.source, columns.target):
                require(
                    language in languages,
                    f"{language} is no language of its translations, which have "
                    f"{', '.join(languages) or 'none'}",
                )
            return columns
        for column in (columns.source, columns.target):
            kind = rows.features[column]
            require(
                isinstance(kind, datasets.Value)
                and kind.dtype in ("string", "large_string", "null"),
                f"column {column} does not hold text",
            )
        return columns


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


def _run(table: pa.Table, columns: Columns) -> Run:
    texts = []
    for name in (columns.source, columns.target):
        values = pc.struct_field(table["translation"], name) if columns.nested else table[name]
        texts.append([flat(text or "") for text in values.to_pylist()])
    if columns.document is not None:
        texts.append([document_of(value) for value in table[columns.document].to_pylist()])
    return tuple(texts)


def _streamed_run(batch: dict[str, list[Any]], columns: Columns) -> Run:
    texts = []
    for name in (columns.source, columns.target):
        values = batch["translation"] if columns.nested else batch[name]
        if columns.nested:
            values = [None if value is None else value.get(name) for value in values]
        texts.append([text_of(value, name) for value in values])
    if columns.document is not None:
        texts.append([document_of(value) for value in batch[columns.document]])
    return tuple(texts)


def _stream_parts(name: str) -> Iterator[tuple[str, int, int | None]]:
    """Split, first row and the one after the last (None: all) of each part of a split's name."""
    for text in name.split("+"):
        part = PART.fullmatch(text)
        require(part is not None, f"{name} is no name of a split, such as train or train[:1000]")
        assert part is not None
        split, first, last = part.groups()
        ends = [end for end in (first, last) if end is not None]
        require(
            all(end.isdigit() for end in ends),
            f"{name} cannot be streamed, since the number of rows is not known; give numbers of "
            "rows from the start, as in train[:1000]",
        )
        yield split, int(first or 0), None if last is None else int(last)


def _languages(feature: Any) -> list[str]:
    """The languages of a `translation` column, however it was stored."""
    if isinstance(feature, datasets.Translation):
        return list(feature.languages)
    return list(feature) if isinstance(feature, dict) else []


def _is_saved(path: Path) -> bool:
    """Whether `save_to_disk` wrote this folder."""
    return any((path / name).exists() for name in SAVED)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = (Path(folder) / name for folder, _, names in os.walk(path) for name in names)
    return sorted(file for file in found if not file.name.startswith("."))


def _load_files(
    path: Path, name: str | None, scratch: Path | None, options: dict[str, Any]
) -> datasets.DatasetDict:
    """The sets in a file, or in a folder by the library's own rules for names of splits."""
    formats = {TABLES[file.suffix] for file in _files(path) if file.suffix in TABLES}
    # Else the words "null" and "NA" would be read as no text at all.
    options |= {"keep_default_na": False} if formats == {"csv"} else {}
    options["cache_dir"] = None if scratch is None else str(scratch)
    if path.is_dir():
        # Only the card of a set tells its configurations from one another.
        if name and not (path / "README.md").exists():
            require((path / name).is_dir(), f"there is no folder {name} for that configuration")
            return datasets.load_dataset(str(path), data_dir=name, **options)
        return datasets.load_dataset(str(path), name, **options)
    require(bool(formats), f"{path.name} must end in one of {', '.join(TABLES)}, or be a folder")
    return datasets.load_dataset(*formats, data_files=str(path), **options)
