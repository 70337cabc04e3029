"""Work in several processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from transformer.errors import InputError
from transformer.text.cache import InterruptedBuildError
from transformer.text.preparing.pool import worked


def square(setup: int, task: int) -> tuple[int, int]:
    if task < 0:
        raise InputError(f"{task} is negative")
    if task == 99:
        os.kill(os.getpid(), signal.SIGKILL)
    return setup + task * task, os.getpid()


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_order(processes: int) -> None:
    found = list(worked(square, 1, range(20), processes))
    assert [result for result, _ in found] == [1 + n * n for n in range(20)]
    pids = {pid for _, pid in found}
    assert (os.getpid() in pids) == (processes == 1)


def test_few_tasks_are_done_here() -> None:
    assert {pid for _, pid in worked(square, 1, range(2), 4)} == {os.getpid()}
    assert list(worked(square, 1, [], 4)) == []


@pytest.mark.parametrize("processes", [1, 2])
def test_a_mistake_that_a_process_finds_is_raised(processes: int) -> None:
    with pytest.raises(InputError, match=r"^-3 is negative$"):
        list(worked(square, 1, [1, 2, -3, 4, 5], processes))


def test_a_process_that_is_killed_is_told_and_the_work_can_be_gone_on_with() -> None:
    with pytest.raises(InterruptedBuildError, match="run again to go on"):
        list(worked(square, 1, [1, 2, 99, 4, 5], 2))


def test_tasks_are_taken_as_they_are_needed() -> None:
    taken = []

    def tasks() -> object:
        for n in range(100):
            taken.append(n)
            yield n

    results = worked(square, 1, tasks(), 2)  # type: ignore[arg-type]
    next(results)
    assert len(taken) < 12
    results.close()  # type: ignore[attr-defined]


SCRIPT = """
import os, sys, time
from transformer.text.preparing.pool import worked
def work(setup, task):
    open(f"{setup}/{os.getpid()}", "w").close()
    time.sleep(60)
if __name__ == "__main__":
    list(worked(work, sys.argv[1], range(9), 2))
"""


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    script, pids = tmp_path / "script.py", tmp_path / "pids"
    script.write_text(SCRIPT)
    pids.mkdir()
    process = subprocess.Popen([sys.executable, str(script), str(pids)])
    while len(started := list(pids.iterdir())) < 2:
        time.sleep(0.05)
    process.kill()
    process.wait()
    end = time.monotonic() + 20
    while any(Path(f"/proc/{file.name}").exists() for file in started):
        assert time.monotonic() < end
        time.sleep(0.05)
