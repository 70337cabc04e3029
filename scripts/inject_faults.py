"""Do all the harm to training runs that tests/faults knows, and print what became of them.

    python scripts/inject_faults.py [--kills 60] [--quick]

Every run that came to harm is started again until it ends, and compared bit for bit with one that
was left alone: weights, training state, scores, translations and curves. The table is in Markdown;
what was not survived is listed below it, and the exit status is then 1.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
KINDS = {
    "test_damage": "checkpoint files cut short, altered, blank or missing",
    "test_disk": "disk full, over quota, read-only or gone; failing flush",
    "test_numbers": "NaN in losses or gradients; a loss that diverges",
    "test_memory": "out of memory",
    "test_ranks": "of two processes one killed, stopped or out of memory",
}


@dataclass
class Row:
    """What became of one kind of fault."""

    fault: str
    n_tried: int = 0
    n_survived: int = 0
    lost: list[int] = field(default_factory=list)  # updates that had to be made again
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        mean = f"{sum(self.lost) / len(self.lost):.1f}" if self.lost else "-"
        most = str(max(self.lost)) if self.lost else "-"
        return f"| {self.fault} | {self.n_tried} | {self.n_survived} | {mean} | {most} |"


def python(*arguments: str) -> subprocess.Popen[str]:
    """A program of this environment that runs in the repository, one thread of the CPU each."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )


def objects(*arguments: str) -> Iterator[dict[str, Any]]:
    """The JSON objects that a module of tests/faults prints, one a line."""
    process = python("-m", *arguments)
    assert process.stdout is not None
    for line in process.stdout:
        print(f"\r{line[:100].rstrip()}", file=sys.stderr)
        yield json.loads(line)
    if process.wait():
        sys.exit(f"{' '.join(arguments)} ended with {process.returncode}")


def kills(n_kills: int) -> list[Row]:
    """Runs killed at random moments; all kills in a row, then by what they hit."""
    total = Row("SIGKILL at a random moment")
    phases: dict[str, Row] = {}
    for run in objects("tests.faults.kills", f"--kills={n_kills}"):
        survived = not run["error"] and not run["different"]
        for row, n in [
            (total, run["n_kills"]),
            *(
                (phases.setdefault(name, Row(f"— while {name}")), n)
                for name, n in run["kills"].items()
            ),
        ]:
            row.n_tried += n
            row.n_survived += n * survived
        total.lost += run["lost"]
        if not survived:
            total.failures.append(json.dumps(run))
    return [total, *phases.values()]


def signals(which: str) -> list[Row]:
    """Runs asked to end at all moments."""
    rows: dict[str, Row] = {}
    for found in objects("tests.faults.signalled", which):
        row = rows.setdefault(found["signal"], Row(found["signal"]))
        wanted = 130 if found["signal"] == "SIGINT SIGINT" else 75
        survived = found["status"] == wanted and not found["different"]
        row.n_tried += 1
        row.n_survived += survived
        if not survived:
            row.failures.append(json.dumps(found))
    return list(rows.values())


def others(*, quick: bool) -> list[Row]:
    """The tests of the remaining faults."""
    rows = {name: Row(text) for name, text in KINDS.items()}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        files = [f"tests/faults/{name}.py" for name in KINDS]
        marks = ["-m", "not slow"] if quick else []
        # The other family of reports knows no properties of a single test.
        options = ["-q", "-o", "junit_family=xunit1", f"--junitxml={report}"]
        process = python("-m", "pytest", *options, *marks, *files)
        print(process.communicate()[0], file=sys.stderr)
        cases = ET.parse(report).getroot().iter("testcase")  # written by pytest
        for case in cases:
            if case.find("skipped") is None:
                count(case, rows[case.attrib["classname"].rpartition(".")[2]])
    return list(rows.values())


def count(case: ET.Element, row: Row) -> None:
    """Add a test to its row: one fault, unless it tells of several."""
    failed = case.find("failure") is not None or case.find("error") is not None
    told = [(each.get("name"), int(each.get("value", 0))) for each in case.iter("property")]
    n = sum(value for name, value in told if name == "faults") or 1
    row.n_tried += n + failed * (n > 1)
    row.n_survived += n - failed * (n == 1)
    row.lost += [value for name, value in told if name == "lost"]
    if failed:
        row.failures.append(f"{case.attrib['classname']}::{case.attrib['name']}")


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows in Markdown, then what was not survived."""
    print("| Fault | tried | survived bit for bit | updates lost: mean | most |")
    print("|---|---:|---:|---:|---:|")
    for row in rows:
        print(row)
    for failure in [text for row in rows for text in row.failures]:
        print(f"\nnot survived: {failure}")


def main() -> None:
    """Run the campaign; exit with 1 where something was not survived."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--quick", action="store_true", help="leave out what takes minutes")
    given = parser.parse_args()
    rows = [
        *kills(given.kills),
        *signals("some" if given.quick else "every"),
        *others(quick=given.quick),
    ]
    print_table(rows)
    sys.exit(any(row.failures for row in rows))


if __name__ == "__main__":
    main()
