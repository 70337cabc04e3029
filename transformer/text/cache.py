"""Folders that are built once, found by key, and never seen half-built."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from transformer.errors import InputError
from transformer.text.digests import digest_file

LOGGER = logging.getLogger(__name__)
MANIFEST = "manifest.json"  # digests of all other files; written last


class InterruptedBuildError(InputError):
    """What ended a build that can be gone on with."""


def cached_folder(
    root: Path, key: str, build: Callable[[Path], None], *, needed: Sequence[str] = ()
) -> Path:
    """The folder `root/key`, filled by `build` if it is not there whole, with the files `needed`.

    `build` gets a folder aside, which takes its place when `build` returns. It is empty, or holds
    what a build that was interrupted left; one that raises InputError or OSError leaves nothing,
    unless it is InterruptedBuildError.
    Of several processes one builds and the others wait.
    """
    folder = root / key

    def is_there() -> bool:
        return all((folder / name).exists() for name in needed) and is_whole(folder)

    if is_there():
        return folder
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _lock(root / f"{key}.lock"):
            if not is_there():
                _build(folder, build)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"data.cache_dir={root} cannot be written: {reason}") from error
    return folder


def is_whole(folder: Path) -> bool:
    """Whether every file that the build left is there, unaltered."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return bool(manifest == _manifest(folder))
    except (OSError, ValueError):
        return False


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    """Hold the lock `file`; says so where another process holds it."""
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        LOGGER.info("waiting for another process that prepares the same data (%s)", file)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build(folder: Path, build: Callable[[Path], None]) -> None:
    # What an interrupted process left: nobody else is at work here, since we hold the lock.
    aside = folder.with_name(f"{folder.name}.building")
    if aside.exists():
        LOGGER.info("going on with what was prepared before the interruption")
    aside.mkdir(exist_ok=True)
    try:
        build(aside)
        manifest = json.dumps(_manifest(aside), indent=1)
        (aside / MANIFEST).write_text(manifest, encoding="utf-8")
        # A run may read what is there, if only because it lacks a file that others need.
        shutil.rmtree(folder, ignore_errors=True)
        aside.replace(folder)
    except InterruptedBuildError:
        raise
    except (InputError, OSError):
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _manifest(folder: Path) -> dict[str, str]:
    """The BLAKE2b digest of every file but the manifest."""
    digests = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != MANIFEST:
            digests[file.relative_to(folder).as_posix()] = digest_file(file).hex()
    return digests
