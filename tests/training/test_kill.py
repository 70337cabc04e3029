"""What a run leaves on the disk survives a kill at any moment."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "killing.py"


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_a_process_killed_at_any_change_to_the_disk_leaves_its_newest_checkpoint_whole(
    step: int,
) -> None:
    command = [sys.executable, str(SCRIPT), str(step)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    n_kills = {name: int(n) for name, n in (line.split() for line in done.stdout.splitlines())}
    assert n_kills.keys() == {"saving", "going_on", "discarding", "beginning_anew", "random"}
    assert n_kills["saving"] >= 80 // step
    assert all(n >= 6 // step for n in n_kills.values()), n_kills
