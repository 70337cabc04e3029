"""Properties of what a thread makes ahead of need."""

import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from itertools import count, islice

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from transformer.text.batching import Batch
from transformer.training.loading import Upload, ahead, wait_for_closing

LONG_S = 20.0


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ahead"]


def until(happened: Callable[[], bool]) -> None:
    """Wait for it; fail where it takes too long."""
    end = time.monotonic() + LONG_S
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.002)


class Numbers:
    """The numbers from 0 on, and what becomes of them."""

    def __init__(self, stop: int | None = None) -> None:
        self.made = 0
        self.makers: set[str] = set()
        self.closed = False
        self.stop = stop

    def __call__(self) -> Generator[int]:
        try:
            for number in count():
                if number == self.stop:
                    return
                self.makers.add(threading.current_thread().name)
                self.made += 1
                yield number
        finally:
            self.closed = True


@pytest.mark.parametrize("n", [0, 1, 3, 50])
def test_items_come_in_order_however_many_are_made_ahead(n: int) -> None:
    numbers = Numbers(20)
    assert list(ahead(numbers(), n)) == list(range(20))
    assert numbers.closed
    assert numbers.makers == {"ahead" if n else "MainThread"}
    assert not threads()


@pytest.mark.parametrize("n", [1, 3])
def test_no_more_than_asked_for_are_held(n: int) -> None:
    numbers = Numbers()
    items = ahead(numbers(), n)
    assert numbers.made == 0, "nothing is made before the first is asked for"
    for taken in range(1, 6):
        next(items)
        until(lambda taken=taken: numbers.made == taken + n)  # type: ignore[misc]
        time.sleep(0.01)
        assert numbers.made == taken + n
    items.close()
    assert numbers.closed
    assert not threads()


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("n", [0, 1, 4])
def test_an_error_arrives_as_it_was_after_the_items_before_it(
    kind: type[BaseException], n: int
) -> None:
    error = kind("as it was")

    def items() -> Generator[int]:
        yield 1
        yield 2
        raise error

    made = ahead(items(), n)
    assert [next(made), next(made)] == [1, 2]
    with pytest.raises(kind) as caught:
        next(made)
    assert caught.value is error
    assert not threads()


def test_the_thread_ends_where_the_consumer_fails_or_leaves() -> None:
    numbers = Numbers()

    def consume() -> None:
        for item in ahead(numbers(), 2):
            item / 0

    with pytest.raises(ZeroDivisionError):
        consume()
    assert numbers.closed
    assert not threads()
    for _ in ahead(Numbers()(), 2):
        break
    assert not threads()


def test_threads_one_inside_the_other_end_together() -> None:
    numbers = Numbers()
    inner = ahead(numbers(), 1)

    def doubled() -> Generator[int]:
        try:
            for number in inner:
                yield 2 * number
        finally:
            inner.close()

    items = ahead(doubled(), 2)
    assert list(islice(items, 10)) == list(range(0, 20, 2))
    assert len(threads()) == 2
    items.close()
    assert numbers.closed
    assert not threads()


def test_threads_that_take_long_are_waited_for_and_close_their_items(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("transformer.training.loading.END_S", 0.02)
    release, closed = threading.Event(), []

    def items(name: str, source: Generator[int] | None = None) -> Generator[int]:
        try:
            yield 0
            for number in source or [1]:
                release.wait(LONG_S)
                yield number
        finally:
            if source is not None:
                source.close()
            closed.append(name)

    made = ahead(items("outer", ahead(items("inner"), 1)), 3)
    next(made)
    until(lambda: len(threads()) == 2)
    started = time.monotonic()
    made.close()
    assert time.monotonic() - started < LONG_S / 4
    assert threads()
    assert not closed
    threading.Timer(0.05, release.set).start()
    wait_for_closing()
    assert not threads()
    assert sorted(closed) == ["inner", "outer"]


def test_threads_whose_generator_is_in_use_are_not_waited_for() -> None:
    items = ahead(Numbers()(), 2)
    next(items)
    wait_for_closing()
    assert threads()
    items.close()


def test_an_item_is_let_go_as_soon_as_the_consumer_lets_go() -> None:
    def arrays() -> Generator[NDArray[np.float64]]:
        for _ in range(3):
            yield np.zeros(3)

    items = ahead(arrays(), 3)
    seen = weakref.ref(next(items))
    next(items)
    assert seen() is None
    items.close()


def test_ctrl_c_is_quick_while_the_consumer_waits() -> None:
    release = threading.Event()

    def items() -> Generator[int]:
        release.wait(LONG_S)
        yield 1

    main = threading.main_thread().ident
    assert main is not None
    waiting = ahead(items(), 1)
    timer = threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        next(waiting)
    assert time.monotonic() - started < LONG_S / 4
    release.set()
    timer.join()
    until(lambda: not threads())


@pytest.mark.parametrize("work", ["pass", "time.sleep(0.01)", "time.sleep(1000)"])
def test_a_process_ends_whatever_the_thread_does(work: str) -> None:
    program = f"""
import time
from transformer.training.loading import ahead
def items():
    yield 0
    while True:
        {work}
        yield 1
left_open = ahead(items(), 2)
print(next(left_open))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_batch_that_is_copied_ahead_is_whole_when_it_is_computed_with() -> None:
    def batches() -> Iterator[Batch]:
        for number in range(30):
            ids = torch.full((512, 4_096), number)
            yield Batch(ids, ids, ids, ids.flatten(), number, number).pin_memory()

    upload = Upload(torch.device("cuda", torch.cuda.current_device()))

    def sent() -> Generator[Batch]:
        yield from upload.send(batches())

    sums = []
    for batch in ahead(sent(), 4):
        upload.receive(batch)
        assert batch.to(upload.device).source is batch.source
        sums.append(batch.source.sum() + batch.label_positions.sum())
    found = torch.stack(sums).tolist()
    assert found == [2 * 512 * 4_096 * number for number in range(30)]
