"""Lists of numbers in flat files."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.text.ragged import Lists, Ragged, write_lists

ROW = st.lists(st.integers(0, 70_000), max_size=9)


@pytest.fixture(scope="module")
def stem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ragged") / "a.b"


@pytest.mark.parametrize("largest", [65_535, 65_536])
@given(rows=st.lists(ROW, max_size=12), cut=st.integers(0, 12), data=st.data())
def test_lists_come_back_as_they_were_written(
    stem: Path, largest: int, rows: list[list[int]], cut: int, data: st.DataObject
) -> None:
    rows = [[min(n, largest) for n in row] for row in rows]
    for file in stem.parent.iterdir():
        file.unlink()
    assert write_lists(stem, map(Lists.of, (rows[:cut], rows[cut:])), largest) == len(rows)
    found = Ragged.open(stem, len(rows))
    assert found.lengths.tolist() == [len(row) + 1 for row in rows]
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    part = found.lists(start, stop)
    assert [part.numbers.tolist(), part.lengths.tolist()] == [
        [n for row in rows[start:stop] for n in row],
        [len(row) for row in rows[start:stop]],
    ]
    if rows:
        chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=6))
        padded = found.padded(np.array(chosen), 10, -1).tolist()
        assert padded == [rows[i] + [-1] * (10 - len(rows[i])) for i in chosen]


def test_small_numbers_take_two_bytes_each(tmp_path: Path) -> None:
    for name, largest, size in (("a", 65_535, 6), ("b", 65_536, 12)):
        write_lists(tmp_path / name, [Lists.of([[1, 2], [3]])], largest)
        sizes = {file.suffix: file.stat().st_size for file in tmp_path.glob(f"{name}.*")}
        assert sizes.pop(".lengths") == 8
        assert sizes.pop(".offsets") == 16
        assert list(sizes.values()) == [size]


@given(st.lists(ROW, min_size=1, max_size=9), st.data())
def test_chosen_lists_are_those_where_it_says_true(
    rows: list[list[int]], data: st.DataObject
) -> None:
    mask = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    chosen = Lists.of(rows).chosen(np.array(mask))
    expected = Lists.of([row for row, is_one in zip(rows, mask, strict=True) if is_one])
    assert chosen.numbers.tolist() == expected.numbers.tolist()
    assert chosen.lengths.tolist() == expected.lengths.tolist()
