"""Run as a program: kills processes that change a run's folder, and checks what they leave.

A process of its own, since it forks: each fork is killed (SIGKILL) before its n-th change to the
disk, for every n or every so many as the argument says, or at a random moment.
"""

import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from transformer.checkpoint import Contents, list_checkpoints
from transformer.config import (
    Metric,
    TokenizerConfig,
    TokenizerKind,
    TrainingConfig,
    TrainSettings,
    WriteErrorAction,
)
from transformer.text.tokenizer import Tokenizers, train_tokenizers
from transformer.training.run import RunFolder
from transformer.training.writer import CheckpointWriter

CHANGES = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.chmod"}
# Memory, where there is such a folder: a disk takes its time to flush.
PLACE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
CONFIG = TokenizerConfig(kind=TokenizerKind.char, vocab_size=14, byte_fallback=False)
TOKENIZERS: Tokenizers = train_tokenizers([("abc de", "fgh"), ("cab", "hgf fg")] * 4, CONFIG)
Report = Callable[[int], None]


def open_run(path: Path) -> RunFolder:
    training = TrainingConfig(keep_last=2, keep_best=1, metric=Metric.loss)
    return RunFolder(TrainSettings(training=training, run_dir=str(path)))


def make_contents(folder: RunFolder, update: int, **metrics: float) -> Contents:
    numbers = {"w": torch.full((8,), float(update))}
    return Contents(numbers, folder.settings, TOKENIZERS, metrics, {"update": update})


def begin(path: Path, n_checkpoints: int) -> RunFolder:
    folder = open_run(path)
    folder.create(TOKENIZERS)
    for update in range(1, n_checkpoints + 1):
        folder.save(update, make_contents(folder, update, loss=float(update)))
    return folder


def fork(change: Callable[[Report], None]) -> tuple[int, int]:
    """Runs `change` in a process; gives that, and a pipe with a byte for each update reported."""
    reader, writer = os.pipe()

    def report(update: int) -> None:
        os.write(writer, bytes([update]))

    pid = os.fork()
    if pid == 0:
        try:
            change(report)
        finally:
            os._exit(0)
    os.close(writer)
    return pid, reader


def end(pid: int, reader: int) -> tuple[bool, int]:
    """Whether the process was killed, and the newest update that it reported."""
    _, status = os.waitpid(pid, 0)
    reported = os.read(reader, 10_000)
    os.close(reader)
    return os.WIFSIGNALED(status), reported[-1] if reported else 0


def killed_before(n: int, change: Callable[[Report], None]) -> Callable[[Report], None]:
    """`change`, by a process that dies before its n-th change to the disk."""

    def run(report: Report) -> None:
        left = n

        def count(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in CHANGES and not (event == "open" and arguments[1] in {"r", "rb"}):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        change(report)

    return run


def check(path: Path, at_least: int) -> None:
    """What a killed process leaves goes on from a whole checkpoint, and leaves nothing behind."""
    folder = open_run(path)
    folder.check()
    with folder.locked():
        checkpoint = folder.last()
        assert checkpoint is not None
        update = int(checkpoint.folder.name)
        assert update >= at_least, f"{update} was found after {at_least} had been saved"
        assert checkpoint.training() == {"update": update}
        assert checkpoint.weights()["w"].tolist() == [float(update)] * 8
        assert (folder.checkpoints / "last").resolve().name == checkpoint.folder.name
        assert (folder.checkpoints / "best").resolve().is_dir()
        folder.save(update + 1, make_contents(folder, update + 1))
        left = {entry.name for entry in folder.checkpoints.iterdir()}
        kept = {entry.name for entry in list_checkpoints(folder.checkpoints)}
        assert {name for name in left - kept if "damaged" not in name} == {"last", "best"}, left


def saving(folder: RunFolder) -> Callable[[Report], None]:
    """A save, another one of the same update (with other scores), and the next."""

    def change(report: Report) -> None:
        for update in (4, 4, 5):
            folder.save(update, make_contents(folder, update, loss=-float(update)))
            report(update)

    return change


def going_on(folder: RunFolder) -> Callable[[Report], None]:
    """Looking for the newest whole checkpoint, where an older one is damaged and set aside."""
    shutil.copytree(folder.checkpoints / "00000003", folder.checkpoints / "00000004.damaged")
    folder.save(4, make_contents(folder, 4, loss=0.0))
    (folder.checkpoints / "00000004" / "training.pt").write_bytes(b"damaged")
    return lambda report: report(int(folder.last() is not None))


def discarding(folder: RunFolder) -> Callable[[Report], None]:
    return lambda report: folder.discard_after(2)


def beginning_anew(folder: RunFolder) -> Callable[[Report], None]:
    def change(report: Report) -> None:
        with folder.locked():
            folder.move_aside()

    return change


def kill_at_changes(prepare: Callable[[RunFolder], Callable[[Report], None]], step: int) -> int:
    """How many times a process was killed while it did what `prepare` gives."""
    with tempfile.TemporaryDirectory(dir=PLACE) as place:
        begun = begin(Path(place) / "begun", 3).path
        for i, n in enumerate(range(1, 1_000, step)):
            path = Path(place) / str(n) / "run"
            shutil.copytree(begun, path, symlinks=True)
            killed, reported = end(*fork(killed_before(n, prepare(open_run(path)))))
            aside = path.with_name("run.1")
            # A folder that was moved aside is whole there, or else still in its place.
            newest = max(reported, 2 if prepare is discarding else 3)
            check(aside if aside.exists() else path, newest)
            if not killed:
                return i
    raise AssertionError("no end")


def kill_at_random(n_kills: int) -> None:
    """Kills a process that saves in the background for ever, each time the same folder."""
    draw = random.Random(3)
    with tempfile.TemporaryDirectory(dir=PLACE) as place:
        path = Path(place) / "run"
        newest = int((begin(path, 1).checkpoints / "last").resolve().name)
        for _ in range(n_kills):

            def change(report: Report, first: int = newest + 1) -> None:
                folder = open_run(path)
                writer = CheckpointWriter(folder, WriteErrorAction.stop)
                for update in range(first, 250):
                    writer.save(update, make_contents(folder, update, loss=float(update)))
                    writer.wait()
                    report(update)

            pid, reader = fork(change)
            time.sleep(draw.uniform(0.01, 0.1))
            os.kill(pid, signal.SIGKILL)
            _, reported = end(pid, reader)
            check(path, max(newest, reported))
            newest = int((path / "checkpoints" / "last").resolve().name)


if __name__ == "__main__":
    torch.set_num_threads(1)
    logging.disable()
    for scenario in (saving, going_on, discarding, beginning_anew):
        sys.stdout.write(f"{scenario.__name__} {kill_at_changes(scenario, int(sys.argv[1]))}\n")
    kill_at_random(12)
    sys.stdout.write("random 12\n")
