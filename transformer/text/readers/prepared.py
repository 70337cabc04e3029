"""A folder that was prepared before, as a corpus."""

import hashlib
import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from transformer.errors import InputError
from transformer.text.readers.reader import ALIGNED, DOCUMENT, PAIR, Meter, Run

MANIFEST = "manifest.json"


class PreparedReader:
    """Stands for what was prepared: it has no text to read, and is told apart by its class."""

    def __init__(self, path: Path, *, documents: bool = False) -> None:
        self.path = path
        self._documents = documents

    @property
    def fields(self) -> tuple[str, ...]:
        if self._documents:
            return DOCUMENT
        return ALIGNED if self._content["aligned"] else PAIR

    @cached_property
    def _content(self) -> dict[str, Any]:
        """What is said of the training pairs."""
        file = self.path / "train.json"
        try:
            content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{file} cannot be read; prepare again") from error
        return content

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the folder's manifest."""
        file = self.path / MANIFEST
        try:
            return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()
        except OSError as error:
            raise InputError(f"{file} cannot be read: {error.strerror}") from error

    @property
    def n_bytes(self) -> int | None:
        return None

    def columns(self, size: int, meter: Meter | None = None) -> Iterator[Run]:
        raise AssertionError(f"what is prepared is not read again: {size}, {meter}")
