"""The bytes of a file, decompressed on the way where its name says that they are compressed."""

import bz2
import io
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from transformer.errors import InputError, require
from transformer.text.files import open_file

BLOCK = 1 << 20  # bytes read at once, and the most that one step of decompressing gives
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
MOST_MEMORY = 1 << 30  # bytes that an xz file may ask for
DAMAGE = (OSError, EOFError, ValueError, MemoryError, zlib.error, lzma.LZMAError)


def read_blocks(path: Path, meter: Callable[[int], None] | None = None) -> Iterator[bytes]:
    """The content of a file in blocks of at most 1 MiB, none of them empty.

    `meter` is told of the bytes read from the disk. A file that cannot be read and an archive
    that is cut off or damaged raise InputError.
    """
    raw = _raw_blocks(path, meter)
    if path.suffix.lower() not in COMPRESSED:
        yield from raw
        return
    try:
        yield from _unpacked(path.suffix.lower(), raw)
    except DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} is damaged or cut off: {reason}") from error


@contextmanager
def plain_file(path: Path, meter: Callable[[int], None] | None = None) -> Iterator[Path]:
    """A file with the content of `path`: itself, or a temporary one where it is compressed."""
    if path.suffix.lower() not in COMPRESSED:
        with open_file(path):
            yield path
        return
    inner = Path(path.stem)
    with tempfile.NamedTemporaryFile(suffix=inner.suffix) as copy:
        for block in read_blocks(path, meter):
            copy.write(block)
        copy.flush()
        yield Path(copy.name)


def _raw_blocks(path: Path, meter: Callable[[int], None] | None) -> Iterator[bytes]:
    with open_file(path) as stream:
        while True:
            try:
                block = stream.read(BLOCK)
            except OSError as error:
                raise InputError(f"{path} cannot be read: {error.strerror}") from error
            if not block:
                return
            if meter is not None:
                meter(len(block))
            yield block


def _unpacked(ending: str, raw: Iterator[bytes]) -> Iterator[bytes]:
    match ending:
        case ".gz":
            return _streams(raw, _Gzip, b"\0")
        case ".bz2":
            return _streams(raw, bz2.BZ2Decompressor, b"")
        case ".xz":
            return _streams(raw, _xz, b"\0")
    return _zstandard(raw)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """One member of a gzip file, with the interface of the other decompressors."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)  # 16: gzip's header and sum; 15: any window

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_MEMORY)


def _streams(
    blocks: Iterable[bytes], start: Callable[[], _Decompressor], padding: bytes
) -> Iterator[bytes]:
    """The content of all the streams that follow one another; EOFError where the last is cut off.

    The readers of the standard library take what is damaged behind a first stream for its end.
    """
    inner, n_streams, begun = start(), 0, False
    for block in blocks:
        data = block
        while True:
            if n_streams and not begun:
                data = data.lstrip(padding)
            if not data and (not begun or inner.needs_input):
                break
            content = inner.decompress(data, BLOCK)
            data, begun = b"", True
            if content:
                yield content
            if inner.eof:
                data, begun = inner.unused_data, False
                inner, n_streams = start(), n_streams + 1
    if begun or n_streams == 0:
        raise EOFError("it ends before its time")


def _zstandard(blocks: Iterator[bytes]) -> Iterator[bytes]:
    first = next(blocks, b"")
    if not first:
        raise EOFError("it ends before its time")
    with (
        pa.PythonFile(_Joined(first, blocks), mode="r") as source,
        pa.CompressedInputStream(source, "zstd") as stream,
    ):
        while content := stream.read(BLOCK):
            yield content


class _Joined(io.RawIOBase):
    """Blocks as a file."""

    def __init__(self, first: bytes, blocks: Iterator[bytes]) -> None:
        super().__init__()
        self._held = first
        self._blocks = blocks

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        require(size >= 0, "a compressed file is read in parts")
        if not self._held:
            self._held = next(self._blocks, b"")
        part, self._held = self._held[:size], self._held[size:]
        return part
