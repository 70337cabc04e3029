"""Whatever a run is doing, a signal ends it with 75 and a line, and it can be gone on with."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(1800)  # a busy machine takes long
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("which", ["some", pytest.param("every", marks=pytest.mark.slow)])
def test_a_signal_ends_a_run_that_then_goes_on_bit_for_bit(which: str) -> None:
    command = [sys.executable, "-m", "tests.faults.signalled", which]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    *found, twice = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == (24 if which == "every" else 8)
    for each in found:
        assert each["status"] == 75, each
        assert each["said"][0].startswith(f"stopped by {each['signal']} "), each
        assert each["said"][0].endswith("; run again to go on"), each
    assert twice["status"] == 130, twice
    for each in (*found, twice):
        assert not each["traceback"], each
        assert each["status_after"] == 0, each
        assert not each["different"], each
