"""Signals that ask a process to end."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from transformer.errors import Stopped

ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
# A launcher may pass a Ctrl-C on to processes that the terminal has already told of it.
ECHO_S = 2.0


class Signals:
    """What has been asked of this process: between updates an exception, while training a flag."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._deferred = False
        self._first = 0.0  # when the first signal came

    def handle(self, number: int, _: FrameType | None = None) -> None:
        """Take note of a signal; a second SIGINT raises KeyboardInterrupt."""
        again = self.received is not None
        if number == signal.SIGINT and again:
            echo = "TORCHELASTIC_RUN_ID" in os.environ
            if not (echo and time.monotonic() - self._first < ECHO_S):
                raise KeyboardInterrupt
        if again:
            return
        self.received = signal.Signals(number)
        self._first = time.monotonic()
        if not self._deferred:
            self.raise_stopped("before training")

    def raise_stopped(self, when: str) -> None:
        """Raise Stopped, which says what came and `when`."""
        name = "another process" if self.received is None else self.received.name
        raise Stopped(f"stopped by {name} {when}; run again to go on")

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Lets a signal wait until somebody asks for `received`."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False


@contextmanager
def watched() -> Iterator[Signals]:
    """Signals of this process; nothing is watched outside the main thread, where none arrives."""
    signals = Signals()
    with handled(signals.handle):
        yield signals


@contextmanager
def immediate(when: str) -> Iterator[None]:
    """Turns a signal into Stopped at once; `when` says what is left undone."""
    signals = Signals()

    def stop(number: int, _: FrameType | None) -> None:
        signals.received = signal.Signals(number)
        signals.raise_stopped(when)

    with handled(stop):
        yield


@contextmanager
def handled(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Lets `handler` take the signals of ASKING, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, handler)
        for number in ASKING
        if signal.getsignal(number) is not signal.SIG_IGN  # as nohup does with SIGHUP
    }
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
