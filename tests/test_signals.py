"""Properties of what signals do."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from transformer.errors import Stopped
from transformer.signals import ASKING, Signals, handled, immediate, watched


@contextmanager
def handlers_restored() -> Iterator[None]:
    before = [signal.getsignal(number) for number in ASKING]
    yield
    assert [signal.getsignal(number) for number in ASKING] == before


@pytest.mark.parametrize("number", ASKING)
def test_a_signal_ends_at_once_what_is_not_training(number: signal.Signals) -> None:
    expected = pytest.raises(Stopped, match=f"{number.name} before training")
    with handlers_restored(), expected, watched():
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", ASKING)
def test_a_signal_waits_for_the_end_of_an_update(number: signal.Signals) -> None:
    with handlers_restored(), watched() as signals, signals.deferred():
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.received is number
        with pytest.raises(Stopped, match=f"stopped by {number.name} after update 3; x; run"):
            signals.raise_stopped("after update 3; x")


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_second_interrupt_stops_at_once(
    first: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with handlers_restored(), watched() as signals, signals.deferred():
        os.kill(os.getpid(), first)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_echo_of_a_launcher_is_no_second_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    signals = Signals()
    with signals.deferred():
        signals.handle(signal.SIGINT)
        signals.handle(signal.SIGINT)
        monkeypatch.setattr("time.monotonic", lambda: signals._first + 10)
        with pytest.raises(KeyboardInterrupt):
            signals.handle(signal.SIGINT)


def test_what_another_process_was_told_is_said_so() -> None:
    with pytest.raises(Stopped, match="stopped by another process after"):
        Signals().raise_stopped("after update 1")


def test_an_immediate_stop_says_what_is_left_undone() -> None:
    expected = pytest.raises(Stopped, match="SIGTERM in the test; run again")
    with handlers_restored(), expected, immediate("in the test"):
        os.kill(os.getpid(), signal.SIGTERM)


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handled(lambda *_: None):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
