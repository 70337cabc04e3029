"""The second stage: the rows of a chunk that are no duplicates become ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from transformer.config import CleaningConfig, CorpusConfig, Duplicates
from transformer.text.cleaning import CorpusReport
from transformer.text.preparing.chunks import Chunk, Chunks, damaged
from transformer.text.preparing.encoding import Encoded, Encoder
from transformer.text.preparing.rejects import write_rejects
from transformer.text.ragged import Lists

STAGE = "encoded"


@dataclass
class EncodeSetup:
    """What all tasks need."""

    chunks: Chunks
    corpora: Sequence[CorpusConfig]
    tags: Sequence[Sequence[str]]  # of each corpus
    encoder: Encoder
    cleaning: CleaningConfig


def encode_chunk(setup: EncodeSetup, index: int) -> int:
    """Write the ids of chunk `index` and what is dropped of it; gives the number of rows left."""
    chunk, kept = setup.chunks.chunks[index], setup.chunks.kept(index)
    columns = setup.chunks.columns(index)
    rows = np.flatnonzero(kept).tolist()
    found = _encode(setup, index, [[column[row] for row in rows] for column in columns])
    reasons: list[str | None] = [None if is_kept else "duplicates" for is_kept in kept.tolist()]
    left = np.ones(len(rows), np.bool_)
    for reason, dropped in _by_length(found, setup.cleaning).items():
        left &= ~dropped
        for row in np.flatnonzero(dropped).tolist():
            reasons[rows[row]] = reason
    np.savez(chunk.file("ids.npz"), **_arrays(found.chosen(left)))
    if setup.cleaning.keep_rejected is not None:
        _reject(setup, chunk, columns, reasons)
    report = _report(setup.cleaning, columns, reasons)
    n_rows = int(left.sum())
    chunk.finish(STAGE, {"rows": n_rows, "report": report.to_dict()})
    return n_rows


def _encode(setup: EncodeSetup, index: int, columns: list[list[str]]) -> Encoded:
    """The rows of chunk `index` that are no duplicates, with what comes before them."""
    corpus = setup.chunks.chunks[index].corpus
    before = _before(setup, index)
    return setup.encoder.encode(
        [[*earlier, *column] for earlier, column in zip(before, columns, strict=True)],
        setup.chunks.fields[corpus],
        setup.tags[corpus],
        n_before=len(before[0]),
    )


def _report(
    cleaning: CleaningConfig, columns: list[list[str]], reasons: list[str | None]
) -> CorpusReport:
    report = CorpusReport(n_examples=cleaning.n_examples)
    asked = {
        "duplicates": cleaning.duplicates is not Duplicates.none,
        "max_pieces": cleaning.max_pieces is not None,
        "max_ratio": cleaning.max_ratio is not None,
    }
    for reason in (name for name, is_asked in asked.items() if is_asked):
        dropped = [row for row, why in enumerate(reasons) if why == reason]
        report.drop(reason, [(columns[0][row], columns[1][row]) for row in dropped])
    return report


def _reject(
    setup: EncodeSetup, chunk: Chunk, columns: list[list[str]], reasons: list[str | None]
) -> None:
    numbers = np.load(chunk.file("rows.npy")).tolist()
    dropped = (
        (reason, numbers[row], columns[0][row], columns[1][row])
        for row, reason in enumerate(reasons)
        if reason is not None
    )
    write_rejects(chunk.file("rejected2"), setup.corpora[chunk.corpus].label, dropped)


def load_ids(setup: EncodeSetup, index: int) -> dict[str, Lists]:
    """The source, the target and perhaps the links that `encode_chunk` wrote."""
    file = setup.chunks.chunks[index].file("ids.npz")
    try:
        with file.open("rb") as stream, np.load(stream) as arrays:
            names = dict.fromkeys(name.partition(".")[0] for name in arrays)
            return {
                name: Lists(arrays[f"{name}.numbers"], arrays[f"{name}.lengths"]) for name in names
            }
    except (ValueError, EOFError, BadZipFile) as error:
        raise damaged(file) from error


def _arrays(found: Encoded) -> dict[str, Any]:
    sides = {"source": found.source, "target": found.target}
    if found.links is not None:
        sides["links"] = found.links
    return {
        f"{name}.{part}": array
        for name, lists in sides.items()
        for part, array in lists._asdict().items()
    }


def _by_length(found: Encoded, config: CleaningConfig) -> dict[str, NDArray[np.bool_]]:
    """The rows that each rule on pieces drops, one of them at most; an empty side counts 1."""
    longer = np.maximum(found.source_lengths, found.target_lengths)
    shorter = np.maximum(np.minimum(found.source_lengths, found.target_lengths), 1)
    too_long = longer > (np.inf if config.max_pieces is None else config.max_pieces)
    uneven = longer > (np.inf if config.max_ratio is None else config.max_ratio) * shorter
    return {"max_pieces": too_long, "max_ratio": uneven & ~too_long}


def _before(setup: EncodeSetup, index: int) -> list[list[str]]:
    """The texts that may be context of the first rows of a chunk."""
    chunks, wanted = setup.chunks, setup.encoder.context.source
    corpus = chunks.chunks[index].corpus
    found: list[list[str]] = [[] for _ in chunks.fields[corpus]]
    while wanted > len(found[0]) and index > 0 and chunks.chunks[index - 1].corpus == corpus:
        index -= 1
        n = wanted - len(found[0])
        earlier = chunks.kept_columns(index)
        found = [[*old[-n:], *new] for old, new in zip(earlier, found, strict=True)]
    return found
