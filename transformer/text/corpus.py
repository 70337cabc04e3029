"""Where parallel text comes from: a reader for each corpus of the settings."""

import atexit
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from transformer.config import (
    STDIN,
    CorpusConfig,
    CorpusFormat,
    DataConfig,
    HubConfig,
    PhrasebookConfig,
)
from transformer.errors import InputError, require
from transformer.text.cleaning import language_of
from transformer.text.digests import digest_file
from transformer.text.files import naming, user_path
from transformer.text.phrasebook import phrasebook
from transformer.text.readers.formats import format_of
from transformer.text.readers.jsonl import JsonlReader
from transformer.text.readers.parquet import ParquetReader
from transformer.text.readers.plain import PlainReader
from transformer.text.readers.po import PoReader
from transformer.text.readers.prepared import PreparedReader
from transformer.text.readers.reader import DOCUMENT, PAIR, FileReader, Meter, Reader, Run
from transformer.text.readers.tables import CsvReader, TsvReader
from transformer.text.readers.tmx import TmxReader
from transformer.text.readers.xliff import XliffReader

__all__ = ["SPLITS", "Corpus", "PreparedReader", "Reader", "TextSet", "open_corpora", "text_sets"]

SPLITS = ("train", "valid", "test")
# Names of the splits on the hub, where a corpus does not say.
HUB_SPLITS = {"train": "train", "valid": "validation", "test": "test"}
OF_HUB = ("config", "split", "revision", "streaming")  # settings of a corpus
FILE_READERS: dict[CorpusFormat, type[FileReader | PlainReader]] = {
    CorpusFormat.plain: PlainReader,
    CorpusFormat.moses: PlainReader,
    CorpusFormat.tsv: TsvReader,
    CorpusFormat.csv: CsvReader,
    CorpusFormat.jsonl: JsonlReader,
    CorpusFormat.parquet: ParquetReader,
    CorpusFormat.tmx: TmxReader,
    CorpusFormat.xliff: XliffReader,
    CorpusFormat.po: PoReader,
}


@dataclass(frozen=True)
class Corpus:
    """A corpus of the settings, and how its rows are read."""

    config: CorpusConfig
    reader: Reader

    @property
    def is_prepared(self) -> bool:
        """Whether it has been prepared before, so that there is nothing to read."""
        return isinstance(self.reader, PreparedReader)


@dataclass(frozen=True)
class TextSet:
    """The text of a validation or test set, in memory."""

    corpus: CorpusConfig
    rows: list[tuple[str, ...]]  # source, target and perhaps document

    @property
    def name(self) -> str:
        return self.corpus.label

    @property
    def source(self) -> str:
        """Language of the sources."""
        return self.corpus.direction[0]

    @property
    def target(self) -> str:
        """Language of the references."""
        return self.corpus.direction[1]

    @property
    def sources(self) -> list[str]:
        return [row[0] for row in self.rows]

    @property
    def references(self) -> list[str]:
        return [row[1] for row in self.rows]

    def texts_in(self, language: str) -> list[str]:
        """The texts of whatever side is in a language, in any script and of any country."""
        sides = ((self.source, self.sources), (self.target, self.references))
        wanted = language_of(language)
        return [text for code, texts in sides if language_of(code) == wanted for text in texts]

    @property
    def documents(self) -> list[str] | None:
        """The document of each row, where the settings ask for context."""
        return [row[2] for row in self.rows] if self.rows and len(self.rows[0]) > 2 else None


def text_sets(data: DataConfig, split: str, scratch: Path | None = None) -> list[TextSet]:
    """The text of each corpus of a split; none where there is no such split."""
    sets = []
    for corpus in open_corpora(data, split, scratch):
        runs = corpus.reader.columns(10_000)
        n_fields = 3 if data.context else 2
        rows = [row[:n_fields] for run in runs for row in zip(*run, strict=True)]
        sets.append(TextSet(corpus.config, rows))
    return sets


def open_corpora(data: DataConfig, split: str, scratch: Path | None = None) -> list[Corpus]:
    """The corpora of a split with their readers, in the order of the settings.

    InputErrors, here and of the readers, begin with the setting, as in `data.train=PATH: `.
    Standard input is read here, once and to its end, into a temporary file. `scratch` is a folder
    for files that are needed on the way.
    """
    return [Corpus(each, _reader(data, split, each, scratch)) for each in data.corpora(split)]


def _reader(data: DataConfig, split: str, corpus: CorpusConfig, scratch: Path | None) -> Reader:
    documents = bool(data.context)
    if isinstance(data, PhrasebookConfig):
        return PhrasebookReader(data, split, documents=documents)
    setting = f"data.{split}={corpus.path}"
    if isinstance(data, HubConfig):
        setting = f"data.{split}={corpus.split} of data.path={corpus.path}"
    with naming(setting):
        form = format_of(corpus)
        require(
            corpus.alignment is None or form in (CorpusFormat.plain, CorpusFormat.moses),
            f"alignment={corpus.alignment} goes with files of lines, not with {form.value}",
        )
        for name in OF_HUB:
            require(
                getattr(corpus, name) is None or form is CorpusFormat.hub,
                f"{name}={getattr(corpus, name)} is for sets of the hub, not for {form.value}",
            )
        path = user_path(corpus.path)
        if form is CorpusFormat.prepared:
            require(split == "train", "what is prepared can be trained on alone; give its text")
            prepared = PreparedReader(path, documents=documents)
            assert prepared.fingerprint  # raises where there is no such folder
            return prepared
        if corpus.path == STDIN:
            path = _spooled()
        reader: Reader
        if form is CorpusFormat.hub:
            # Its library takes longer to import than all else, and most corpora do not need it.
            hub = import_module("transformer.text.readers.hub")
            reader = hub.HubReader(corpus, HUB_SPLITS[split], scratch=scratch, documents=documents)
        else:
            require(form in FILE_READERS, f"format={form.value} goes with data={form.value} alone")
            reader = FILE_READERS[form](path, corpus, documents=documents)
        return NamedReader(reader, setting)


@cache
def _spooled() -> Path:
    """A file with all that standard input gives; it can be read only once."""
    folder = Path(tempfile.mkdtemp(prefix="transformer-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "stdin"
    try:
        with path.open("wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
    except OSError as error:
        raise InputError(
            f"standard input cannot be kept in {folder}: {error.strerror}; TMPDIR says where"
        ) from error
    require(path.stat().st_size > 0, "standard input is empty")
    return path


@dataclass(frozen=True)
class NamedReader:
    """A reader whose InputErrors begin with the setting that named its corpus."""

    inner: Reader
    setting: str

    @property
    def fields(self) -> tuple[str, ...]:
        return self.inner.fields

    @property
    def fingerprint(self) -> str:
        with naming(self.setting):
            return self.inner.fingerprint

    @property
    def n_bytes(self) -> int | None:
        with naming(self.setting):
            return self.inner.n_bytes

    def columns(self, size: int, meter: Meter | None = None) -> Iterator[Run]:
        with naming(self.setting):
            yield from self.inner.columns(size, meter)


class PhrasebookReader:
    """The embedded corpus, drawn from a grammar; all of a split is one document."""

    def __init__(self, config: PhrasebookConfig, split: str, *, documents: bool = False) -> None:
        self._config = config
        self._split = split
        self._documents = documents

    @property
    def fields(self) -> tuple[str, ...]:
        return DOCUMENT if self._documents else PAIR

    @property
    def n_bytes(self) -> int | None:
        return None

    @property
    def _size(self) -> int:
        config = self._config
        sizes = (config.train_size, config.valid_size, config.test_size)
        return dict(zip(SPLITS, sizes, strict=True))[self._split]

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the settings, of the grammar and of the libraries it speaks through."""
        config = self._config
        settings = (config.source, config.target, config.seed, self._split, self._size, self.fields)
        digest = hashlib.blake2b(repr(settings).encode(), digest_size=16)
        for library in ("babel", "num2words"):
            digest.update(version(library).encode())
        for file in sorted((Path(__file__).parent / "phrasebook").rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                digest.update(file.name.encode() + digest_file(file))
        return digest.hexdigest()

    def columns(self, size: int, meter: Meter | None = None) -> Iterator[Run]:
        del meter  # nothing is read from the disk
        config = self._config
        pairs = phrasebook(config.source, config.target, self._split, self._size, config.seed)
        while rows := list(islice(pairs, size)):
            sources, targets = (list(side) for side in zip(*rows, strict=True))
            documents = (["1"] * len(rows),) if self._documents else ()
            yield sources, targets, *documents
