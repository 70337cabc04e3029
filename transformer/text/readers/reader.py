"""What all readers of parallel text have in common."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol

from transformer.config import CorpusConfig
from transformer.errors import InputError
from transformer.text.digests import digest_file

Meter = Callable[[int], None]
Run = tuple[list[str], ...]  # successive rows: for each field the texts, as many as there are rows

PAIR = ("source", "target")
DOCUMENT = (*PAIR, "document")
ALIGNED = (*PAIR, "alignment")
# A text of a table holds no line end, since lines are what comes after it.
LINE_ENDS = str.maketrans({"\n": " ", "\r": " "})


class Reader(Protocol):
    """The rows of one corpus; what a user can mend about them is an InputError."""

    @property
    def fields(self) -> tuple[str, ...]:
        """source and target, and behind them perhaps alignment or document."""

    @property
    def fingerprint(self) -> str:
        """Hex digest of the content and of what chooses from it."""

    @property
    def n_bytes(self) -> int | None:
        """Bytes on the disk that reading goes through, where they are known."""

    def columns(self, size: int, meter: Meter | None = None) -> Iterator[Run]:
        """Successive runs of `size` rows, the last perhaps shorter; `meter` is told of bytes."""


class FileReader:
    """The rows of one file; a subclass says how its runs are read.

    With `documents`, each row has the document that it belongs to: what `document_column` holds,
    else the number of the document, which ends where a row has two blank sides.
    """

    settings: ClassVar[tuple[str, ...]] = ()  # those of the corpus that choose from the file

    def __init__(self, path: Path, corpus: CorpusConfig, *, documents: bool = False) -> None:
        self._path = path
        self._corpus = corpus
        self._documents = documents

    @property
    def fields(self) -> tuple[str, ...]:
        return DOCUMENT if self._documents else PAIR

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the file and of the settings that choose from it."""
        return digest_of([self._path], type(self).__name__, self.fields, *self._choice())

    @property
    def n_bytes(self) -> int | None:
        return size_of(self._path)

    def columns(self, size: int, meter: Meter | None = None) -> Iterator[Run]:
        runs = self._runs(meter)
        if self._documents and not self._has_document_column:
            runs = numbered([runs])
        return filled(regroup(runs, size), f"{self._path} holds no sentence pair")

    def _runs(self, meter: Meter | None) -> Iterator[Run]:
        """Runs of any length: source, target and, where there is such a column, document."""
        raise NotImplementedError

    def _choice(self) -> tuple[Any, ...]:
        return tuple(getattr(self._corpus, name) for name in ("source", "target", *self.settings))

    @property
    def _has_document_column(self) -> bool:
        return (
            self._documents
            and "document_column" in self.settings
            and self._corpus.document_column is not None
        )


def digest_of(files: Iterable[Path], *choice: Any) -> str:
    """Hex digest of files' contents, in their order, and of the settings that choose from them."""
    digest = hashlib.blake2b(repr(choice).encode(), digest_size=16)
    for file in files:
        digest.update(digest_file(file))
    return digest.hexdigest()


def size_of(path: Path) -> int:
    """Bytes of a file; InputError where it is not there."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def filled(runs: Iterator[Run], message: str) -> Iterator[Run]:
    """The runs; InputError with `message` where there is no row at all."""
    empty = True
    for run in runs:
        empty = False
        yield run
    if empty:
        raise InputError(message)


def regroup(runs: Iterable[Run], size: int) -> Iterator[Run]:
    """The same rows in runs of `size`, the last of which may be shorter."""
    held: Run = ()
    for run in runs:
        if held:
            for column, more in zip(held, run, strict=True):
                column.extend(more)
        else:
            held = tuple(list(column) for column in run)
        n_rows = len(held[0])
        if n_rows >= size:
            whole = n_rows - n_rows % size
            for start in range(0, whole, size):
                yield tuple(column[start : start + size] for column in held)
            for column in held:
                del column[:whole]
    if held and held[0]:
        yield held


def numbered(files: Iterable[Iterable[Run]]) -> Iterator[Run]:
    """Pairs with the number of their document: a file begins one, and a blank pair ends one.

    Blank pairs are borders and do not come back.
    """
    number = 0
    for runs in files:
        number += 1
        for sources, targets in runs:
            rows: Run = ([], [], [])
            for source, target in zip(sources, targets, strict=True):
                if source.strip() or target.strip():
                    for column, text in zip(rows, (source, target, str(number)), strict=True):
                        column.append(text)
                else:
                    number += 1
            if rows[0]:
                yield rows


def flat(text: str) -> str:
    """A text with each of its line ends' characters as a space."""
    return text.translate(LINE_ENDS) if "\n" in text or "\r" in text else text
