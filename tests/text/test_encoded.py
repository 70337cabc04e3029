"""Pairs of ids in files, and batches read from them."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transformer.text.batching import grid_length
from transformer.text.encoded import EncodedSplit
from transformer.text.preparing.store import SplitWriter
from transformer.text.ragged import Lists
from transformer.text.tokenizer import BOS_ID, EOS_ID, PAD_ID

IdPairs = list[tuple[list[int], list[int]]]
SIDE = st.lists(st.integers(4, 30_000), max_size=20)


def write(stem: Path, pairs: IdPairs, part: int = 3, largest: int = 30_000) -> EncodedSplit:
    """The pairs, written so many at once."""
    with SplitWriter(stem, largest, aligned=False) as writer:
        for start in range(0, len(pairs), part):
            rows = pairs[start : start + part]
            sides = {"source": Lists.of([s for s, _ in rows])}
            assert writer.append(sides | {"target": Lists.of([t for _, t in rows])}) == len(rows)
    return EncodedSplit(stem)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("encoded")


@given(
    pairs=st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=20),
    part=st.integers(1, 7),
    largest=st.sampled_from([30_000, 70_000]),
    data=st.data(),
)
def test_a_batch_holds_the_rows_asked_for(
    folder: Path, pairs: IdPairs, part: int, largest: int, data: st.DataObject
) -> None:
    split = write(folder / f"ids{largest}", pairs, part, largest)
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
    split = pickle.loads(pickle.dumps(write(tmp_path / "ids", [([4], [5, 6])])))
    assert split.batch(np.array([0])).labels.tolist() == [[5, 6, EOS_ID]]


def test_lengths_are_left_in_the_file(tmp_path: Path) -> None:
    split = write(tmp_path / "ids", [([4], [5, 6])] * 9)
    for lengths in (split.source_lengths, split.target_lengths):
        assert not lengths.flags.owndata
        assert not lengths.flags.writeable


def test_lists_of_pairs_can_be_copied(tmp_path: Path) -> None:
    pairs: IdPairs = [([4], [5, 6]), ([], [7]), ([8, 9], [])]
    split = write(tmp_path / "ids", pairs)
    with SplitWriter(tmp_path / "copy", 9, aligned=False) as writer:
        for start, stop in ((0, 1), (1, 3), (3, 3)):
            writer.append(split.lists(start, stop))
    copy, rows = EncodedSplit(tmp_path / "copy"), np.arange(3)
    assert torch.equal(copy.batch(rows).source, split.batch(rows).source)
    assert torch.equal(copy.batch(rows).labels, split.batch(rows).labels)


SPAN = st.tuples(st.integers(0, 9), st.integers(1, 3)).map(lambda span: (span[0], sum(span)))
BLOCKS = st.lists(st.tuples(SPAN, SPAN), max_size=4)


@given(st.lists(BLOCKS, min_size=1, max_size=9), st.integers(1, 4), st.data())
def test_a_batch_holds_the_links_of_its_rows(
    folder: Path,
    blocks: list[list[tuple[tuple[int, int], tuple[int, int]]]],
    part: int,
    data: st.DataObject,
) -> None:
    n = len(blocks)
    links = [[number for block in row for span in block for number in span] for row in blocks]
    with SplitWriter(folder / "aligned", 9, aligned=True) as writer:
        for start in range(0, n, part):
            size = len(links[start : start + part])
            sides = {"source": Lists.of([[4] * 12] * size), "target": Lists.of([[5] * 12] * size)}
            writer.append(sides | {"links": Lists.of(links[start : start + part])})
    split = pickle.loads(pickle.dumps(EncodedSplit(folder / "aligned")))
    assert split.aligned

    rows = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=6))
    found = split.batch(np.array(rows)).links
    assert found.shape[1] == 3
    assert found.dtype == torch.int64
    assert found.tolist() == [
        [place, t, s]
        for place, row in enumerate(rows)
        for target, source in blocks[row]
        for t in range(*target)
        for s in range(*source)
    ]


def test_without_alignments_a_batch_has_no_links(tmp_path: Path) -> None:
    split = write(tmp_path / "ids", [([4], [5, 6])])
    assert not split.aligned
    assert split.batch(np.array([0])).links is None
