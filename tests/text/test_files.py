"""Readers of plain-text files."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.config import FilesConfig
from transformer.errors import InputError
from transformer.text.files import FilesCorpus, read_lines, read_pairs, split_lines

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


def test_several_stems_are_read_in_their_order(files_config: Callable[..., FilesConfig]) -> None:
    config = files_config(train=[("a", "b"), ("c", "d")], valid=[("e", "f")])
    config.train = [config.valid, config.train, config.valid]
    pairs = list(FilesCorpus(config).pairs("train"))
    assert pairs == [("e", "f"), ("a", "b"), ("c", "d"), ("e", "f")]


def test_an_error_names_the_setting_and_the_file(files_config: Callable[..., FilesConfig]) -> None:
    config = files_config(train=[("a", "b")], valid=[("e", "f")])
    config.valid += "2"
    for read in (lambda c: list(c.pairs("valid")), lambda c: c.fingerprint):
        with pytest.raises(InputError) as error:
            read(FilesCorpus(config))
        assert str(error.value) == f"data.valid={config.valid}: {config.valid}.xx does not exist"


def test_a_test_split_may_be_absent(files_config: Callable[..., FilesConfig]) -> None:
    config = files_config(train=[("a", "b")], valid=[("e", "f")])
    assert not FilesCorpus(config).has_split("test")
    config.test = config.valid
    assert FilesCorpus(config).has_split("test")


def test_the_fingerprint_follows_content_and_use_but_not_names(
    tmp_path: Path, files_config: Callable[..., FilesConfig]
) -> None:
    config = files_config(train=[("a", "b")], valid=[("c", "d")])
    before = FilesCorpus(config).fingerprint
    moved = tmp_path / "moved"
    for language in ("xx", "yy"):
        Path(f"{config.train}.{language}").rename(f"{moved}.{language}")
    config.train = str(moved)
    assert FilesCorpus(config).fingerprint == before
    config.train, config.valid = config.valid, config.train
    assert FilesCorpus(config).fingerprint != before
    config.train, config.valid = config.valid, config.train
    Path(f"{moved}.yy").write_text("B\n")
    assert FilesCorpus(config).fingerprint != before


@pytest.fixture
def aligned(files_config: Callable[..., FilesConfig]) -> Callable[..., FilesConfig]:
    """Writes two stems with the alignments given, and gives the settings that read them."""

    def write(*lines: str) -> FilesConfig:
        config = files_config(train=[("a b", "c"), ("d", "e f")], valid=[("g", "h")])
        Path(f"{config.train}.align").write_text("".join(f"{line}\n" for line in lines))
        Path(f"{config.valid}.align").write_text("0-0\n")
        config.train, config.alignment = [config.valid, config.train], "align"
        return config

    return write


def test_alignments_are_read_beside_the_training_pairs(
    aligned: Callable[..., FilesConfig],
) -> None:
    corpus = FilesCorpus(aligned("0-0 1-0", ""))
    assert corpus.aligned
    rows = [("g", "h", "0-0"), ("a b", "c", "0-0 1-0"), ("d", "e f", "")]
    assert list(corpus.aligned_pairs()) == rows
    assert list(corpus.pairs("train")) == [(source, target) for source, target, _ in rows]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["0-0", "0:1"], "train.align, line 2: '0:1' is no link; write"),
        (["0-1", ""], "train.align, line 1: 0-1 links target word 1, but that sentence has 1 "),
        (["0-0"], "train.align has 1 lines but .*train.xx has 2; it must hold a line for each"),
        (["0-0", "", "", ""], "train.align has 4 lines but .*train.xx has 2; it must hold a line"),
        ([], "train.align is empty"),
    ],
)
def test_an_error_in_an_alignment_names_setting_file_and_line(
    aligned: Callable[..., FilesConfig], lines: list[str], message: str
) -> None:
    config = aligned(*lines)
    pattern = f"^data.train={config.train[1]} with data.alignment=align: .*{message}"
    with pytest.raises(InputError, match=pattern):
        list(FilesCorpus(config).aligned_pairs())


def test_a_missing_alignment_is_named(aligned: Callable[..., FilesConfig]) -> None:
    config = aligned("", "")
    config.alignment = "links"
    for read in (lambda c: list(c.aligned_pairs()), lambda c: c.fingerprint):
        with pytest.raises(InputError, match=r"data\.alignment=links: .*\.links does not exist$"):
            read(FilesCorpus(config))


def test_the_fingerprint_follows_the_alignments(aligned: Callable[..., FilesConfig]) -> None:
    prints = [FilesCorpus(aligned(*lines)).fingerprint for lines in (["0-0", ""], ["", "0-0"])]
    config = aligned("0-0", "")
    assert FilesCorpus(config).fingerprint == prints[0]
    config.alignment = None
    assert not FilesCorpus(config).aligned
    assert len({*prints, FilesCorpus(config).fingerprint}) == 3
