"""Compressed files."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.errors import InputError
from transformer.text.readers import streams
from transformer.text.readers.streams import plain_file, read_blocks

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda content: pa.compress(content, codec="zstd", asbytes=True),
}
ENDINGS = pytest.mark.parametrize("ending", PACK)
CONTENT = b"".join(b"%d, a line of text\n" % i for i in range(5000))


def content_of(file: Path) -> bytes:
    return b"".join(read_blocks(file))


@ENDINGS
@given(parts=st.lists(st.binary(max_size=2000), min_size=1, max_size=4), block=st.integers(1, 3000))
def test_all_streams_of_a_file_are_read(
    tmp_path_factory: pytest.TempPathFactory, ending: str, parts: list[bytes], block: int
) -> None:
    file = tmp_path_factory.mktemp("packed") / f"a.{ending}"
    file.write_bytes(b"".join(map(PACK[ending], parts)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "BLOCK", block)
        told: list[int] = []
        blocks = list(read_blocks(file, told.append))
    assert b"".join(blocks) == b"".join(parts)
    assert all(0 < len(x) <= block for x in blocks)
    assert sum(told) == file.stat().st_size


@ENDINGS
def test_a_cut_off_archive_is_an_input_error(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"a.{ending}"
    packed = PACK[ending](CONTENT)
    for n_bytes in [*range(30), len(packed) // 2, *range(len(packed) - 20, len(packed))]:
        for before in (b"", packed):
            file.write_bytes(before + packed[:n_bytes])
            if before and not n_bytes:
                continue
            with pytest.raises(InputError, match=f"{file} is damaged or cut off: "):
                content_of(file)


@ENDINGS
@pytest.mark.parametrize("rest", [b"x", b"BZh9", b"rubbish behind the end", b"\0\0\0\0x"])
def test_what_stands_behind_a_stream_is_not_taken_for_its_end(
    tmp_path: Path, ending: str, rest: bytes
) -> None:
    file = tmp_path / f"a.{ending}"
    file.write_bytes(PACK[ending](CONTENT) + rest)
    with pytest.raises(InputError, match="is damaged or cut off"):
        content_of(file)


@pytest.mark.parametrize("ending", ["gz", "xz"])
def test_zeros_may_pad_what_has_ended(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"a.{ending}"
    packed = PACK[ending](b"one")
    file.write_bytes(packed + b"\0" * 8 + packed + b"\0" * 4)
    assert content_of(file) == b"oneone"


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz"])  # zstd has a check sum where it is asked
@given(data=st.data())
def test_a_flipped_byte_is_no_silent_change(
    tmp_path_factory: pytest.TempPathFactory, ending: str, data: st.DataObject
) -> None:
    file = tmp_path_factory.mktemp("flipped") / f"a.{ending}"
    packed = bytearray(PACK[ending](CONTENT[:500]))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    file.write_bytes(packed)
    try:
        found = content_of(file)
    except InputError:
        return
    assert found == CONTENT[:500]


def test_a_bomb_is_unpacked_a_block_at_a_time(tmp_path: Path) -> None:
    for ending, pack in PACK.items():
        file = tmp_path / f"a.{ending}"
        file.write_bytes(pack(bytes(20_000_000)))
        sizes = [len(block) for block in read_blocks(file)]
        assert sum(sizes) == 20_000_000
        assert max(sizes) <= streams.BLOCK


@ENDINGS
def test_a_compressed_side_counts_as_the_plain_one(
    tmp_path: Path, read: Callable[..., list[tuple[str, ...]]], ending: str
) -> None:
    (tmp_path / f"a.en.{ending}").write_bytes(PACK[ending](b"one\r\ntwo"))
    (tmp_path / "a.de").write_bytes(b"eins\nzwei\n")
    rows = [("one", "eins"), ("two", "zwei")]
    assert read(tmp_path / "a") == read(tmp_path) == rows
    (tmp_path / "a.en").write_bytes(b"one\ntwo\n")
    with pytest.raises(InputError, match=rf"a\.en and .*a\.en\.{ending} are both there"):
        read(tmp_path / "a")


@ENDINGS
def test_a_file_that_must_be_plain_is_unpacked_aside(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"a.parquet.{ending}"
    file.write_bytes(PACK[ending](CONTENT))
    with plain_file(file) as path:
        assert path != file
        assert path.suffix == ".parquet"
        assert path.read_bytes() == CONTENT
    assert not path.exists()
