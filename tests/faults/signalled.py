"""Run as a program: sends signals to runs of the command line, and starts these again.

A process of its own, since it forks: each fork is `transformer train`, told to wait at one moment
until its signal has come. It prints one JSON object a signal.
"""

import argparse
import itertools
import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

import transformer.evaluation
from tests.faults.runs import arguments, differences, make_settings, write_corpus
from transformer.cli.compose import Composer
from transformer.cli.main import main
from transformer.config import TrainSettings, save_settings
from transformer.training import start
from transformer.training.run import RunFolder
from transformer.training.trainer import Trainer
from transformer.training.update import Updater
from transformer.training.validation import Validator

PLACE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
SIGNALS = {each.name: each for each in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
# Where a run is to wait: a function, and which call of it.
MOMENTS: dict[str, tuple[Any, str, int]] = {
    "preparing": (start, "prepare_data", 1),
    "starting": (Trainer, "resume", 1),
    "the first update": (Updater, "update", 1),
    "an epoch": (Updater, "update", 7),
    "a validation": (Validator, "validate", 2),
    "writing": (RunFolder, "save", 3),
    "the last validation": (Validator, "validate", 4),
    "the test": (transformer.evaluation, "evaluate_run", 1),
}
LONG_S = 1.0  # for which a run waits for its signal
LIMIT_S = 120.0


def wait_at(moment: str, ready: int) -> None:
    """Let this process say that it is `ready` at a moment, and wait there."""
    target, name, number = MOMENTS[moment]
    original = getattr(target, name)
    left = number

    def waiting(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            os.write(ready, b"!")
            os.close(ready)
            time.sleep(LONG_S)
        return original(*args, **kwargs)

    setattr(target, name, waiting)


def fork(arguments_: Sequence[str], errors: Path, prepare: Callable[[], None]) -> int:
    """A process that runs the command line; what it says goes to `errors`."""
    pid = os.fork()
    if pid:
        return pid
    status = 99
    try:
        handle = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        torch.set_num_threads(1)
        prepare()
        status = main(list(arguments_))
    finally:
        sys.stdout.flush()
        os._exit(status)


def end(pid: int) -> int:
    """The exit status; of a process that does not end, -SIGKILL."""
    limit = time.monotonic() + LIMIT_S
    while time.monotonic() < limit:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def stop(settings: TrainSettings, moment: str, signals: Sequence[int], errors: Path) -> int:
    """The exit status of a run that is sent `signals` at a moment."""
    reader, ready = os.pipe()
    pid = fork(arguments(settings, TEST), errors, lambda: wait_at(moment, ready))
    os.close(ready)
    came = os.read(reader, 1)
    os.close(reader)
    for number in signals if came else ():
        os.kill(pid, number)
        time.sleep(0.05)
    return end(pid)


TEST = ""


def campaign(moments: Sequence[str], names: Sequence[str], place: Path) -> Iterator[dict[str, Any]]:
    """Each signal at each moment; the last one is a SIGINT after another, which ends at once."""
    whole = make_settings(place / "corpus", place / "whole", place / "cache")
    errors = place / "errors"
    status = end(fork(arguments(whole, TEST), errors, lambda: None))
    assert status == 0, errors.read_text()
    for n, (moment, name) in enumerate(zip(moments, names, strict=True)):
        cache = place / f"cache{n}" if moment == "preparing" else place / "cache"
        settings = make_settings(place / "corpus", place / f"run{n}", cache)
        status = stop(settings, moment, [SIGNALS[name]], errors)
        said = errors.read_text()
        status_after = end(fork(arguments(settings, TEST), errors, lambda: None))
        yield {
            "moment": moment,
            "signal": name,
            "status": status,
            "said": said.splitlines()[-1:],
            "traceback": "Traceback" in said,
            "status_after": status_after,
            # A checkpoint more, at the update at which the signal came.
            "different": differences(settings.run_dir, whole.run_dir, kept=False),
        }
    settings = make_settings(place / "corpus", place / "twice", place / "cache")
    status = stop(settings, "an epoch", [signal.SIGINT, signal.SIGINT], errors)
    said = errors.read_text()
    status_after = end(fork(arguments(settings, TEST), errors, lambda: None))
    yield {
        "moment": "an epoch",
        "signal": "SIGINT twice",
        "status": status,
        "said": said.splitlines()[-1:],
        "traceback": "Traceback" in said,
        "status_after": status_after,
        "different": differences(settings.run_dir, whole.run_dir, kept=False),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    every = sys.argv[1:] == ["every"]
    pairs = (
        list(itertools.product(MOMENTS, SIGNALS))
        if every
        else list(zip(MOMENTS, itertools.cycle(SIGNALS)))
    )
    with tempfile.TemporaryDirectory(dir=PLACE) as folder:
        write_corpus(Path(folder) / "corpus")
        TEST = f"data.test={folder}/corpus/test"
        for found in campaign(*zip(*pairs, strict=True), place=Path(folder)):
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()
