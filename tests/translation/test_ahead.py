"""Properties of reading ahead."""

import time
from collections.abc import Iterator
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.translation.ahead import Ahead


@given(n=st.integers(0, 50), most=st.integers(1, 7), size=st.integers(1, 9))
def test_chunks_hold_each_item_once_in_order(n: int, most: int, size: int) -> None:
    chunks = list(Ahead(range(n), size).chunks(most))
    assert [item for chunk in chunks for item in chunk] == list(range(n))
    assert all(1 <= len(chunk) <= most for chunk in chunks)
    assert list(Ahead(range(n), size)) == list(range(n))


@given(n=st.integers(0, 9), most=st.integers(1, 5))
def test_an_error_comes_behind_the_items_before_it(n: int, most: int) -> None:
    def failing() -> Iterator[int]:
        yield from range(n)
        raise LookupError

    chunks: list[list[int]] = []
    with pytest.raises(LookupError):
        chunks.extend(Ahead(failing(), 3).chunks(most))
    assert [item for chunk in chunks for item in chunk] == list(range(n))


def test_what_is_there_is_not_kept_waiting_for_what_is_not() -> None:
    more = Event()

    def slow() -> Iterator[int]:
        yield from range(3)
        more.wait()
        yield 3

    chunks = Ahead(slow(), 9).chunks(9)
    found: list[int] = []
    while len(found) < 3:
        found += next(chunks)
    more.set()
    assert [found, *chunks] == [[0, 1, 2], [3]]


def test_no_more_is_read_than_fits_and_nothing_once_it_is_closed() -> None:
    read = []

    def endless() -> Iterator[int]:
        while True:
            read.append(0)
            yield 0

    ahead = Ahead(endless(), 4)
    while len(read) < 5:
        time.sleep(0.001)
    time.sleep(0.02)
    assert len(read) == 5  # the last one waits for its place
    ahead.close()
    time.sleep(0.02)
    assert len(read) <= 7
    before = len(read)
    time.sleep(0.02)
    assert len(read) == before
