"""Rows that occurred before are found, however the work is cut."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from transformer.config import Duplicates
from transformer.text.preparing import duplicates
from transformer.text.preparing.duplicates import digests, find_duplicates, save_digests

DIRECTION = ("en", "de")
Pairs = list[tuple[str, str]]


def found(folder: Path, chunks: list[Pairs], kind: Duplicates = Duplicates.exact) -> list[bool]:
    files = []
    for number, pairs in enumerate(chunks):
        file = folder / str(number)
        save_digests(file, digests([s for s, _ in pairs], [t for _, t in pairs], DIRECTION, kind))
        files.append(file)
    sizes = np.array([len(pairs) for pairs in chunks], np.int64)
    n = find_duplicates(files, sizes, folder / "marks")
    marks: list[bool] = np.fromfile(folder / "marks", np.bool_).tolist()
    assert n == sum(marks)
    return marks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("duplicates")


PAIR = st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"))


@given(chunks=st.lists(st.lists(PAIR, max_size=8), min_size=1, max_size=4), part=st.integers(1, 20))
def test_all_but_the_first_of_equal_pairs_are_marked(
    folder: Path, chunks: list[Pairs], part: int
) -> None:
    seen: set[tuple[str, str]] = set()
    expected = []
    for pair in (pair for pairs in chunks for pair in pairs):
        expected.append(pair in seen)
        seen.add(pair)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "PART", part)
        assert found(folder, chunks) == expected


def test_pairs_that_occur_often_are_not_all_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    original = np.lexsort

    def spy(keys: tuple[NDArray[np.uint64], ...]) -> NDArray[np.intp]:
        held.append(len(keys[0]))
        return original(keys)

    monkeypatch.setattr("transformer.text.preparing.duplicates.PART", 50)
    monkeypatch.setattr(np, "lexsort", spy)
    assert found(tmp_path, [[("a", "x")] * 100] * 10) == [False, *[True] * 999]
    assert max(held[10:]) == 10  # one of each chunk


def test_what_differs_in_case_points_and_digits_is_nearly_the_same(tmp_path: Path) -> None:
    pairs = [("It is 5.", "Es ist 5."), ("it is 7", "es ist 7!"), ("It is so.", "Es ist 5.")]
    assert found(tmp_path, [pairs], Duplicates.near) == [False, True, False]
    assert found(tmp_path, [pairs]) == [False, False, False]


def test_pairs_without_letters_are_nearly_the_same_only_if_they_are_equal(tmp_path: Path) -> None:
    pairs = [("!", "?"), ("?", "?"), ("!", "?")]
    assert found(tmp_path, [pairs], Duplicates.near) == [False, False, True]


def test_the_sides_are_told_apart_and_so_are_the_directions() -> None:
    one = digests(["ab"], ["c"], DIRECTION, Duplicates.exact)
    assert (one != digests(["a"], ["bc"], DIRECTION, Duplicates.exact)).any()
    assert (one != digests(["ab"], ["c"], ("en", "zh"), Duplicates.exact)).any()
