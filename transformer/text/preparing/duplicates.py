"""Rows that occurred before, found by digests on the disk, part of them at a time."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

from transformer.config import Duplicates
from transformer.text.matching import near_key
from transformer.text.preparing.chunks import damaged

PART = 1 << 22  # digests that are compared at once
Digests = NDArray[np.uint64]  # [rows, 2], so 128 bits: for 10 ** 12 rows, equal ones are equal text


def digests(
    sources: Sequence[str], targets: Sequence[str], direction: tuple[str, str], kind: Duplicates
) -> Digests:
    """XXH3 digests of the pairs, equal for pairs that are the same in the sense of `kind`."""
    head = " ".join(direction)
    # LF cannot occur in a text, so it tells the parts apart.
    if kind is Duplicates.near:
        keys = [
            f"{head}\n{near_key(s) or s}\n{near_key(t) or t}"
            for s, t in zip(sources, targets, strict=True)
        ]
    else:
        keys = [f"{head}\n{s}\n{t}" for s, t in zip(sources, targets, strict=True)]
    digest = xxhash.xxh3_128_digest
    joined = b"".join([digest(key.encode()) for key in keys])
    return np.frombuffer(joined, np.uint64).reshape(-1, 2)


def save_digests(file: Path, found: Digests) -> None:
    """Write the digests in ascending order, equal ones in that of their rows, with these."""
    order = np.lexsort((found[:, 1], found[:, 0]))
    rows = order.astype(np.uint64)[:, None]
    with file.open("wb") as stream:
        np.save(stream, np.concatenate([found[order], rows], axis=1))


def find_duplicates(files: Sequence[Path], sizes: NDArray[np.int64], output: Path) -> int:
    """Write a byte for each row of all chunks: 1 where an earlier row is the same; how many are.

    `files` are those of `save_digests`. Digests between two bounds are read from all of them and
    sorted, then those between the next two; so memory depends on PART and not on their number.
    Those that are equal lie between the same two, so of a file only the first of them is taken.
    """
    total = int(sizes.sum())
    with output.open("wb") as stream:
        stream.truncate(total)
    if total == 0:
        return 0
    marks = np.memmap(output, np.bool_, mode="r+", shape=(total,))
    starts = np.cumsum(sizes) - sizes
    n_parts = -(-total // PART)
    bounds = [(part << 64) // n_parts for part in range(n_parts)]
    n_found = 0
    for part, low in enumerate(bounds):
        high = bounds[part + 1] if part + 1 < n_parts else None
        slices = []
        for file, start in zip(files, starts.astype(np.uint64), strict=True):
            found = _between(file, low, high) + np.array([0, 0, start], np.uint64)
            again = np.zeros(len(found), np.bool_)
            again[1:] = (found[1:, :2] == found[:-1, :2]).all(axis=1)
            marks[found[again, 2].astype(np.int64)] = True
            n_found += int(again.sum())
            slices.append(found[~again])
        keys, rows = np.split(np.concatenate(slices), [2], axis=1)
        rows = rows[:, 0]
        order = np.lexsort((rows, keys[:, 1], keys[:, 0]))
        keys = keys[order]
        same = (keys[1:] == keys[:-1]).all(axis=1)
        marks[rows[order][1:][same].astype(np.int64)] = True
        n_found += int(same.sum())
    marks.flush()
    return n_found


def _between(file: Path, low: int, high: int | None) -> NDArray[np.uint64]:
    try:
        found: NDArray[np.uint64] = np.load(file, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise damaged(file) from error
    start = int(np.searchsorted(found[:, 0], np.uint64(low)))
    stop = len(found) if high is None else int(np.searchsorted(found[:, 0], np.uint64(high)))
    return np.asarray(found[start:stop])
