"""Where parallel text comes from: one reader for each kind of `data`."""

import hashlib
from collections.abc import Iterator
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, TypeGuard

from transformer.config import DataConfig, FilesConfig, HubConfig, PhrasebookConfig
from transformer.text.files import FilesCorpus, digest_file, read_lines, split_lines
from transformer.text.hub import HubCorpus
from transformer.text.phrasebook import phrasebook

__all__ = [
    "SPLITS",
    "Corpus",
    "is_aligned",
    "open_corpus",
    "read_lines",
    "split_lines",
    "training_rows",
]

SPLITS = ("train", "valid", "test")


class Corpus(Protocol):
    """Sentence pairs by split."""

    @property
    def fingerprint(self) -> str:
        """Hex digest of the content: equal for equal pairs in equal splits."""

    def has_split(self, split: str) -> bool:
        """Whether there is such a split; only `test` may be absent."""

    def pairs(self, split: str) -> Iterator[tuple[str, str]]:
        """The pairs of a split, read as they are asked for; raises InputError."""


def is_aligned(corpus: Corpus) -> TypeGuard[FilesCorpus]:
    """Whether the training pairs have alignments."""
    return isinstance(corpus, FilesCorpus) and corpus.aligned


def training_rows(corpus: Corpus) -> Iterator[tuple[str, ...]]:
    """The training pairs, each with the line of its alignment behind it where they have some."""
    return corpus.aligned_pairs() if is_aligned(corpus) else corpus.pairs("train")


def open_corpus(config: DataConfig, scratch: Path | None = None) -> Corpus:
    """The reader for `config`; `scratch` is a folder for the files it may need on the way."""
    match config:
        case PhrasebookConfig():
            return PhrasebookCorpus(config)
        case FilesConfig():
            return FilesCorpus(config)
        case HubConfig():
            return HubCorpus(config, scratch)
    raise TypeError(f"no reader for {type(config).__name__}")


class PhrasebookCorpus:
    """The embedded corpus, drawn from a grammar."""

    def __init__(self, config: PhrasebookConfig) -> None:
        self._config = config
        self._sizes = {
            "train": config.train_size,
            "valid": config.valid_size,
            "test": config.test_size,
        }

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the settings, of the grammar and of the libraries it speaks through."""
        config = self._config
        settings = (config.source, config.target, config.seed, *self._sizes.values())
        digest = hashlib.blake2b(repr(settings).encode(), digest_size=16)
        for library in ("babel", "num2words"):
            digest.update(version(library).encode())
        for file in sorted((Path(__file__).parent / "phrasebook").rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                digest.update(file.name.encode() + digest_file(file))
        return digest.hexdigest()

    def has_split(self, split: str) -> bool:
        return split in self._sizes

    def pairs(self, split: str) -> Iterator[tuple[str, str]]:
        config = self._config
        yield from phrasebook(config.source, config.target, split, self._sizes[split], config.seed)
