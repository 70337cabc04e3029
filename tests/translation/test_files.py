"""Properties of the translate command from file to file and from stream to stream."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from tests.translation.faking import Command, fake_command
from transformer.config import LineFormat, Precision, SearchConfig, TranslateSettings
from transformer.errors import InputError
from transformer.translation import Translator, lines, processes, translate_file

SEARCH = SearchConfig(beam_size=2, max_length_offset=3, max_length_ratio=1.0)
Draw = Callable[[int], list[str]]


@pytest.fixture
def settings(checkpoint: Path, tmp_path: Path) -> Callable[..., TranslateSettings]:
    """Settings that read tmp_path/in and write tmp_path/out."""

    def make(search: SearchConfig = SEARCH, **changes: Any) -> TranslateSettings:
        paths = {"input": str(tmp_path / "in"), "output": str(tmp_path / "out"), **changes}
        return TranslateSettings(
            checkpoint=str(checkpoint),
            search=search,
            device="cpu",
            precision=Precision.fp32,
            threads=1,
            **paths,
        )

    return make


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    return fake_command(tmp_path, monkeypatch)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "model")


@pytest.mark.parametrize("window", [1, 3, 4096])
def test_a_file_is_translated_as_its_lines_in_memory(
    settings: Callable[..., TranslateSettings],
    tmp_path: Path,
    checkpoint: Path,
    draw_lines: Draw,
    monkeypatch: pytest.MonkeyPatch,
    window: int,
) -> None:
    monkeypatch.setattr(lines, "WINDOW", window)
    texts = [*draw_lines(9), "a\u2028b", "c\x0cd", "", "e"]
    (tmp_path / "in").write_bytes("\r\n".join(texts).encode())
    translate_file(settings())
    found = (tmp_path / "out").read_bytes().decode()
    assert found.endswith("\n")
    translator = Translator.load(str(checkpoint), "cpu", Precision.fp32)
    expected = [translation.text for translation in translator.translate(texts, SEARCH)]
    assert found.split("\n")[:-1] == expected
    assert visible(tmp_path) == ["in", "out"]


def test_n_best_output_names_the_line_and_the_score(
    settings: Callable[..., TranslateSettings], tmp_path: Path
) -> None:
    (tmp_path / "in").write_text("abc\n\nde\n", encoding="utf-8")
    translate_file(
        settings(SearchConfig(beam_size=3, n_best=2, max_length_offset=3, max_length_ratio=1.0))
    )
    text = (tmp_path / "out").read_text(encoding="utf-8")
    rows = [line.split(" ||| ") for line in text.split("\n")[:-1]]
    assert [row[0] for row in rows] == ["0", "0", "1", "2", "2"]
    assert rows[2] == ["1", "", "0.000000"]
    assert float(rows[0][2]) >= float(rows[1][2])


def test_requests_reach_the_translator(command: Command) -> None:
    command.input.write_text(
        '{"source": "a", "prefix": "b", "include": ["c"], "exclude": ["d", "e"]}\n{"source": ""}\n',
        encoding="utf-8",
    )
    translate_file(command.settings(input_format=LineFormat.jsonl, alignment=True))
    ((first, second),) = command.translator.windows
    assert (first.source, first.prefix, first.include, first.exclude) == (
        "a",
        "b",
        ["c"],
        ["d", "e"],
    )
    assert (second.source, second.prefix) == ("", "")
    assert command.output.read_text(encoding="utf-8") == "a\t0-0 1-2\n\t0-0 1-2\n"


def test_standard_input_and_output_are_the_default(
    settings: Callable[..., TranslateSettings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    content = "\ufeffabc\r\n\nde f".encode()
    (tmp_path / "in").write_bytes(content)
    translate_file(settings())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    translate_file(settings(input=None, output=None))
    assert capfd.readouterr().out == (tmp_path / "out").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [b"abc\nde\xff\n", b""])
def test_bad_input_leaves_no_output_and_an_older_one_as_it_was(
    command: Command, content: bytes
) -> None:
    command.input.write_bytes(content)
    with pytest.raises(InputError):
        translate_file(command.settings())
    assert command.files() == ["in"]
    command.output.write_text("older", encoding="utf-8")
    with pytest.raises(InputError):
        translate_file(command.settings())
    assert command.output.read_text(encoding="utf-8") == "older"
    assert command.files() == ["in", "out"]


@pytest.mark.parametrize("name", ["missing/out", "file/out", "."])
def test_an_output_that_cannot_be_written_is_refused_before_any_work(
    command: Command, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (command.folder / "file").write_text("", encoding="utf-8")
    command.input.write_text("abc\n", encoding="utf-8")
    monkeypatch.setattr(processes, "start", None)
    before = command.files()
    with pytest.raises(InputError, match=r"output=.* cannot be written"):
        translate_file(command.settings(output=str(command.folder / name)))
    assert command.files() == before


def test_a_full_disk_is_no_success(command: Command) -> None:
    command.input.write_text("abc\n", encoding="utf-8")
    with pytest.raises(OSError, match="No space left"):
        translate_file(command.settings(output="/dev/full"))


def test_a_missing_input_leaves_no_output(command: Command) -> None:
    for output in (str(command.output), os.devnull):
        with pytest.raises(InputError, match="does not exist"):
            translate_file(command.settings(output=output))
        assert command.files() == []


def test_the_input_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hallo\n", encoding="utf-8")
    (tmp_path / "link").symlink_to("x")
    for output in ("x", "link"):
        settings = TranslateSettings(
            checkpoint="none", input=str(tmp_path / "x"), output=str(tmp_path / output)
        )
        with pytest.raises(InputError, match="is the same file as input="):
            translate_file(settings)
    assert (tmp_path / "x").read_text(encoding="utf-8") == "hallo\n"


def test_a_link_is_written_through(command: Command) -> None:
    command.input.write_text("abc\n", encoding="utf-8")
    (command.folder / "elsewhere").mkdir()
    target = command.folder / "elsewhere" / "file"
    target.write_text("older", encoding="utf-8")
    command.output.symlink_to(target)
    translate_file(command.settings())
    assert command.output.is_symlink()
    assert target.read_text(encoding="utf-8") == "cba\n"
    assert [path.name for path in target.parent.iterdir()] == ["file"]


class Pipes:
    """A command between two pipes, in a thread."""

    def __init__(self, command: Command, patch: pytest.MonkeyPatch) -> None:
        read, self._write = os.pipe()
        self._read, write = os.pipe()
        self.input = os.fdopen(self._write, "w", 1, "utf-8")
        self.output = os.fdopen(self._read, encoding="utf-8")
        self.error: Exception | None = None
        self._stdin, self._stdout = os.fdopen(read, "rb"), os.fdopen(write, "wb")
        patch.setattr(sys, "stdin", SimpleNamespace(buffer=self._stdin))
        patch.setattr(sys, "stdout", self._stdout)
        settings = command.settings(input=None, output=None)
        self.thread = Thread(target=self._run, args=(settings,), daemon=True)
        self.thread.start()

    def _run(self, settings: TranslateSettings) -> None:
        try:
            translate_file(settings)
        except InputError as error:
            self.error = error
        self._stdout.close()

    def close(self) -> None:
        self.input.close()
        self.thread.join(20)
        self._stdin.close()
        self.output.close()


@pytest.fixture
def pipes(command: Command, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipes]:
    with monkeypatch.context() as patch:
        made = Pipes(command, patch)
        yield made
        made.close()


def test_a_line_that_is_typed_is_answered_before_the_next(pipes: Pipes) -> None:
    for text in ("one", "two", "", "thrée"):
        pipes.input.write(text + "\n")
        assert pipes.output.readline() == text[::-1] + "\n"
    pipes.input.close()
    assert pipes.output.read() == ""
    assert pipes.error is None


def test_lines_before_a_bad_one_are_answered_and_then_it_is_named(pipes: Pipes) -> None:
    pipes.input.flush()
    os.write(pipes.input.fileno(), b"one\ntwo\n\xff\n")
    assert [pipes.output.readline() for _ in range(2)] == ["eno\n", "owt\n"]
    assert pipes.output.read() == ""
    assert "standard input is not UTF-8: line 3" in str(pipes.error)


def test_a_fast_pipe_is_translated_in_large_windows(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "WINDOW", 50)
    text = "".join(f"{i}\n" for i in range(1000))
    (command.folder / "in").write_text(text, encoding="utf-8")
    with os.popen(f"cat {command.input}") as source:
        monkeypatch.setattr(sys, "stdin", source)
        translate_file(command.settings(input=None))
    found = command.output.read_text(encoding="utf-8").split("\n")[:-1]
    assert found == [str(i)[::-1] for i in range(1000)]
    sizes = [len(window) for window in command.translator.windows]
    assert max(sizes) == 50
    assert sum(sizes) / len(sizes) > 10


def resident() -> int:
    """The bytes of memory that this process takes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("source", ["file", "pipe"])
def test_memory_is_flat_over_fifty_thousand_lines(
    command: Command, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    with command.input.open("w", encoding="utf-8") as stream:
        stream.writelines(f"{'of some length, ' * 8}number {i}\n" for i in range(50_000))
    monkeypatch.setattr(lines, "WINDOW", 500)
    taken: dict[int, int] = {}
    command.translator.keep = False
    command.translator.before = lambda first: taken.update({first: resident()})
    with os.popen(f"cat {command.input}") as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        translate_file(command.settings(input=str(command.input) if source == "file" else None))
    after_some = max(size for first, size in taken.items() if first <= 15_000)
    assert max(taken.values()) - after_some < 35_000 * 130, "less than the lines themselves"
    assert max(taken) > 48_000
