"""Work of one kind in several processes, in order and with bounded memory."""

import logging
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from itertools import chain, islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any, TypeVar

from transformer.signals import ASKING
from transformer.text.cache import InterruptedBuildError

Task = TypeVar("Task")
Setup = TypeVar("Setup")
Result = TypeVar("Result")

AHEAD = 2  # tasks that wait for each process
FEW = 2  # tasks for which no process is started: that takes as long


def n_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worked(
    work: Callable[[Setup, Task], Result],
    setup: Setup,
    tasks: Iterable[Task],
    processes: int,
) -> Iterator[Result]:
    """What `work` makes of each task, in order.

    All processes get `setup` once, when they are started; few tasks are done in this one.
    """
    remaining = iter(tasks)
    first = list(islice(remaining, FEW + 1))
    if processes == 1 or len(first) <= FEW:
        for task in chain(first, remaining):
            yield work(setup, task)
        return
    yield from _in_processes(work, setup, chain(first, remaining), processes)


def _in_processes(
    work: Callable[[Setup, Task], Result], setup: Setup, tasks: Iterable[Task], processes: int
) -> Iterator[Result]:
    context = get_context("spawn")
    # Nothing is ever sent: a process ends when the other end is closed, as it is when we die.
    alive, lifeline = context.Pipe(duplex=False)
    executor = ProcessPoolExecutor(processes, context, _begin, (work, setup, alive))
    waiting: deque[Future[Result]] = deque()
    try:
        for task in tasks:
            with _signals_for_us():
                waiting.append(executor.submit(_work, task))
            if len(waiting) > AHEAD * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        executor.shutdown()
    except BrokenProcessPool as error:
        raise InterruptedBuildError(
            f"one of data.prepare_processes={processes} was killed, as happens where memory runs "
            "out; give fewer, and run again to go on"
        ) from error
    finally:
        lifeline.close()
        executor.shutdown(cancel_futures=True)
        alive.close()


@contextmanager
def _signals_for_us() -> Iterator[None]:
    """Processes started meanwhile inherit a mask: what a terminal tells all, we act on."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# Of a process that was started here: the work, and what it needs.
_given: list[Any] = []


def _begin(work: Callable[[Setup, Task], Result], setup: Setup, alive: Connection) -> None:
    Thread(target=_end_with, args=(alive,), daemon=True).start()
    logging.disable()  # the first process says the same
    _given.extend((work, setup))


def _end_with(alive: Connection) -> None:
    """End this process at once when the first one closes its end, or dies."""
    with suppress(EOFError, OSError):
        alive.recv()
    os._exit(1)


def _work(task: Any) -> Any:
    work, setup = _given
    return work(setup, task)
