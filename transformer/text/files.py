"""Aligned plain-text files, one sentence a line."""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from io import BufferedReader
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO

from transformer.config import FilesConfig
from transformer.errors import InputError
from transformer.text.alignment import check_alignment

BOM = b"\xef\xbb\xbf"


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, one at a time, without their ends.

    Only LF or CRLF ends a line; a byte order mark is dropped. InputError, at the first line asked
    for or later, where the file is missing, empty, a folder or not UTF-8.
    """
    n_lines = 0
    with _open(path) as stream:
        for line in split_lines(stream, str(path)):
            n_lines += 1
            yield line
    if n_lines == 0:
        raise InputError(f"{path} is empty; it must hold one sentence a line")


def split_lines(stream: BinaryIO, name: str) -> Iterator[str]:
    """The lines of an open binary stream, as `read_lines`; an empty stream has none.

    `name` is what an InputError calls the stream.
    """
    for number, raw in enumerate(_without_mark(stream), start=1):
        line = raw[:-2] if raw.endswith(b"\r\n") else raw.removesuffix(b"\n")
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{name} is not UTF-8: line {number}, byte {error.start + 1} "
                f"({error.reason}); convert it first"
            ) from error


def _without_mark(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream with their ends, but without a byte order mark before the first."""
    first = stream.readline().removeprefix(BOM)
    if first:
        yield first
        yield from stream


def read_pairs(source: Path, target: Path) -> Iterator[tuple[str, str]]:
    """The lines of two aligned files in pairs; InputError where one has more than the other."""
    pairs = zip_longest(read_lines(source), read_lines(target))
    for n_pairs, (source_line, target_line) in enumerate(pairs):
        if source_line is None or target_line is None:
            longer = n_pairs + 1 + sum(1 for _ in pairs)
            n, m = (n_pairs, longer) if source_line is None else (longer, n_pairs)
            raise InputError(
                f"{source} has {n} lines but {target} has {m}; "
                "parallel files hold one sentence a line"
            )
        yield source_line, target_line


def read_aligned(source: Path, target: Path, alignment: Path) -> Iterator[tuple[str, str, str]]:
    """The lines of three files side by side; the third holds the alignments of the pairs.

    InputError where the numbers of lines differ or a line is no alignment of its pair.
    """
    rows = zip_longest(read_pairs(source, target), read_lines(alignment))
    for number, (pair, links) in enumerate(rows, start=1):
        if pair is None or links is None:
            longer = number + sum(1 for _ in rows)
            n, m = (number - 1, longer) if links is None else (longer, number - 1)
            raise InputError(
                f"{alignment} has {n} lines but {source} has {m}; it must hold a line for each "
                "pair, if only an empty one"
            )
        try:
            check_alignment(links, *pair)
        except InputError as error:
            raise InputError(f"{alignment}, line {number}: {error}") from error
        yield *pair, links


def digest_file(path: Path) -> bytes:
    """The BLAKE2b digest of a file's content; InputError where it cannot be read."""
    with _open(path) as stream:
        return hashlib.file_digest(stream, hashlib.blake2b).digest()


class FilesCorpus:
    """Text files by stem: `DIR/train` stands for DIR/train.en and DIR/train.de."""

    def __init__(self, config: FilesConfig) -> None:
        self._config = config

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the content of all files and of what each is used for."""
        digest = hashlib.blake2b(digest_size=16)
        for split in ("train", "valid", "test"):
            for stem in self._stems(split):
                files = list(self._sides(stem))
                if split == "train" and self.aligned:
                    files.append(self._alignment(stem))
                with self._naming(split, stem):
                    parts = [split.encode(), *map(digest_file, files)]
                digest.update(b"".join(parts))
        return digest.hexdigest()

    def has_split(self, split: str) -> bool:
        return self._stems(split) != []

    def pairs(self, split: str) -> Iterator[tuple[str, str]]:
        for stem in self._stems(split):
            with self._naming(split, stem):
                yield from read_pairs(*self._sides(stem))

    @property
    def aligned(self) -> bool:
        """Whether the training pairs have alignments."""
        return self._config.alignment is not None

    def aligned_pairs(self) -> Iterator[tuple[str, str, str]]:
        """The training pairs, each with the line of its alignment, where they have some."""
        for stem in self._stems("train"):
            with self._naming("train", stem):
                yield from read_aligned(*self._sides(stem), self._alignment(stem))

    def _naming(self, split: str, stem: str) -> AbstractContextManager[None]:
        aligned = split == "train" and self.aligned
        and_alignment = f" with data.alignment={self._config.alignment}" if aligned else ""
        return naming(f"data.{split}={stem}{and_alignment}")

    def _alignment(self, stem: str) -> Path:
        return Path(f"{Path(stem).expanduser()}.{self._config.alignment}")

    def _stems(self, split: str) -> list[str]:
        if split == "train":
            return self._config.train_stems
        stem = {"valid": self._config.valid, "test": self._config.test}[split]
        return [] if stem is None else [stem]

    def _sides(self, stem: str) -> tuple[Path, Path]:
        """The two files of a stem; the language is appended, so a stem may itself hold dots."""
        base = str(Path(stem).expanduser())
        return Path(f"{base}.{self._config.source}"), Path(f"{base}.{self._config.target}")


@contextmanager
def naming(setting: str) -> Iterator[None]:
    """Put the setting that named a file before the message of an InputError about it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{setting}: {error}") from error


def _open(path: Path) -> BufferedReader:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder, not a text file") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
