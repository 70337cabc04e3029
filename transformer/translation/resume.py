"""The part of an output that is written, from which an interrupted command goes on."""

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from transformer import __version__
from transformer.checkpoint import MANIFEST, find_checkpoint
from transformer.config import TranslateSettings, from_mapping, to_mapping
from transformer.errors import InputError
from transformer.text.digests import digest_file
from transformer.translation.lines import Window
from transformer.translation.output import resolve

logger = logging.getLogger(__name__)

# They decide where and how fast the output comes to be, or are in the fingerprint by content.
NOT_BY_NAME = {
    *("checkpoint", "input", "output", "terminology", "shortlist"),
    *("device", "threads", "processes", "resume"),
}


def fingerprint(settings: TranslateSettings) -> str:
    """Digest of all that decides the output but the input: settings, models, lists, version."""
    values = to_mapping(settings)
    files = [find_checkpoint(folder) / MANIFEST for folder in settings.checkpoints]
    lists = {"terminology": settings.terminology, "shortlist": settings.shortlist}
    content = {
        "version": __version__,
        "settings": {key: value for key, value in values.items() if key not in NOT_BY_NAME},
        "models": [digest_file(file).hex() for file in files],
        "lists": {key: digest_file(Path(file)).hex() for key, file in lists.items() if file},
    }
    text = json.dumps(content, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Record:
    """How far a part has come."""

    fingerprint: str
    lines: int  # of the input
    size: int  # of the part, in bytes
    digest: str  # of the lines


class Part:
    """An output that is being written, beside the file that it becomes when it is whole."""

    def __init__(self, file: Path, aside: Path, stream: BinaryIO, fingerprint: str) -> None:
        self.file = file
        self.aside = aside
        self.fingerprint = fingerprint
        self._stream = stream
        self._note = aside.with_name(f"{aside.name}.json")
        self._next_note = aside.with_name(f"{aside.name}.json.next")
        self.record = self._read()  # None: nothing is done

    def go_on(self) -> None:
        """Keep what the record counts, and no more."""
        assert self.record is not None
        self._stream.truncate(self.record.size)

    def begin(self) -> None:
        """Keep nothing."""
        self.record = None
        self._forget()
        self._stream.truncate(0)

    def write(self, text: str, window: Window) -> None:
        """Add the translations of `window`, on disk when this returns."""
        self._stream.write(text.encode())
        _to_disk(self._stream)
        record = Record(
            fingerprint=self.fingerprint,
            lines=window.end,
            size=os.fstat(self._stream.fileno()).st_size,
            digest=window.digest,
        )
        with self._next_note.open("wb") as stream:
            stream.write(json.dumps(asdict(record)).encode())
            _to_disk(stream)
        self._next_note.replace(self._note)
        self.record = record

    def finish(self) -> None:
        """Let the part become the file."""
        self.aside.replace(self.file)
        self._forget()

    def leave(self) -> None:
        """Keep what is done; where that is nothing, leave no file."""
        if self.record is not None:
            logger.info(
                "the translations of %d lines are kept in %s", self.record.lines, self.aside
            )
            return
        self._forget()
        self.aside.unlink(missing_ok=True)

    def _forget(self) -> None:
        self._note.unlink(missing_ok=True)
        self._next_note.unlink(missing_ok=True)

    def _read(self) -> Record | None:
        """The record of a part that is as long as it says."""
        try:
            record = from_mapping(Record, json.loads(self._note.read_bytes()))
        except (OSError, ValueError, TypeError, InputError):
            return None
        return record if record.size <= os.fstat(self._stream.fileno()).st_size else None


@contextmanager
def open_part(output: str, fingerprint: str) -> Iterator[Part]:
    """The part of `output`, which becomes the file unless an exception ends the context.

    InputError where it cannot be written, or another command writes it.
    """
    file = resolve(output)
    aside = file.with_name(f".{file.name}.part")
    with _open_locked(aside, output) as stream:
        part = Part(file, aside, stream, fingerprint)
        try:
            yield part
        except BaseException:
            part.leave()
            raise
        part.finish()


def _open_locked(aside: Path, output: str) -> BinaryIO:
    """A stream that appends to `aside`, with a lock that ends with the process."""
    while True:
        try:
            stream = aside.open("ab")
        except OSError as error:
            raise InputError(f"output={output} cannot be written: {error.strerror}") from error
        _lock(stream, output)
        # Between opening and locking, a command that finished may have renamed the file.
        if aside.exists() and os.path.samestat(os.fstat(stream.fileno()), aside.stat()):
            return stream
        stream.close()


def _lock(stream: BinaryIO, output: str) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        stream.close()
        raise InputError(
            f"output={output} is being written by another command; give another output"
        ) from error
    except OSError as error:  # of a file system without locks
        logger.warning("%s cannot be locked: %s", stream.name, error.strerror)


def _to_disk(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())
