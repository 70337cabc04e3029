"""Digests of files; those of large files are remembered from one process to the next."""

import hashlib
import json
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from transformer.errors import InputError, require
from transformer.text.folders import cache_root

LARGE = 1 << 26  # bytes; what reading anew takes longer than a look at what is remembered
MEMO = "digests.json"
SETTLED_S = 2.0  # since the last change


def digest_file(path: Path) -> bytes:
    """The BLAKE2b digest of a file's content; InputError where it cannot be read.

    That of a large file is remembered in the user's cache folder, as long as the file's size, inode
    and time of change are the same, unless that was so lately that another change might share it.
    """
    try:
        found = path.stat()
        require(
            stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode),
            f"{path} is no file that can be read twice; give data.train=- for standard input",
        )
        if found.st_size < LARGE:
            return _digest(path)
        memo = cache_root(None) / MEMO
        state = [found.st_size, found.st_ino, found.st_ctime_ns]
        known = _read(memo).get(str(path.resolve()))
        if known is not None and known[:-1] == state:
            return bytes.fromhex(str(known[-1]))
        digest = _digest(path)
        if time.time() - found.st_ctime > SETTLED_S:
            _remember(memo, str(path.resolve()), [*state, digest.hex()])
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder, not a text file") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return digest


def _digest(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, hashlib.blake2b).digest()


def _read(memo: Path) -> dict[str, list[int | str]]:
    try:
        known = json.loads(memo.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(memo: Path, name: str, entry: list[int | str]) -> None:
    """Add an entry, unless the folder cannot be written: then each process reads the file."""
    with suppress(OSError):
        memo.parent.mkdir(parents=True, exist_ok=True)
        aside = memo.with_name(f"{memo.name}.{os.getpid()}")
        aside.write_text(json.dumps({**_read(memo), name: entry}), encoding="utf-8")
        aside.replace(memo)
