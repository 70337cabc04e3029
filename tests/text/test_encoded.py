"""Arrow files of pairs, and batches read from them."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transformer.text import encoded
from transformer.text.batching import grid_length
from transformer.text.encoded import (
    ALIGNED_IDS,
    ALIGNED_TEXT,
    IDS,
    EncodedSplit,
    write_ids,
    write_text,
)
from transformer.text.tokenizer import BOS_ID, EOS_ID, PAD_ID

IdPairs = list[tuple[list[int], list[int]]]
SIDE = st.lists(st.integers(4, 30_000), max_size=20)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def tables(pairs: IdPairs, rows: int) -> list[pa.Table]:
    """The pairs in tables of `rows` rows, with an empty one between."""
    made = []
    for start in range(0, len(pairs), rows):
        part = pairs[start : start + rows]
        columns = {"source": [s for s, _ in part], "target": [t for _, t in part]}
        table = pa.table(columns, schema=IDS.arrow_schema)
        made += [table, table.slice(0, 0)]
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("encoded")


@given(st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=20), st.integers(1, 7), st.data())
def test_a_batch_holds_the_rows_asked_for(
    folder: Path, pairs: IdPairs, chunk: int, data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoded, "CHUNK_ROWS", chunk)
        write_ids(folder / "ids.arrow", tables(pairs, 2))
    split = EncodedSplit(folder / "ids.arrow")
    assert len(split) == len(pairs)
    assert split.source_lengths.tolist() == [len(source) + 1 for source, _ in pairs]
    assert split.target_lengths.tolist() == [len(target) + 1 for _, target in pairs]

    numbers = st.lists(st.integers(0, len(pairs) - 1), min_size=1, max_size=10)
    rows = np.array(data.draw(numbers))
    batch = split.batch(rows)
    chosen = [pairs[row] for row in rows]
    for (source, target), s, t, labels in zip(
        chosen, batch.source.tolist(), batch.target.tolist(), batch.labels.tolist(), strict=True
    ):
        assert s == [*source, EOS_ID] + [PAD_ID] * (len(s) - len(source) - 1)
        assert t == [BOS_ID, *target] + [PAD_ID] * (len(t) - len(target) - 1)
        assert labels == [*target, EOS_ID] + [PAD_ID] * (len(labels) - len(target) - 1)
    assert batch.source.shape[1] == grid_length(max(len(source) + 1 for source, _ in chosen))
    assert batch.target.shape == batch.labels.shape
    assert batch.labels.shape[1] == grid_length(max(len(target) + 1 for _, target in chosen))
    real = batch.labels.flatten()[batch.label_positions]
    assert real.tolist() == [label for _, target in chosen for label in [*target, EOS_ID]]
    assert batch.n_source_tokens == int((batch.source != PAD_ID).sum())
    assert batch.n_target_tokens == int((batch.labels != PAD_ID).sum())


def test_an_encoded_split_can_be_sent_to_another_process(tmp_path: Path) -> None:
    write_ids(tmp_path / "ids.arrow", tables([([4], [5, 6])], 1))
    split = pickle.loads(pickle.dumps(EncodedSplit(tmp_path / "ids.arrow")))
    assert split.batch(np.array([0])).labels.tolist() == [[5, 6, EOS_ID]]


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1))
def test_text_is_stored_unharmed(folder: Path, pairs: list[tuple[str, str]]) -> None:
    text = write_text(folder / "text.arrow", iter(pairs))
    assert len(text) == len(pairs)
    assert list(text) == pairs
    assert list(text) == pairs


def test_many_rows_make_few_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded, "CHUNK_ROWS", 100)
    write_ids(tmp_path / "ids.arrow", tables([([4], [5])] * 1_000, 30))
    with pa.memory_map(str(tmp_path / "ids.arrow")) as stream:
        batches = list(pa.ipc.open_stream(stream))
    assert [len(batch) for batch in batches[:-1]] == [120] * 8


SPAN = st.tuples(st.integers(0, 9), st.integers(1, 3)).map(lambda span: (span[0], sum(span)))
BLOCKS = st.lists(st.tuples(SPAN, SPAN), max_size=4)


@given(st.lists(BLOCKS, min_size=1, max_size=9), st.integers(1, 4), st.data())
def test_a_batch_holds_the_links_of_its_rows(
    folder: Path,
    blocks: list[list[tuple[tuple[int, int], tuple[int, int]]]],
    chunk: int,
    data: st.DataObject,
) -> None:
    n = len(blocks)
    columns = {
        "source": [[4] * 12] * n,
        "target": [[5] * 12] * n,
        "links": [[number for block in row for span in block for number in span] for row in blocks],
    }
    table = pa.table(columns, schema=ALIGNED_IDS.arrow_schema)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoded, "CHUNK_ROWS", chunk)
        parts = [table.slice(start, chunk) for start in range(0, n, chunk)]
        write_ids(folder / "aligned.arrow", parts, ALIGNED_IDS)
    split = pickle.loads(pickle.dumps(EncodedSplit(folder / "aligned.arrow")))
    assert split.aligned

    rows = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=6))
    links = split.batch(np.array(rows)).links
    assert links.shape[1] == 3
    assert links.dtype == torch.int64
    assert links.tolist() == [
        [place, t, s]
        for place, row in enumerate(rows)
        for target, source in blocks[row]
        for t in range(*target)
        for s in range(*source)
    ]


def test_without_alignments_a_batch_has_no_links(tmp_path: Path) -> None:
    write_ids(tmp_path / "ids.arrow", tables([([4], [5, 6])], 1))
    split = EncodedSplit(tmp_path / "ids.arrow")
    assert not split.aligned
    assert split.batch(np.array([0])).links is None


def test_alignments_are_stored_beside_the_text(tmp_path: Path) -> None:
    rows = [("a", "b", "0-0"), ("c", "d", "")]
    text = write_text(tmp_path / "text.arrow", iter(rows), ALIGNED_TEXT)
    assert list(text) == [("a", "b"), ("c", "d")]
    assert list(text.blocks()) == [[["a", "c"], ["b", "d"], ["0-0", ""]]]
