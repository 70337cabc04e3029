"""Sentence pairs in Arrow files: as text, and as ids from which batches are read."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Self

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from datasets.arrow_writer import ArrowWriter
from numpy.typing import NDArray

from transformer.text.batching import Batch, Lengths, Rows, grid_length
from transformer.text.tokenizer import BOS_ID, EOS_ID, PAD_ID

TEXT = datasets.Features({side: datasets.Value("string") for side in ("source", "target")})
ALIGNED_TEXT = datasets.Features({**TEXT, "alignment": datasets.Value("string")})
IDS = datasets.Features(
    {side: datasets.List(datasets.Value("int32")) for side in ("source", "target")}
)
# The links of a pair are blocks of linked pieces, as `piece_links` makes them, one after another.
ALIGNED_IDS = datasets.Features({**IDS, "links": datasets.List(datasets.Value("int32"))})
BLOCK = 4  # numbers of a block
READ_ROWS = 10_000  # pairs handled at once
# Rows of one Arrow chunk: each is held in memory while it is written.
CHUNK_ROWS = 100_000


class TextFile:
    """Sentence pairs as text, read from the file each time they are walked through."""

    def __init__(self, file: Path) -> None:
        self._rows = datasets.Dataset.from_file(str(file))

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for sources, targets, *_ in self.blocks():
            yield from zip(sources, targets, strict=True)

    def blocks(self) -> Iterator[list[list[str]]]:
        """Sources, targets and, where there are some, alignments of successive runs of pairs."""
        for table in self._rows.with_format("arrow").iter(batch_size=READ_ROWS):
            yield [column.to_pylist() for column in table.columns]


class EncodedSplit:
    """Sentence pairs as ids, left in the file until a batch asks for them."""

    def __init__(self, file: Path) -> None:
        self._file = file
        mapped = pa.memory_map(str(file))
        whole = mapped.read_buffer(mapped.size())
        table = pa.ipc.open_stream(whole).read_all()
        self._source = _Ragged(table["source"], whole)
        self._target = _Ragged(table["target"], whole)
        self.aligned = "links" in table.column_names  # then batches have links
        self._links = _Ragged(table["links"], whole) if self.aligned else None
        self.source_lengths: Lengths = self._source.lengths + 1  # with EOS
        self.target_lengths: Lengths = self._target.lengths + 1

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self._file,)

    def __len__(self) -> int:
        return len(self.source_lengths)

    def batch(self, rows: Rows) -> Batch:
        """The pairs numbered `rows`, in that order, padded to lengths on the grid."""
        source_lengths, target_lengths = self.source_lengths[rows], self.target_lengths[rows]
        every = np.arange(len(rows))
        source = self._source.padded(rows, grid_length(int(source_lengths.max())))
        labels = self._target.padded(rows, grid_length(int(target_lengths.max())))
        target = np.empty_like(labels)
        target[:, 0], target[:, 1:] = BOS_ID, labels[:, :-1]
        source[every, source_lengths - 1] = EOS_ID
        labels[every, target_lengths - 1] = EOS_ID
        return Batch(
            torch.from_numpy(source),
            torch.from_numpy(target),
            torch.from_numpy(labels),
            torch.from_numpy(np.flatnonzero(labels != PAD_ID)),
            int(source_lengths.sum()),
            int(target_lengths.sum()),
            None if self._links is None else torch.from_numpy(_unfold(self._links.blocks(rows))),
        )


class _Ragged:
    """A column of lists of int32, read from the numbers of the mapped file `whole`.

    Its chunks are parts of one array, so that a batch is gathered at once from all of them.
    """

    def __init__(self, column: pa.ChunkedArray, whole: pa.Buffer) -> None:
        chunks = [chunk for chunk in column.chunks if len(chunk)]
        self.lengths: NDArray[np.int32] = pc.list_value_length(column).to_numpy()
        self._numbers = np.frombuffer(whole, np.int32, whole.size // 4)
        self._first_rows = np.cumsum([0, *map(len, chunks)])
        # Where in the file the offsets of each chunk are, and its values.
        self._offsets = np.array([_place(chunk.offsets, whole) for chunk in chunks], np.int64)
        self._values = np.array([_place(chunk.values, whole) for chunk in chunks], np.int64)

    def padded(self, rows: Rows, width: int) -> NDArray[np.int64]:
        """int64 [rows, width]: the lists numbered `rows`, filled up with PAD."""
        columns = np.arange(width)
        chunk = np.searchsorted(self._first_rows, rows, side="right") - 1
        offsets = self._numbers[self._offsets[chunk] + rows - self._first_rows[chunk]]
        starts = self._values[chunk] + offsets
        # Past its end a list goes on with the next one, and the last with the end of the file.
        found = self._numbers.take(starts[:, None] + columns, mode="clip")
        return np.where(columns < self.lengths[rows, None], found, np.int64(PAD_ID))

    def blocks(self, rows: Rows) -> NDArray[np.int64]:
        """int64 [blocks, 1 + BLOCK]: the place in `rows` of each block in their lists, and it."""
        lengths = self.lengths[rows]
        width = int(lengths.max())
        values = self.padded(rows, width)[np.arange(width) < lengths[:, None]]
        owners = np.repeat(np.arange(len(rows)), lengths // BLOCK)
        return np.concatenate([owners[:, None], values.reshape(-1, BLOCK)], axis=1)


def _place(array: pa.Array, whole: pa.Buffer) -> int:
    """Where the numbers of `array` begin in `whole`, in int32; 0 where there are none."""
    buffer = array.buffers()[1]
    if buffer is None or not len(array):
        return 0
    start = buffer.address - whole.address + 4 * array.offset
    assert start % 4 == 0
    assert 0 <= start <= whole.size
    return int(start) // 4


def _unfold(blocks: NDArray[np.int64]) -> NDArray[np.int64]:
    """The links [n_links, 3] of `Batch` in blocks [n, 5] of row, target and source pieces."""
    row, target, target_stop, source, source_stop = blocks.T
    width = source_stop - source
    sizes = (target_stop - target) * width
    block = np.repeat(np.arange(len(blocks)), sizes)
    place = np.arange(len(block)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # in its block
    down, across = np.divmod(place, width[block])
    return np.stack([row[block], target[block] + down, source[block] + across], axis=1)


def write_text(
    file: Path, rows: Iterable[tuple[str, ...]], features: datasets.Features = TEXT
) -> TextFile:
    """Write pairs of text as they come, or what else `features` has, and open the file."""
    remaining = iter(rows)
    with ArrowWriter(features=features, path=str(file)) as writer:
        while block := list(islice(remaining, READ_ROWS)):
            columns = dict(zip(features, zip(*block, strict=True), strict=True))
            table = pa.table(columns, schema=features.arrow_schema)
            writer.write_table(table, writer_batch_size=len(table))
        writer.finalize()
    return TextFile(file)


def write_ids(file: Path, tables: Iterable[pa.Table], features: datasets.Features = IDS) -> None:
    """Write tables of ids as they come, a chunk as soon as it is full."""
    with ArrowWriter(features=features, path=str(file)) as writer:
        for table in _regroup(tables):
            writer.write_table(table, writer_batch_size=len(table))
        writer.finalize()


def _regroup(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of at least CHUNK_ROWS, but for the last."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= CHUNK_ROWS:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)
