"""Chunks of cleaned text, and samples of them."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from transformer.text.preparing.chunks import Chunk, Chunks, Sample
from transformer.text.preparing.texts import read_columns, write_columns

TEXTS = ["", " a", "b\r", "\u2028\u0085", "\0", "é\t"]


def chunks_of(folder: Path, sizes: list[int], marks: list[bool] | None = None) -> Chunks:
    """Chunks with the pairs ("s0", "t0"), ("s1", "t1"), …"""
    chunks, first = [], 0
    for number, size in enumerate(sizes):
        chunk = Chunk(folder, 0, number)
        rows = range(first, first + size)
        write_columns(chunk.file("text"), [[f"s{i}" for i in rows], [f"t{i}" for i in rows]])
        chunks.append(chunk)
        first += size
    file = None
    if marks is not None:
        file = folder / "marks"
        np.array(marks, np.bool_).tofile(file)
    return Chunks(chunks, np.array(sizes, np.int64), [("source", "target")], file)


def test_texts_come_back_as_they_are(tmp_path: Path) -> None:
    write_columns(tmp_path / "a", [TEXTS, TEXTS[::-1]])
    assert read_columns(tmp_path / "a", 2) == [TEXTS, TEXTS[::-1]]
    write_columns(tmp_path / "b", [[], []])
    assert read_columns(tmp_path / "b", 2) == [[], []]


def test_a_stage_is_finished_when_it_says_so(tmp_path: Path) -> None:
    chunk = Chunk(tmp_path, 3, 4)
    assert not chunk.finished("cleaned")
    chunk.finish("cleaned", {"rows": 7, "text": "ä"})
    assert chunk.finished("cleaned")
    assert not chunk.finished("encoded")
    assert chunk.told("cleaned") == {"rows": 7, "text": "ä"}


def test_duplicates_are_left_out(tmp_path: Path) -> None:
    chunks = chunks_of(tmp_path, [2, 0, 3], [False, True, True, False, False])
    assert [chunks.kept(i).tolist() for i in range(3)] == [[True, False], [], [False, True, True]]
    assert [chunks.kept_columns(i) for i in range(3)] == [
        [["s0"], ["t0"]],
        [[], []],
        [["s3", "s4"], ["t3", "t4"]],
    ]


@pytest.mark.parametrize("size", [0, 1, 5, 9, 10, 20])
def test_a_sample_is_of_distinct_pairs_in_their_order(tmp_path: Path, size: int) -> None:
    chunks = chunks_of(tmp_path, [4, 0, 5, 3], [False] * 10 + [True, True])
    sample = Sample(chunks, size, 1)
    pairs = list(sample)
    assert list(sample) == pairs
    assert len(sample) == len(pairs) == min(size, 10)
    rows = [int(source[1:]) for source, _ in pairs]
    assert rows == sorted(set(rows))
    assert [target for _, target in pairs] == [f"t{row}" for row in rows]


def test_each_pair_is_as_likely_in_a_sample(tmp_path: Path) -> None:
    chunks = chunks_of(tmp_path, [2, 5, 1])
    n = 3000
    counts = Counter(pair for seed in range(n) for pair in Sample(chunks, 3, seed))
    expected = n * 3 / 8
    assert set(counts) == {(f"s{i}", f"t{i}") for i in range(8)}
    assert all(abs(count - expected) < 5 * expected**0.5 for count in counts.values())
