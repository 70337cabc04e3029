"""What is measured of attention."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from transformer.config import AttentionKind
from transformer.errors import InputError
from transformer.pictures.attention import (
    Choice,
    Looks,
    choices,
    distance,
    entropy,
    sizes_of,
    statistics,
)

Draw = Callable[..., Looks]


def exactly(cross: list[list[float]]) -> Looks:
    weights = np.array(cross, dtype=np.float32)[None, None]
    T, S = weights.shape[2:]
    eye = np.eye(max(S, T), dtype=np.float32)[None, None]
    return Looks(["w"] * (S - 1) + ["</s>"], ["x"] * T, eye[..., :S, :S], eye[..., :T, :T], weights)


def test_entropy_is_in_bits_and_zero_for_a_certain_look() -> None:
    weights = np.array([[1.0, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]])
    assert entropy(weights).tolist() == [0, 2, 1]


def test_distances_are_those_of_the_docstring() -> None:
    encoder = distance(AttentionKind.encoder, 3, 3)
    assert encoder.tolist() == [[0, 1, 2], [1, 0, 1], [2, 1, 0]]
    decoder = distance(AttentionKind.decoder, 3, 3)
    assert decoder[2].tolist() == [3, 2, 1], "the word before is one position away"
    cross = distance(AttentionKind.cross, 2, 5)
    assert cross.tolist() == [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]]


def test_the_statistics_of_a_head_can_be_counted_by_hand() -> None:
    # A diagonal of three: half of the second row goes to EOS, which is no word.
    looks = exactly([[1, 0, 0], [0.5, 0, 0.5], [0, 1, 0]])
    table = statistics([looks], [Choice(AttentionKind.cross, [1], [1])])
    (row,) = table.summary()
    assert (row["kind"], row["layer"], row["head"]) == ("cross", 1, 1)
    assert row["entropy"] == pytest.approx(1 / 3)
    assert row["peak"] == pytest.approx(100 * 2.5 / 3)
    assert row["on marks"] == pytest.approx(100 * 0.5 / 3)
    assert row["distance"] == pytest.approx((0 + 0.5 * 1 + 1) / 2.5)
    assert row["beyond 5"] == 0


def test_rows_of_several_sentences_count_alike(draw: Draw) -> None:
    one, two = draw(["a"] * 9, ["b"] * 4), draw(["c"] * 3, ["d"] * 11)
    chosen = choices(sizes_of(one), [AttentionKind.cross])
    names = ("entropy", "peak", "on marks")
    alone, other, both = (
        np.array([[row[name] for name in names] for row in statistics(x, chosen).summary()])
        for x in ([one], [two], [one, two])
    )
    np.testing.assert_allclose(both, (5 * alone.astype(float) + 12 * other.astype(float)) / 17)
    assert (both[:, 0] <= math.log2(10)).all()


def test_a_head_that_sees_a_mark_alone_has_no_distance(draw: Draw) -> None:
    looks = draw(["a"], [])  # the decoder has nothing but BOS
    rows = statistics([looks], choices(sizes_of(looks), [AttentionKind.decoder])).summary()
    assert {row["distance"] for row in rows} == {None}
    assert {row["on marks"] for row in rows} == {100.0}


def test_a_table_has_a_row_for_each_chosen_head(draw: Draw) -> None:
    looks = draw(["a", "b"], ["c"])
    table = statistics([looks], choices(sizes_of(looks)))
    assert len(table.rows) == 4 * (2 + 3 + 3)
    chosen = choices(sizes_of(looks), [AttentionKind.encoder], [2], [4, 1])
    assert [row[:3] for row in statistics([looks], chosen).rows] == [
        ["encoder", 2, 4],
        ["encoder", 2, 1],
    ]
    expected = statistics([looks], [Choice(AttentionKind.encoder, [2], [1])]).rows[0]
    assert statistics([looks], chosen).rows[1] == expected


@pytest.mark.parametrize(
    ("layers", "heads", "message"),
    [
        ([3], [], r"layers=\[3\] is beyond the 2 layers of the model's encoder"),
        ([], [5, 1], r"heads=\[5\] is beyond the 4 heads"),
    ],
)
def test_layers_and_heads_that_are_not_there_are_named(
    draw: Draw, layers: list[int], heads: list[int], message: str
) -> None:
    sizes = sizes_of(draw(["a"], ["b"]))
    with pytest.raises(InputError, match=message):
        choices(sizes, layers=layers, heads=heads)
    choices(sizes, [AttentionKind.cross], [3], [4])
