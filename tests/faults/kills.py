"""Run as a program: kills runs at random moments, starts them again, and compares how they end.

A process of its own, since it forks: each fork trains until it ends or is killed (SIGKILL). It
prints one JSON object a run.
"""

import argparse
import json
import logging
import mmap
import os
import random
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from tests.faults.runs import N_UPDATES, changed, differences, make_settings, write_corpus
from transformer.config import Precision, TrainSettings
from transformer.text import vocabulary
from transformer.training import start
from transformer.training.run import RunFolder
from transformer.training.trainer import Trainer
from transformer.training.update import Updater
from transformer.training.validation import Validator

# Memory, where there is such a folder: a disk takes its time to flush.
PLACE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
PHASES = ("starting", "preparing", "training", "validating", "ending")
MOMENTS = (*PHASES, "writing")  # which goes on beside all else
WEIGHTS = (1, 1, 2, 3, 2, 3)  # how often a kill waits for each
# By so much each of them is drawn out, so that a kill hits it often enough: seconds.
SLOW = {"preparing": 0.1, "validating": 0.03, "writing": 0.006}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"training__keep_last": 2},
    "ema": {"training__ema": 0.9, "training__keep_every": 4, "training__keep_last": 1},
    "fp16": {"precision": Precision.fp16, "training__checkpoint_every": 2},
    "clock": {"training__checkpoint_minutes": 1e-3, "training__keep_minutes": 2e-3},
}
LIMIT_S = 600.0  # for one attempt


@dataclass
class Board:
    """What a fork tells of itself: memory that it shares with its parent."""

    memory: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 64))

    def clear(self) -> None:
        self.memory[:64] = bytes(64)
        self.write("resumed", -1)

    def write(self, name: str, value: int) -> None:
        struct.pack_into("q", self.memory, 8 * NAMES.index(name), value)

    def read(self, name: str) -> int:
        value: int = struct.unpack_from("q", self.memory, 8 * NAMES.index(name))[0]
        return value

    def doing(self) -> set[str]:
        """What the fork is at."""
        return {PHASES[self.read("phase")], *(["writing"] if self.read("writing") else [])}


NAMES = ("phase", "writing", "done", "resumed")
BOARD = Board()


@contextmanager
def phase(name: str) -> Iterator[None]:
    before = BOARD.read("phase")
    BOARD.write("phase", PHASES.index(name))
    time.sleep(SLOW.get(name, 0.0))
    yield
    BOARD.write("phase", before)


def told(target: Any, name: str, wrap: Callable[..., Any]) -> None:
    """Replace a function by `wrap` of it, in this process."""
    original = getattr(target, name)
    setattr(target, name, lambda *args, **kwargs: wrap(original, *args, **kwargs))


def tell_all() -> None:
    """Let this process tell what it does, slowly where it would be too quick to be hit."""

    def in_phase(name: str) -> Callable[..., Any]:
        def wrapped(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            with phase(name):
                return original(*args, **kwargs)

        return wrapped

    def updated(original: Callable[..., Any], self: Updater, update: Any, flags: Any) -> Any:
        found = original(self, update, flags)
        BOARD.write("done", update.position.update)
        return found

    def resumed(original: Callable[..., Any], self: Trainer) -> Any:
        BOARD.write("done", self.number)
        BOARD.write("resumed", self.number)
        BOARD.write("phase", PHASES.index("training"))
        return original(self)

    def saved(original: Callable[..., Any], *args: Any) -> None:
        BOARD.write("writing", 1)
        original(*args)
        BOARD.write("writing", 0)

    def flushed(original: Callable[..., Any], handle: int) -> None:
        time.sleep(SLOW["writing"])
        original(handle)

    told(start, "prepare_data", in_phase("preparing"))
    told(vocabulary, "train_tokenizers", in_phase("preparing"))
    told(Validator, "validate", in_phase("validating"))
    told(Trainer, "_finish", in_phase("ending"))
    told(Trainer, "run", resumed)
    told(Updater, "update", updated)
    told(RunFolder, "save", saved)
    told(os, "fsync", flushed)


def fork(settings: TrainSettings, log: Path) -> int:
    """A process that trains; it ends with 0, or 1 and a traceback in `log`."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        torch.set_num_threads(1)
        tell_all()
        start.train(settings)
        status = 0
    except BaseException:
        log.write_text(traceback.format_exc(), encoding="utf-8")
    finally:
        os._exit(status)


def over(pid: int) -> int | None:
    """The wait status of a process that has ended, else None."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return status if found else None


def kill_when(pid: int, comes: Callable[[], bool], delay_s: float) -> bool:
    """Kill `pid` after `delay_s`, counted from when a moment `comes`; False: it ended before."""
    limit = time.monotonic() + LIMIT_S
    moment = None
    while moment is None or time.monotonic() < moment:
        status = over(pid)
        if status is not None:
            return _ended(status)
        if time.monotonic() > limit:
            os.kill(pid, signal.SIGKILL)
            raise TimeoutError(f"no end after {LIMIT_S} s")
        if moment is None and comes():
            moment = time.monotonic() + delay_s
        time.sleep(0.0005)
    os.kill(pid, signal.SIGSTOP)  # so that what the board says is what the kill hits
    _, status = os.waitpid(pid, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        return _ended(status)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True


def _ended(status: int) -> bool:
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError("a run that went on from where it was killed has failed")
    return False


@dataclass
class Outcome:
    """What became of one run."""

    variant: str
    n_kills: int = 0
    kills: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MOMENTS, 0))
    lost: list[int] = field(default_factory=list)  # updates, at each kill
    different: list[str] = field(default_factory=list)  # from the run never killed
    error: str = ""


def draw_moment(draw: random.Random) -> Callable[[], bool]:
    """Any update, or while something else than an update is done."""
    if draw.random() < 0.4:
        update = draw.randrange(N_UPDATES)
        return lambda: BOARD.read("resumed") >= 0 and BOARD.read("done") >= update
    wanted = draw.choices(MOMENTS, weights=WEIGHTS)[0]
    return lambda: wanted in BOARD.doing()


def disturb(
    settings: TrainSettings, outcome: Outcome, draw: random.Random, n_kills: int, log: Path
) -> None:
    """Kill a run `n_kills` times and let it end."""
    done = 0
    while True:
        BOARD.clear()
        pid = fork(settings, log)
        comes = draw_moment(draw)
        if outcome.n_kills >= n_kills:
            comes = never
        killed = kill_when(pid, comes, draw.uniform(0, 0.03))
        if BOARD.read("resumed") >= 0:
            if outcome.n_kills:
                outcome.lost.append(done - BOARD.read("resumed"))
            done = BOARD.read("done")
        if not killed:
            return
        outcome.n_kills += 1
        for name in BOARD.doing():
            outcome.kills[name] += 1


def never() -> bool:
    return False


def begin(place: Path, name: str, run: str) -> TrainSettings:
    settings = make_settings(place / "corpus", place / run, place / f"cache.{run}")
    return changed(settings, **VARIANTS[name])


def said(place: Path) -> str:
    """The traceback of the run that failed last."""
    log = place / "log"
    return log.read_text(encoding="utf-8") if log.exists() else ""


def campaign(n_kills: int, seed: int, kills_a_run: int) -> Iterator[Outcome]:
    """Runs of all variants in turn, until `n_kills` kills have been survived."""
    draw = random.Random(seed)
    n = runs = 0
    with tempfile.TemporaryDirectory(dir=PLACE) as folder:
        place = Path(folder)
        write_corpus(place / "corpus")
        while n < n_kills:
            name = list(VARIANTS)[runs % len(VARIANTS)]
            whole = begin(place, name, f"whole.{name}")
            if not Path(whole.run_dir).exists():
                BOARD.clear()
                status = os.waitpid(fork(whole, place / "log"), 0)[1]
                assert status == 0, said(place)
            outcome = Outcome(name)
            settings = begin(place, name, f"run{runs}")
            try:
                disturb(settings, outcome, draw, kills_a_run, place / "log")
                # The clock has a say in which checkpoints are kept.
                kept = name != "clock"
                outcome.different = differences(settings.run_dir, whole.run_dir, kept=kept)
            except (RuntimeError, TimeoutError) as error:
                outcome.error = f"{error}\n{said(place)}"
            yield outcome
            runs += 1
            n += max(1, outcome.n_kills)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--each", type=int, default=5, help="kills of each run")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable()
    for outcome in campaign(arguments.kills, arguments.seed, arguments.each):
        sys.stdout.write(json.dumps(vars(outcome)) + "\n")
        sys.stdout.flush()
