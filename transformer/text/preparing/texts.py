"""Columns of text in files, a line a text."""

from collections.abc import Sequence
from pathlib import Path


def write_columns(stem: Path, columns: Sequence[Sequence[str]]) -> None:
    """Write a file a column; no text may hold LF."""
    for number, column in enumerate(columns):
        text = "".join(f"{line}\n" for line in column)
        _file(stem, number).write_bytes(text.encode())


def read_columns(stem: Path, n_columns: int) -> list[list[str]]:
    """What `write_columns` wrote."""
    return [
        _file(stem, number).read_bytes().decode().split("\n")[:-1] for number in range(n_columns)
    ]


def _file(stem: Path, number: int) -> Path:
    return stem.with_name(f"{stem.name}.{number}.txt")
