"""The input of the translate command, in windows."""

import hashlib
import json
import os
import stat
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from transformer.config import LineFormat
from transformer.errors import InputError, require
from transformer.text.files import read_lines, split_lines
from transformer.translation.ahead import Ahead
from transformer.translation.documents import Document
from transformer.translation.request import Request

WINDOW = 4096  # the most lines that are translated together

LISTS = ("include", "exclude", "context")
KEYS = ("source", "target_language", "prefix", *LISTS)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Lines that are translated together."""

    first: int  # number of its first line in the whole input, from 0
    requests: list[Request]
    # Of the input up to the window's end, where that is a regular file:
    position: int = 0  # bytes
    digest: str = ""  # of the lines, without their ends

    @property
    def end(self) -> int:
        """Lines up to the window's end."""
        return self.first + len(self.requests)


class Lines:
    """The lines of the file `path`, or of standard input, to be closed in the end.

    Each that does not say its own has the `n_before` sentences of its document before it: those
    of the lines before, up to a blank one. InputError where the file cannot be read or is empty,
    at once or when the windows are read.
    """

    def __init__(self, path: str | None, line_format: LineFormat, n_before: int = 0) -> None:
        self.name = "standard input" if path is None else path
        self._n_before = n_before
        self._path = path
        self._format = line_format
        self._begin()

    def _begin(self) -> None:
        self._stream = _standard_input() if self._path is None else _open(Path(self._path))
        self.size = _size(self._stream)  # bytes; None of what is no regular file
        self._texts = split_lines(self._stream, self.name)
        self._digest = hashlib.blake2b(digest_size=16)
        self._document = Document[str](self._n_before)
        self._last = deque[str](maxlen=self._n_before)  # of the lines left out
        self.n_skipped = 0

    def close(self) -> None:
        """Close a regular file; anything else closes itself when its end is read."""
        # To wait here for a thread that waits for a line could take forever.
        if self.size is not None:
            self._stream.close()

    def skip(self, n: int) -> str:
        """Leave out the first `n` lines of a regular file; their digest."""
        for text in islice(self._texts, n):
            self._note(text)
            self._last.append(text)
        self.n_skipped = n
        return self._digest.hexdigest()

    def rewind(self) -> None:
        """Open a file anew, to leave out nothing."""
        self.close()
        self._begin()

    @property
    def position(self) -> int:
        """Bytes read of a regular file; 0 of anything else."""
        return 0 if self.size is None else self._stream.tell()

    def windows(self) -> Iterator[Window]:
        """Windows of WINDOW lines; of what is no regular file, of those that have come already.

        Reading what is no regular file begins with the call. InputError, behind the lines before,
        where a line is not UTF-8 or no request.
        """
        requests = self._requests()
        if self.size is None:
            return self._unmarked(Ahead(requests, WINDOW).chunks(WINDOW))
        return self._marked(iter(lambda: list(islice(requests, WINDOW)), []))

    def _unmarked(self, chunks: Iterator[list[Request]]) -> Iterator[Window]:
        first = self.n_skipped
        for chunk in chunks:
            yield Window(first=first, requests=chunk)
            first += len(chunk)

    def _marked(self, chunks: Iterator[list[Request]]) -> Iterator[Window]:
        for window in self._unmarked(chunks):
            yield replace(window, position=self.position, digest=self._digest.hexdigest())

    def _requests(self) -> Iterator[Request]:
        try:
            for number, text in enumerate(self._last, start=self.n_skipped - len(self._last) + 1):
                self._request(text, number)
            for number, text in enumerate(self._texts, start=self.n_skipped + 1):
                self._note(text)
                yield self._request(text, number)
        finally:
            if self.size is None:
                self._stream.close()

    def _request(self, text: str, number: int) -> Request:
        """The request of the line with that `number`, from 1, behind those before it."""
        values: dict[str, Any] = {"source": text}
        if self._format is LineFormat.jsonl:
            values = parse_values(text, f"{self.name}, line {number}")
        source, given = values["source"], values.get("context")
        before = self._document.before(source, blank=not source.strip(), given=given)
        return Request(**{"context": before, **values})

    def _note(self, text: str) -> None:
        self._digest.update(text.encode() + b"\n")


def parse_values(text: str, place: str) -> dict[str, Any]:
    """The request in a JSON object; InputError, which begins with `place`, where it is none."""
    require(text.strip() != "", f"{place} is blank; it must hold a JSON object")
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place} is no JSON: {error}") from error
    require(
        isinstance(values, dict),
        f'{place} holds {json.dumps(values)[:40]}; it must hold an object, as in {{"source": "…"}}',
    )
    for key, value in values.items():
        require(key in KEYS, f"{place} has a key {key!r}; there are {', '.join(KEYS)}")
        _check(key, value, place)
    require("source" in values, f"{place} has no source")
    checked: dict[str, Any] = values
    return checked


def _check(key: str, value: Any, place: str) -> None:
    """Raise InputError unless `value` is what `key` takes."""
    texts = value if key in LISTS and isinstance(value, list) else [value]
    wanted = "a list of text" if key in LISTS else "text"
    require(
        (key in LISTS) == isinstance(value, list) and all(isinstance(text, str) for text in texts),
        f"{place}: {key} is {json.dumps(value)[:40]}; it must be {wanted}",
    )
    for text in texts:
        require("\n" not in text, f"{place}: {key} holds a line break; a request is one line")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{place}: {key} holds half a surrogate pair") from error


def _open(path: Path) -> BinaryIO:
    if path.is_file() or path.is_dir() or not path.exists():
        next(read_lines(path))  # raises what there is to say about it
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _standard_input() -> BinaryIO:
    """A stream beside sys.stdin: Python cannot end while a thread reads that one."""
    require(sys.stdin is not None, "standard input is closed; give input=FILE")
    try:
        return open(sys.stdin.buffer.fileno(), "rb", closefd=False)
    except OSError:  # it is no file, but an object in memory
        return sys.stdin.buffer


def _size(stream: BinaryIO) -> int | None:
    """The bytes of a regular file; None of anything else."""
    try:
        status = os.fstat(stream.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
