"""Properties of going on with a file that was interrupted."""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.translation.faking import Command, fake_command
from transformer.config import (
    LineFormat,
    Precision,
    Protected,
    Resume,
    SearchConfig,
    TranslateSettings,
)
from transformer.errors import InputError, Stopped
from transformer.translation import lines as module
from transformer.translation import resume, translate_file
from transformer.translation.resume import NOT_BY_NAME, fingerprint, open_part

TEXT = st.text("abc \t\"'é", max_size=6)


class Crash(Exception):  # noqa: N818  # of a test
    """What ends a command at a drawn moment."""


def crash_at(line: int) -> Callable[[int], None]:
    """Raises before the window that begins with `line`."""

    def before(first: int) -> None:
        if first >= line:
            raise Crash

    return before


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Nine lines, translated two at a time."""
    monkeypatch.setattr(module, "WINDOW", 2)
    made = fake_command(tmp_path, monkeypatch)
    made.input.write_text("".join(f"line {i}\n" for i in range(9)), encoding="utf-8")
    return made


def interrupt(command: Command, line: int = 4, **changes: Any) -> None:
    """Ends a translation before `line`, which is the first of a window."""
    command.translator.before = crash_at(line)
    with pytest.raises(Crash):
        translate_file(command.settings(**changes))
    command.translator.before = lambda first: None
    command.translator.windows.clear()


def run(command: Command, **changes: Any) -> int:
    """The number of lines that it takes to translate what is left."""
    command.translator.windows.clear()
    translate_file(command.settings(**changes))
    assert set(command.files()) == {"in", "out"}
    assert command.output.read_text(encoding="utf-8").count("\n") == 9
    return sum(map(len, command.translator.windows))


@given(
    texts=st.lists(TEXT, min_size=1, max_size=25).filter(any),
    window=st.integers(1, 6),
    stops=st.lists(st.integers(0, 25), max_size=3),
    torn=st.binary(max_size=9),
    n_best=st.integers(1, 2),
    output_format=st.sampled_from(LineFormat),
)
def test_interrupted_anywhere_the_output_is_the_same(
    texts: list[str],
    window: int,
    stops: list[int],
    torn: bytes,
    n_best: int,
    output_format: LineFormat,
) -> None:
    changes = {"search": SearchConfig(n_best=n_best), "output_format": output_format}
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WINDOW", window)
        patch.setattr(os, "fsync", lambda descriptor: None)
        command = fake_command(Path(folder), patch)
        command.input.write_text("\n".join(texts), encoding="utf-8")
        translate_file(command.settings(**changes))
        expected = command.output.read_bytes()
        command.output.write_bytes(b"older")
        for stop in stops:
            command.translator.before = crash_at(stop)
            with suppress(Crash):
                translate_file(command.settings(**changes))
                command.output.write_bytes(b"older")
            assert command.output.read_bytes() == b"older"
            # A process that is killed may leave what no record counts.
            with command.part.open("ab") as part:
                part.write(torn)
        command.translator.before = lambda first: None
        translate_file(command.settings(**changes))
        assert command.output.read_bytes() == expected
        assert command.files() == ["in", "out"]


def test_what_is_done_is_not_done_again(command: Command, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    interrupt(command, 4)
    assert command.files() == [".out.part", ".out.part.json", "in"]
    assert "the translations of 4 lines are kept in" in caplog.messages[-1]
    assert run(command) == 5
    assert "4 lines; going on behind them" in caplog.messages[-1]
    assert run(command) == 9


def test_a_part_without_a_record_or_shorter_than_it_says_is_no_part(command: Command) -> None:
    interrupt(command)
    command.note.unlink()
    assert run(command) == 9
    for content in (b"", b"{", b"[]", b'{"lines": 4}', None):
        interrupt(command)
        if content is None:
            os.truncate(command.part, 3)
        else:
            command.note.write_bytes(content)
        assert run(command) == 9


def test_with_other_settings_it_begins_anew_and_says_so(
    command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    interrupt(command)
    assert run(command, search=SearchConfig(beam_size=2)) == 9
    assert "they are of other settings or another model; beginning anew" in caplog.text
    interrupt(command)
    (command.folder / "model" / "manifest.json").write_text("{ }")
    assert run(command) == 9
    interrupt(command)
    assert run(command, resume=Resume.never) == 9
    assert "resume=never; beginning anew" in caplog.text


def test_with_other_lines_it_begins_anew_and_says_so(
    command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    interrupt(command)
    text = command.input.read_text(encoding="utf-8")
    command.input.write_text(text.replace("line 3", "line x"), encoding="utf-8")
    assert run(command) == 9
    assert "they are of another input; beginning anew" in caplog.text
    interrupt(command)
    command.input.write_text("only one\n", encoding="utf-8")
    translate_file(command.settings())
    assert command.output.read_text(encoding="utf-8") == "eno ylno\n"


def test_lines_that_are_still_to_come_may_be_mended(command: Command) -> None:
    good = command.input.read_bytes()
    command.input.write_bytes(good.replace(b"line 7", b"line \xff"))
    with pytest.raises(InputError, match="line 8"):
        translate_file(command.settings())
    command.input.write_bytes(good)
    assert run(command) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_is_done(command: Command, number: signal.Signals) -> None:
    command.translator.before = lambda first: os.kill(os.getpid(), number) if first == 6 else None
    with pytest.raises(
        Stopped, match=f"stopped by {number.name} before all .*; run again to go on"
    ):
        translate_file(command.settings())
    command.translator.before = lambda first: None
    assert run(command) == 3


def test_another_command_may_not_write_the_same_output(command: Command) -> None:
    errors = []

    def second(first: int) -> None:
        with pytest.raises(InputError, match="is being written by another command") as error:
            translate_file(command.settings())
        errors.append(str(error.value))

    command.translator.before = second
    assert run(command) == 9
    assert len(errors) == 5


def test_a_command_that_was_killed_locks_nothing(command: Command) -> None:
    interrupt(command)
    program = f"""
import fcntl, signal
part = open({str(command.part)!r}, "ab")
fcntl.flock(part, fcntl.LOCK_EX)
print("locked", flush=True)
signal.pause()
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(InputError, match="is being written by another command"):
            translate_file(command.settings())
        process.kill()
    assert run(command) == 5


def test_a_part_that_became_the_file_while_it_was_opened_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening and locking, another command may finish."""
    aside, file = tmp_path / ".out.part", tmp_path / "out"
    aside.write_bytes(b"whole")
    lock = resume._lock

    def late(stream: BinaryIO, output: str) -> None:
        if not file.exists():
            aside.rename(file)
        lock(stream, output)

    monkeypatch.setattr(resume, "_lock", late)
    with open_part(str(file), "") as part:
        assert file.read_bytes() == b"whole"
        assert os.path.samestat(os.fstat(part._stream.fileno()), aside.stat())
    assert file.read_bytes() == b""


def test_a_record_names_no_place(command: Command) -> None:
    """A folder that is moved can be gone on with."""
    interrupt(command)
    assert str(command.folder) not in command.note.read_text(encoding="utf-8")
    record = json.loads(command.note.read_text(encoding="utf-8"))
    assert record["lines"] == 4
    assert record["size"] == command.part.stat().st_size


def another(value: Any, name: str) -> Any:
    """A valid value other than `value`."""
    texts = {"exclude": ["x"], "protect": [Protected.urls], "precision": Precision.fp32}
    if name in texts:
        return texts[name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, Enum):
        return next(each for each in type(value) if each is not value)
    return 7


@pytest.mark.parametrize(
    "name",
    [
        each.name
        for each in fields(TranslateSettings)
        if each.name not in {"search", "ensemble", "checkpoint", "terminology", "shortlist"}
    ],
)
def test_a_fingerprint_is_of_all_that_decides_the_output(name: str, command: Command) -> None:
    settings = command.settings(output_format=LineFormat.jsonl)
    value = {"input": "x", "output": "y", "device": "cpu"}.get(name)
    setattr(settings, name, value or another(getattr(settings, name), name))
    same = fingerprint(settings) == fingerprint(command.settings(output_format=LineFormat.jsonl))
    assert same == (name in NOT_BY_NAME)


@pytest.mark.parametrize("name", ["terminology", "shortlist"])
def test_a_fingerprint_is_of_what_a_list_holds(name: str, command: Command, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x\ty\n", encoding="utf-8")
    (tmp_path / "b").write_text("x\ty\n", encoding="utf-8")
    (tmp_path / "c").write_text("x\tz\n", encoding="utf-8")
    found = [
        fingerprint(command.settings(**{name: each and str(tmp_path / each)}))
        for each in ("a", "b", "c", None)
    ]
    assert found[0] == found[1]
    assert len({*found}) == 3
