"""Properties of several processes that translate one file."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from transformer.config import Precision, SearchConfig, TranslateSettings
from transformer.errors import InputError
from transformer.translation import lines, translate_file
from transformer.translation.lines import Window
from transformer.translation.processes import shares, translated
from transformer.translation.request import Request

SEARCH = SearchConfig(beam_size=2, max_length_offset=3, max_length_ratio=1.0)
Draw = Callable[[int], list[str]]


@pytest.fixture
def settings(checkpoint: Path, tmp_path: Path) -> Callable[..., TranslateSettings]:
    """Settings that read tmp_path/in."""

    def make(**changes: Any) -> TranslateSettings:
        return TranslateSettings(
            checkpoint=str(checkpoint),
            search=SEARCH,
            device="cpu",
            precision=Precision.fp32,
            input=str(tmp_path / "in"),
            **{"threads": 1, **changes},
        )

    return make


def test_two_processes_translate_as_one_does(
    settings: Callable[..., TranslateSettings],
    tmp_path: Path,
    draw_lines: Draw,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(lines, "WINDOW", 7)
    # At its end, a line that is too long for the model, of which a warning tells.
    texts = [*draw_lines(60), "abc " * 10]
    (tmp_path / "in").write_text("\n".join(texts), encoding="utf-8")
    found = []
    for n in (1, 2):
        output = tmp_path / f"out{n}"
        translate_file(settings(output=str(output), processes=n, max_source_pieces=20))
        found.append(output.read_bytes())
        assert "1 lines of more than 20 pieces" in caplog.text
        caplog.clear()
    assert found[0] == found[1]
    assert found[0].count(b"\n") == 61
    assert multiprocessing.active_children() == []


def endless() -> Iterator[Window]:
    for first in count():
        yield Window(first=first, requests=[Request(source="abc")])


def test_a_process_that_is_killed_is_an_error_and_leaves_none(
    settings: Callable[..., TranslateSettings],
) -> None:
    results = translated(settings(processes=2), endless())
    next(results)
    for process in multiprocessing.active_children():
        os.kill(process.pid or 0, signal.SIGKILL)
    with pytest.raises(InputError, match="one of processes=2 was killed"):
        deque(results)
    assert multiprocessing.active_children() == []


def test_what_is_wrong_in_a_process_is_said_here(
    settings: Callable[..., TranslateSettings], checkpoint: Path
) -> None:
    (checkpoint / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"model.safetensors .* is damaged"):
        next(translated(settings(processes=2), endless()))
    assert multiprocessing.active_children() == []


def test_each_process_has_its_share_of_the_cores(
    settings: Callable[..., TranslateSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    threads = {
        n: [each.threads for each in shares(settings(processes=n, threads=None))] for n in (2, 3, 9)
    }
    assert threads == {2: [4] * 2, 3: [2] * 3, 9: [1] * 9}
    assert [each.threads for each in shares(settings(processes=2, threads=5))] == [5, 5]


def test_each_process_has_a_gpu_of_its_own(
    settings: Callable[..., TranslateSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    for device in ("auto", "cuda"):
        wanted = settings(processes=2)
        wanted.device = device
        assert [each.device for each in shares(wanted)] == ["cuda:0", "cuda:1"]
    wanted.device = "cuda:1"
    with pytest.raises(InputError, match="give device=cuda instead of cuda:1"):
        shares(wanted)
    wanted.device, wanted.processes = "cuda", 4
    with pytest.raises(InputError, match=r"processes=4.*there are 3"):
        shares(wanted)


def descendants(pid: int) -> set[int]:
    """The processes beneath `pid`."""
    lists = [
        file.read_text(encoding="ascii") for file in Path(f"/proc/{pid}/task").glob("*/children")
    ]
    children = {int(child) for text in lists for child in text.split()}
    return children.union(*map(descendants, children))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# Of SIGTERM the processes see less than of Ctrl-C, which comes to all of them.
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_processes_end_with_the_first_whatever_ends_it(
    settings: Callable[..., TranslateSettings],
    checkpoint: Path,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    (tmp_path / "in").write_text("abc def\n" * 1_000_000, encoding="utf-8")
    command = ["translate", f"checkpoint={checkpoint}", f"input={tmp_path / 'in'}", "threads=1"]
    command += [f"output={tmp_path / 'out'}", "processes=2", "device=cpu"]
    command += ["search=greedy", "search.max_length=2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "transformer", *command],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    note = tmp_path / ".out.part.json"
    try:
        wait_for(lambda: note.exists() or process.poll() is not None)
        below = descendants(process.pid)
        assert len(below) >= 2
        send = os.killpg if number == signal.SIGINT else os.kill
        send(process.pid, number)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below))
    assert json.loads(note.read_text(encoding="utf-8"))["lines"] > 0
    if number == signal.SIGKILL:
        return
    assert process.returncode == os.EX_TEMPFAIL
    last = error.splitlines()
    assert [line for line in last if not line[:2].isdigit()] == [
        f"stopped by {number.name} before all lines were translated; run again to go on"
    ]
