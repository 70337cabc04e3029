"""Readers of plain-text files."""

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.errors import InputError
from transformer.text.files import read_lines, read_pairs, split_lines

# A line may hold anything but LF; a CR at its end would belong to the end of the line.
LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n")).filter(
    lambda line: not line.endswith("\r")
)
EXOTIC = [
    "line\u2028separator",
    "paragraph\u2029separator",
    "next\u0085line",
    "vertical\vtab",
    "form\ffeed",
    "file\x1cgroup\x1drecord\x1eunit\x1f",
    "carriage\rreturn",
    "a\ttab",
    "a\0NUL",
    "👩‍👩‍👧 🇩🇪 ☃",
    "שלום עולם \u200fمرحبا",
    "e\u0301 and é",
    " spaces  kept ",
    "\ufeff",
]


def join(lines: list[str], end: str) -> bytes:
    return "".join(f"{line}{end}" for line in lines).encode()


@given(st.lists(LINE), st.sampled_from(["\n", "\r\n"]))
def test_lines_come_back_as_they_were_written(lines: list[str], end: str) -> None:
    stream = io.BytesIO(b"\xef\xbb\xbf" + join(lines, end))
    assert list(split_lines(stream, "stdin")) == lines


@pytest.mark.parametrize("line", EXOTIC)
def test_only_line_feeds_end_a_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "text"
    file.write_bytes(join(["first", line, "last"], "\r\n"))
    assert list(read_lines(file)) == ["first", line, "last"]


def test_a_last_line_without_end_counts(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(b"one\n\ntwo")
    assert list(read_lines(file)) == ["one", "", "two"]


def test_a_byte_order_mark_is_dropped_before_the_first_line_only() -> None:
    stream = io.BytesIO("\ufeffone\n\ufefftwo\n".encode())
    assert list(split_lines(stream, "stdin")) == ["one", "\ufefftwo"]


def test_an_empty_stream_has_no_lines() -> None:
    assert list(split_lines(io.BytesIO(b""), "stdin")) == []


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_is_an_input_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "text"
    file.write_bytes(content)
    with pytest.raises(InputError, match=f"{file} is empty"):
        list(read_lines(file))


def test_what_is_no_readable_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no-such does not exist"):
        list(read_lines(tmp_path / "no-such"))
    with pytest.raises(InputError, match="is a folder"):
        list(read_lines(tmp_path))
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        list(read_lines(tmp_path / ("x" * 300)))


def test_a_line_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    file = tmp_path / "latin1"
    file.write_bytes("gut\n\nschön\n".encode("latin-1"))
    with pytest.raises(InputError, match=f"{file} is not UTF-8: line 3, byte 4"):
        list(read_lines(file))


@pytest.mark.parametrize(("n", "m"), [(3, 5), (5, 3), (1, 2)])
def test_unequal_files_name_both_counts(tmp_path: Path, n: int, m: int) -> None:
    (tmp_path / "a").write_text("x\n" * n)
    (tmp_path / "b").write_text("y\n" * m)
    with pytest.raises(InputError, match=f"a has {n} lines but .*b has {m}; parallel"):
        list(read_pairs(tmp_path / "a", tmp_path / "b"))


def test_pairs_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    os.mkfifo(source)
    target.write_text("y\n" * 10)
    descriptor = os.open(source, os.O_RDWR)
    os.write(descriptor, b"x\n" * 10_000)  # more than one buffer, and no end
    assert next(read_pairs(source, target)) == ("x", "y")
    os.close(descriptor)
