"""Run as a program: sends signals to runs of the command line, and starts these again.

A process of its own, since it forks: each fork is `transformer train`, told to wait at one moment
until its signal has come. It prints one JSON object a signal.
"""

import itertools
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

import transformer.evaluation
from tests.faults.runs import arguments, differences, make_settings, write_corpus
from transformer.cli.main import main
from transformer.config import TrainSettings
from transformer.training import start
from transformer.training.run import RunFolder
from transformer.training.trainer import Trainer
from transformer.training.update import Updater
from transformer.training.validation import Validator

PLACE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
SIGNALS = ("SIGTERM", "SIGINT", "SIGUSR1")
# Where a run is to wait: a function, and which call of it.
MOMENTS: dict[str, tuple[Any, str, int]] = {
    "preparing": (start, "prepare_data", 1),
    "starting": (Trainer, "run", 1),
    "the first update": (Updater, "update", 1),
    "an epoch": (Updater, "update", 7),
    "a validation": (Validator, "validate", 2),
    "writing": (RunFolder, "save", 3),
    "the last validation": (Validator, "validate", 4),
    "the test": (transformer.evaluation, "evaluate_run", 1),
}
APART_S = 2.0  # between two signals: the first must have arrived
LIMIT_S = 600.0


def wait_at(moment: str, ready: int, go: int) -> None:
    """Let this process say that it is `ready` at a moment, and wait there until told to `go`."""
    target, name, number = MOMENTS[moment]
    original = getattr(target, name)
    left = number

    def waiting(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            os.write(ready, b"!")
            os.close(ready)
            os.read(go, 1)
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


def try_(
    settings: TrainSettings, whole: TrainSettings, moment: str, names: Sequence[str]
) -> dict[str, Any]:
    """What becomes of a run that is sent the signals `names` at a moment, and run again."""
    errors = Path(whole.run_dir).with_name("errors")
    reader, ready = os.pipe()
    go, gone = os.pipe()
    pid = fork(spelt(settings), errors, lambda: wait_at(moment, ready, go))
    os.close(ready)
    came = os.read(reader, 1)
    os.close(reader)
    for n, name in enumerate(names if came else ()):
        time.sleep(APART_S * n)
        os.kill(pid, signal.Signals[name])
    os.write(gone, b"!")
    status = end(pid)
    os.close(go)
    os.close(gone)
    said = errors.read_text(encoding="utf-8")
    return {
        "moment": moment,
        "signal": " ".join(names),
        "status": status,
        "said": said.splitlines()[-1:],
        "traceback": "Traceback" in said,
        "status_after": end(fork(spelt(settings), errors, lambda: None)),
        # There is a checkpoint more, of the update at which the signal came.
        "different": differences(settings.run_dir, whole.run_dir, kept=False),
    }


def spelt(settings: TrainSettings) -> list[str]:
    """The command line of a run that is tested at its end."""
    corpus = Path(settings.run_dir).with_name("corpus")
    return arguments(settings, f"data.test={corpus / 'test'}")


def campaign(place: Path, pairs: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Each signal at each moment; at last, a second SIGINT after the first, which ends at once."""
    write_corpus(place / "corpus")
    whole = make_settings(place / "corpus", place / "whole", place / "cache")
    status = end(fork(spelt(whole), place / "errors", lambda: None))
    assert status == 0, (place / "errors").read_text(encoding="utf-8")
    for n, (moment, name) in enumerate(pairs):
        cache = place / f"cache{n}" if moment == "preparing" else place / "cache"
        settings = make_settings(place / "corpus", place / f"run{n}", cache)
        yield try_(settings, whole, moment, [name])
    settings = make_settings(place / "corpus", place / "twice", place / "cache")
    yield try_(settings, whole, "an epoch", ["SIGINT", "SIGINT"])


if __name__ == "__main__":
    torch.set_num_threads(1)
    chosen: Any = zip(MOMENTS, itertools.cycle(SIGNALS), strict=False)
    if sys.argv[1:] == ["every"]:
        chosen = itertools.product(MOMENTS, SIGNALS)
    with tempfile.TemporaryDirectory(dir=PLACE) as folder:
        for found in campaign(Path(folder), list(chosen)):
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()
