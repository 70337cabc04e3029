"""What cleaning dropped, with the reason, for people to look at."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

REJECTED = "rejected.tsv"  # in the folder of prepared data


def write_rejects(file: Path, corpus: str, rows: Iterable[tuple[str, int, str, str]]) -> None:
    """Write reason, corpus, number in it (from 1), source and target of rows, between tabs.

    A tab within a text becomes a space.
    """
    lines = (
        f"{reason}\t{corpus}\t{number + 1}\t{_flat(source)}\t{_flat(target)}\n"
        for reason, number, source, target in rows
    )
    file.write_bytes("".join(lines).encode())


def join_rejects(files: Sequence[Path], output: Path) -> None:
    """Write the files one behind the other."""
    with output.open("wb") as stream:
        for file in files:
            _append(file, stream)


def _append(file: Path, stream: BinaryIO) -> None:
    if file.exists():
        stream.write(file.read_bytes())


def _flat(text: str) -> str:
    return text.replace("\t", " ")
