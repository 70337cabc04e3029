"""Aligned plain-text files, one sentence a line."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO

from transformer.errors import InputError

BOM = b"\xef\xbb\xbf"


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, one at a time, without their ends.

    Only LF or CRLF ends a line; a byte order mark is dropped. InputError, at the first line asked
    for or later, where the file is missing, empty, a folder or not UTF-8.
    """
    n_lines = 0
    with open_file(path) as stream:
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


@contextmanager
def naming(setting: str) -> Iterator[None]:
    """Put the setting that named a file before the message of an InputError about it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{setting}: {error}") from error


def user_path(path: str) -> Path:
    """`path` with its ~ written out; InputError where it cannot be the path of anything."""
    try:
        found = Path(path).expanduser()
        found.exists()
    except RuntimeError as error:
        raise InputError(f"{path} has no such user; write the folder out") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return found


def open_file(path: Path) -> BufferedReader:
    """The file, open for reading bytes; InputError where that cannot be."""
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder, not a text file") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
