"""Aligned files of lines."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transformer.errors import InputError
from transformer.text.files import split_lines
from transformer.text.readers.lines import line_runs, whole_lines
from transformer.text.readers.reader import Reader, regroup

CUTS = st.lists(st.binary(max_size=12), max_size=12)
PIECES = st.sampled_from(
    [b"a", b"\r", b"\n", b"\r\n", b"\xef\xbb\xbf", b"\0", "é".encode(), "\u2028".encode(), b"\xff"]
)


def write(stem: Path, **sides: str) -> Path:
    for ending, text in sides.items():
        stem.with_name(f"{stem.name}.{ending}").write_bytes(text.encode())
    return stem


@given(st.one_of(CUTS, st.lists(st.lists(PIECES, max_size=6).map(b"".join), max_size=8)))
@example([b"\xc2", b"\r\n"])
def test_lines_by_blocks_are_lines_one_by_one(blocks: list[bytes]) -> None:
    def outcome(lines: Callable[[], list[str]]) -> list[str] | str:
        try:
            return lines()
        except InputError as error:
            return str(error)

    whole = b"".join(blocks)
    slow = outcome(lambda: list(split_lines(io.BytesIO(whole), "x")))
    quick = outcome(lambda: [line for run in line_runs(filter(None, blocks), "x") for line in run])
    assert quick == slow


@given(st.lists(st.integers(0, 7)), st.integers(1, 9))
def test_regrouped_rows_are_the_same_in_runs_of_a_size(sizes: list[int], size: int) -> None:
    rows = iter(range(sum(sizes)))
    runs = [[str(next(rows)) for _ in range(n)] for n in sizes]
    found = list(regroup([(run, run) for run in runs], size))
    assert [row for run, _ in found for row in run] == [row for run in runs for row in run]
    assert all(len(run) == size for run, _ in found[:-1])
    assert all(run == other for run, other in found)
    assert not found or 1 <= len(found[-1][0]) <= size


def test_a_stem_gives_its_lines_as_they_stand(
    tmp_path: Path, read: Callable[..., list[tuple[str, ...]]]
) -> None:
    odd = "x\u2028y\x85z\x0b\x0c\x1c"
    write(tmp_path / "a", en=f"\ufeffone \r\n{odd}\n\nlast", de="eins\n\0zwei\n\r\n c\rd\n")
    assert read(tmp_path / "a") == [
        ("one ", "eins"),
        (odd, "\0zwei"),
        ("", ""),
        ("last", " c\rd"),
    ]


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("a\nb\n", "c\n", "a.en has 2 lines but .*a.de has 1; parallel files hold"),
        ("a\n", "c\n" * 25_000, "a.en has 1 lines but .*a.de has 25000; parallel"),
        ("", "c\n", "a.en is empty"),
        ("a\n", "\ufeff", "a.de is empty"),
    ],
)
def test_unequal_and_empty_files_are_named(
    tmp_path: Path,
    read: Callable[..., list[tuple[str, ...]]],
    source: str,
    target: str,
    message: str,
) -> None:
    write(tmp_path / "a", en=source, de=target)
    with pytest.raises(InputError, match=f"^data.train={tmp_path}/a: .*{message}"):
        read(tmp_path / "a")


def test_a_line_that_is_not_utf_8_is_named_wherever_it_is(
    tmp_path: Path, read: Callable[..., list[tuple[str, ...]]]
) -> None:
    write(tmp_path / "a", de="x\n" * 700_000)
    (tmp_path / "a.en").write_bytes(b"x\n" * 600_000 + b"sch\xf6n\n" + b"x\n" * 99_999)
    with pytest.raises(InputError, match=r"a\.en is not UTF-8: line 600001, byte 4 \(invalid"):
        read(tmp_path / "a")


def test_a_line_longer_than_a_block_is_read(
    tmp_path: Path, read: Callable[..., list[tuple[str, ...]]]
) -> None:
    long = "é" * 3_000_000
    write(tmp_path / "a", en=f"{long}\nx\n", de="a\nb")
    assert read(tmp_path / "a") == [(long, "a"), ("x", "b")]


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ("0-0\n0:1\n", "a.align, line 2: '0:1' is no link; write"),
        ("0-1\n\n", "a.align, line 1: 0-1 links target word 1, but that sentence has 1 "),
        ("0-0\n", "a.align has 1 lines but .*a.en has 2; it must hold a line for each pair"),
        ("0-0\n\n\n", "a.align has 3 lines but .*a.en has 2; it must hold a line for each pair"),
        ("", "a.align is empty"),
        (None, "a.align does not exist"),
    ],
)
def test_an_error_in_an_alignment_names_file_and_line(
    tmp_path: Path,
    read: Callable[..., list[tuple[str, ...]]],
    links: str | None,
    message: str,
) -> None:
    write(tmp_path / "a", en="a b\nc\n", de="d\ne\n")
    if links is not None:
        write(tmp_path / "a", align=links)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "a", alignment="align")


def test_alignments_stand_beside_the_pairs(tmp_path: Path, opened: Callable[..., Reader]) -> None:
    write(tmp_path / "a", en="a b\nc\n", de="d\ne f\n", align="0-0 1-0\n\n")
    reader = opened(tmp_path / "a", alignment="align")
    assert reader.fields == ("source", "target", "alignment")
    runs = list(reader.columns(5))
    assert runs == [(["a b", "c"], ["d", "e f"], ["0-0 1-0", ""])]


def test_a_document_ends_at_a_blank_pair_and_with_its_file(
    tmp_path: Path, read: Callable[..., list[tuple[str, ...]]]
) -> None:
    write(tmp_path / "a", en="1\n\n2\n \n", de="x\ny\nz\n\t\n")
    write(tmp_path / "b", en="\n3\n\n\n4\n", de="\n\n\n\nw\n")
    rows = read(tmp_path, context=True)
    assert [row[:2] for row in rows] == [("1", "x"), ("", "y"), ("2", "z"), ("3", ""), ("4", "w")]
    numbers = [int(number) for _, _, number in rows]
    assert numbers[0] == numbers[1] == numbers[2] < numbers[3] < numbers[4]
    assert len(read(tmp_path)) == 9  # without context a blank pair is a pair


def test_a_folder_is_all_its_stems_in_order_and_opus_names_count(
    tmp_path: Path,
    read: Callable[..., list[tuple[str, ...]]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    write(tmp_path / "b", en="3\n", de="c\n")
    write(tmp_path / "Books.de-en", en="1\n", de="a\n")
    write(tmp_path / "a.b.c", en="2\n", de="b\n")
    write(tmp_path / "Books.en-fr", en="9\n", fr="z\n")
    write(tmp_path / "README", txt="?")
    assert read(tmp_path) == [("1", "a"), ("2", "b"), ("3", "c")]
    assert "left out 1 stems with a file of one language only: Books.en-fr" in caplog.text


def test_a_folder_without_pairs_of_files_is_an_input_error(
    tmp_path: Path, read: Callable[..., list[tuple[str, ...]]]
) -> None:
    write(tmp_path / "a", en="x\n", fr="y\n")
    with pytest.raises(
        InputError, match=f"{tmp_path} holds no pair of files such as x.en and x.de"
    ):
        read(tmp_path)


def test_the_fingerprint_follows_content_order_and_use_but_not_names(
    tmp_path: Path, opened: Callable[..., Reader]
) -> None:
    def fingerprint(name: str, **settings: object) -> str:
        reader = opened(tmp_path / name, **settings)
        return reader.fingerprint

    for name, text in (("a", "1\n"), ("b", "1\n"), ("c", "2\n")):
        write(tmp_path / name, en=text, de="x\n", align="0-0\n", other="\n")
    write(tmp_path / "d", en="x\n", de="1\n")
    assert fingerprint("a") == fingerprint("b")
    others = [fingerprint("c"), fingerprint("d"), fingerprint("a", context=True)]
    others += [fingerprint("a", alignment=x) for x in ("align", "other")]
    assert len({fingerprint("a"), *others}) == 6


def test_the_meter_counts_the_bytes_of_all_files(
    tmp_path: Path, opened: Callable[..., Reader]
) -> None:
    write(tmp_path / "a", en="1\n" * 1_000_000, de="x\n" * 1_000_000)
    reader = opened(tmp_path / "a")
    told: list[int] = []
    assert reader.n_bytes == 4_000_000
    for _ in reader.columns(1000, told.append):
        assert sum(told) <= reader.n_bytes
    assert sum(told) == reader.n_bytes
    assert len(told) > 3


def test_a_mark_that_is_cut_in_two_is_dropped() -> None:
    assert list(whole_lines([b"\xef\xbb", b"\xbfa\nb"])) == [b"a\n", b"b"]
