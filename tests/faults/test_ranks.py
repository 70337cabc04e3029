"""Of two processes one comes to harm: both end in time, and a restart goes on bit for bit."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.faults.runs import arguments, checkpoints, differences, make_settings
from transformer.checkpoint import Checkpoint
from transformer.config import TrainSettings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # torch is imported thrice a run
ROOT = Path(__file__).parents[2]
LIMIT_S = 60.0
Found = tuple[int, str]  # exit status, standard error


def torchrun(settings: TrainSettings, *others: str, max_restarts: int = 0, **harm: object) -> Found:
    """What becomes of a run of two processes, of which none is left when this returns."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
        *(f"--max-restarts={max_restarts}", "--monitor-interval=0.1"),
        *("-m", "tests.faults.ranked", *arguments(settings, *others)),
    ]
    told = {f"HARM_{name}".upper(): str(value) for name, value in harm.items()}
    file = Path(settings.run_dir).with_name("harm")
    told |= {"HARM_FILE": str(file)}
    own = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MARK": settings.run_dir}
    process = subprocess.Popen(
        command, env=os.environ | own | told, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        _, errors = process.communicate(timeout=5 * LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    finally:
        left = processes_with(f"MARK={settings.run_dir}")
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    assert not left
    if file.exists() and max_restarts == 0:
        # Counted from the harm: to start takes as long as the machine is busy.
        assert time.time() - file.stat().st_mtime < LIMIT_S
    return process.returncode, errors


def processes_with(mark: str) -> list[int]:
    """The processes that live and have `mark` in their environment; a moment is given to end."""
    for _ in range(50):
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark.encode() in environment:
                found.append(int(folder.name))
        if not found:
            break
        time.sleep(0.1)
    return found


@pytest.fixture(scope="session")
def both(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainSettings:
    """A run of two processes that nothing happened to."""
    folder = tmp_path_factory.mktemp("both") / "run"
    settings = make_settings(corpus, folder, corpus / "cache")
    status, errors = torchrun(settings)
    assert status == 0, errors
    return settings


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_is_started_again_and_the_run_ends_the_same(
    settings: TrainSettings, both: TrainSettings, rank: int
) -> None:
    status, errors = torchrun(settings, max_restarts=1, harm="kill", rank=rank, update=8)
    assert status == 0, errors
    assert "going on after update" in errors
    assert not differences(settings.run_dir, both.run_dir)


@pytest.mark.parametrize("rank", [0, 1])
def test_without_restarts_a_killed_rank_ends_all_and_the_run_can_be_gone_on_with(
    settings: TrainSettings, both: TrainSettings, rank: int
) -> None:
    status, errors = torchrun(settings, harm="kill", rank=rank, update=8)
    assert status != 0
    assert checkpoints(settings.run_dir)
    status, errors = torchrun(settings)
    assert status == 0, errors
    assert not differences(settings.run_dir, both.run_dir)


def test_a_rank_that_hangs_ends_all(settings: TrainSettings) -> None:
    timeout = "training.parallel.timeout_minutes=0.1"
    status, errors = torchrun(settings, timeout, harm="hang", rank=1, update=8)
    assert status != 0
    assert "has ended or does not answer" in errors


def test_where_one_rank_is_short_of_memory_both_compute_in_parts(
    settings: TrainSettings, tmp_path: Path
) -> None:
    harm: dict[str, Any] = {"harm": "memory", "rank": 1, "tokens": 100}
    status, errors = torchrun(settings, **harm)
    assert status == 0, errors
    assert "out of memory with a batch" in errors
    last = Path(settings.run_dir) / "checkpoints" / "last"
    assert Checkpoint(last).training()["updater"]["largest"] <= 100
    parts = replace(settings, run_dir=str(tmp_path / "parts"))
    assert torchrun(parts, "training.max_updates=7", **harm)[0] == 0
    status, errors = torchrun(parts, **harm)
    assert status == 0, errors
    assert "out of memory" not in errors
    # One checkpoint and one validation more, where the run ended first.
    found = differences(parts.run_dir, settings.run_dir, kept=False)
    assert not [name for name in found if not name.startswith(("curve", "translations"))]
