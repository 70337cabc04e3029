"""Corpora in files that tests write."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from transformer.config import ContextConfig, FilesConfig
from transformer.text.corpus import Reader, open_corpora

Rows = list[tuple[str, ...]]


def rows_of(reader: Reader, size: int = 3) -> Rows:
    return [row for run in reader.columns(size) for row in zip(*run, strict=True)]


def reader_of(path: Path, *, context: bool = False, **settings: Any) -> Reader:
    """The reader of an English-German training corpus with settings of its own."""
    data = FilesConfig(
        source="en",
        target="de",
        train={"path": str(path), **settings},
        valid="unused",
        context=ContextConfig(source=1 if context else 0),
    )
    (corpus,) = open_corpora(data, "train")
    return corpus.reader


@pytest.fixture
def read() -> Callable[..., Rows]:
    """Reads the rows of a training corpus: a path, and settings of the corpus."""

    def rows(path: Path, **settings: Any) -> Rows:
        return rows_of(reader_of(path, **settings))

    return rows


@pytest.fixture
def opened() -> Callable[..., Reader]:
    return reader_of


@pytest.fixture(autouse=True)
def _told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="transformer")
