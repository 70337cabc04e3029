"""Folders that are built once, found by key, and never seen half-built."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from transformer.errors import InputError

LOGGER = logging.getLogger(__name__)
MANIFEST = "manifest.json"  # digests of all other files; written last


def cache_root(setting: str | None) -> Path:
    """`setting`, else the environment's TRANSFORMER_MT_CACHE, else the user's cache folder."""
    folder = setting or os.environ.get("TRANSFORMER_MT_CACHE")
    if folder:
        return Path(folder).expanduser()
    return platformdirs.user_cache_path("transformer-mt")


def cached_folder(root: Path, key: str, build: Callable[[Path], None]) -> Path:
    """The folder `root/key`, filled by `build` if it is not there whole.

    `build` gets an empty folder aside, which takes its place when `build` returns and is removed
    when it raises. Of several processes one builds and the others wait.
    """
    folder = root / key
    if is_whole(folder):
        return folder
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _lock(root / f"{key}.lock"):
            if not is_whole(folder):
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
    aside = folder.with_name(f"{folder.name}.building")
    # What a killed process left: nobody else is at work here, since we hold the lock.
    shutil.rmtree(aside, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    aside.mkdir()
    try:
        build(aside)
        manifest = json.dumps(_manifest(aside), indent=1)
        (aside / MANIFEST).write_text(manifest, encoding="utf-8")
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _manifest(folder: Path) -> dict[str, str]:
    """The BLAKE2b digest of every file but the manifest."""
    digests = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != MANIFEST:
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, hashlib.blake2b).hexdigest()
            digests[file.relative_to(folder).as_posix()] = digest
    return digests
