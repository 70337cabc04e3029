"""Runs killed at random moments, and started again, end as if nothing had happened."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(1800)  # a busy machine takes long
ROOT = Path(__file__).parents[2]
# A kill loses at most what was done since the last checkpoint but one, as the last is written.
MOST_LOST = 2 * 3


@pytest.mark.parametrize(
    ("n_kills", "seed"),
    [(6, 1), pytest.param(60, 2, marks=pytest.mark.slow)],
)
def test_a_run_killed_again_and_again_is_bit_for_bit_one_never_killed(
    n_kills: int, seed: int, record_property: Callable[[str, object], None]
) -> None:
    command = [sys.executable, "-m", "tests.faults.kills", f"--kills={n_kills}", f"--seed={seed}"]
    each = 3 if n_kills < 50 else 5
    done = subprocess.run(
        [*command, f"--each={each}"], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    assert [run for run in runs if run["error"] or run["different"]] == []
    killed = {name: sum(run["kills"][name] for run in runs) for name in runs[0]["kills"]}
    assert sum(run["n_kills"] for run in runs) >= n_kills
    lost = [n for run in runs for n in run["lost"]]
    assert max(lost) <= MOST_LOST
    if n_kills >= 50:
        assert all(killed[name] for name in ("preparing", "training", "validating", "writing"))
