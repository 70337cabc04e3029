"""Which pairs come when, of corpora mixed by weight."""

import math
import time
import tracemalloc
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.text import mixing
from transformer.text.mixing import SHUFFLED, Mix, Part, pairs_an_epoch, permuted

SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=5)
TEMPERATURE = st.sampled_from([1.0, 1.5, 5.0, 1e6])
# Just above what is drawn as a whole, a power of two, and one less and one more.
LARGE = [SHUFFLED + 1, 100_003, 2**18 - 1, 2**18, 2**18 + 1]


def parts_of(sizes: list[int], weights: list[float] | None = None) -> list[Part]:
    firsts = np.cumsum([0, *sizes]).tolist()
    weights = weights or [1.0] * len(sizes)
    return [
        Part(f"corpus {i}", first, size, weight)
        for i, (first, size, weight) in enumerate(zip(firsts, sizes, weights, strict=False))
    ]


@st.composite
def mixed(draw: st.DrawFn) -> Mix:
    sizes = draw(SIZES)
    weight = st.sampled_from([1e-9, 0.1, 1.0, 2.5, 40.0])
    weights = draw(st.lists(weight, min_size=len(sizes), max_size=len(sizes)))
    return Mix(parts_of(sizes, weights), draw(TEMPERATURE), draw(st.integers(0, 2**40)))


def in_chapters(mix: Mix, chapter: int) -> Mix:
    """The same mix, cut into chapters of about `chapter` pairs."""
    mix.n_chapters = -(-mix.size // chapter)
    return mix


def rows_of(mix: Mix, epoch: int) -> list[int]:
    """All pairs of an epoch, chapter after chapter."""
    chapters = [np.concatenate(mix.rows(epoch, i)) for i in range(mix.n_chapters)]
    return [int(row) for rows in chapters for row in rows]


# How many of each


@given(SIZES, st.data())
def test_an_epoch_has_as_many_pairs_as_there_are_and_some_of_each_corpus(
    sizes: list[int], data: st.DataObject
) -> None:
    weight = st.floats(1e-300, 1e300)
    weights = data.draw(st.lists(weight, min_size=len(sizes), max_size=len(sizes)))
    counts = pairs_an_epoch(parts_of(sizes, weights), data.draw(TEMPERATURE))
    assert sum(counts) == sum(sizes)
    assert min(counts) >= 1


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=20).filter(any), st.floats(0.01, 10))
def test_equal_weights_and_temperature_1_take_each_corpus_once(
    sizes: list[int], weight: float
) -> None:
    assert pairs_an_epoch(parts_of(sizes, [weight] * len(sizes)), 1.0) == sizes


@given(SIZES, st.data())
def test_counts_are_the_exact_shares_rounded_to_one(sizes: list[int], data: st.DataObject) -> None:
    weights = data.draw(
        st.lists(st.integers(1, 9).map(float), min_size=len(sizes), max_size=len(sizes))
    )
    counts = pairs_an_epoch(parts_of(sizes, weights), 1.0)
    shares = [Fraction(int(w)) * n for w, n in zip(weights, sizes, strict=True)]
    exact = [share * sum(sizes) / sum(shares) for share in shares]
    raised = sum(x < 1 for x in exact)  # to one pair each, which the others lack
    assert all(abs(n - x) <= 1 + raised for n, x in zip(counts, exact, strict=True))


def test_the_temperature_moves_shares_from_their_sizes_to_equal_ones() -> None:
    parts = parts_of([900_000, 90_000, 10_000])
    assert pairs_an_epoch(parts, 1.0) == [900_000, 90_000, 10_000]
    roots = [math.sqrt(part.size) for part in parts]
    for n, root in zip(pairs_an_epoch(parts, 2.0), roots, strict=True):
        assert n == pytest.approx(1e6 * root / sum(roots), abs=1)
    assert pairs_an_epoch(parts, 1e6) == pytest.approx([333_333] * 3, abs=5)


def test_what_is_left_over_goes_to_the_largest_remainders_and_the_first_of_equal_ones() -> None:
    assert pairs_an_epoch(parts_of([4, 3, 3], [3.0, 4.0, 4.0]), 1.0) == [4, 3, 3]  # 3.33 each
    assert pairs_an_epoch(parts_of([2, 2, 4], [1.0, 1.0, 0.9]), 1.0) == [2, 2, 4]  # 2.11, 3.79
    assert pairs_an_epoch(parts_of([5, 1], [1.0, 1e-9]), 1.0) == [5, 1]


# Which


@given(mixed(), st.integers(1, 20), st.integers(0, 9))
def test_chapters_are_the_epoch_in_pieces(mix: Mix, chapter: int, epoch: int) -> None:
    whole = rows_of(mix, epoch)
    cut = in_chapters(mix, chapter)
    assert len(whole) == mix.size == sum(part.size for part in mix.parts)
    assert sorted(rows_of(cut, epoch)) == sorted(whole)
    ends = np.cumsum([0, *(sum(map(len, cut.rows(epoch, i))) for i in range(cut.n_chapters))])
    assert ends.tolist() == [cut.n_before(i) for i in range(cut.n_chapters + 1)]
    assert max(np.diff(ends)) <= chapter + len(mix.parts)


@given(mixed(), st.integers(1, 20), st.integers(1, 12))
def test_over_all_epochs_each_pair_of_a_corpus_is_seen_as_often_up_to_one(
    mix: Mix, chapter: int, n_epochs: int
) -> None:
    mix = in_chapters(mix, chapter)
    seen: Counter[int] = Counter()
    for epoch in range(n_epochs):
        for number in range(mix.n_chapters):
            seen.update(np.concatenate(mix.rows(epoch, number)).tolist())
            for i, part in enumerate(mix.parts):
                times = [seen[part.first + row] for row in range(part.size)]
                assert max(times) - min(times) <= 1
                done = (number + 1) * mix.counts[i] // mix.n_chapters
                assert sum(times) == epoch * mix.counts[i] + done


@given(mixed(), st.integers(1, 20))
def test_the_pairs_of_a_chapter_are_those_of_its_parts_in_order(mix: Mix, chapter: int) -> None:
    mix = in_chapters(mix, chapter)
    for number in range(mix.n_chapters):
        for part, rows in zip(mix.parts, mix.rows(3, number), strict=True):
            assert np.all(np.diff(rows) >= 0)
            assert np.all((rows >= part.first) & (rows < part.first + part.size))


@given(SIZES, st.integers(0, 9), st.integers(0, 2**40))
def test_equal_weights_show_every_pair_once_an_epoch(
    sizes: list[int], epoch: int, seed: int
) -> None:
    mix = in_chapters(Mix(parts_of(sizes), 1.0, seed), 7)
    assert sorted(rows_of(mix, epoch)) == list(range(sum(sizes)))


def test_a_chapter_has_at_most_so_many_pairs() -> None:
    sizes = [9, 10, 11, 20, 21]
    assert [Mix(parts_of([n]), 1.0, 1, 10).n_chapters for n in sizes] == [1, 1, 2, 2, 3]
    cut = Mix(parts_of([33]), 1.0, 1, 10)
    assert all(8 <= len(cut.rows(0, i)[0]) <= 10 for i in range(4))


def test_epochs_seeds_and_corpora_differ_in_which_pairs_come_first() -> None:
    def first(seed: int, epoch: int, part: int) -> list[int]:
        mix = in_chapters(Mix(parts_of([90, 90]), 1.0, seed), 60)
        return [int(row) - 90 * part for row in mix.rows(epoch, 0)[part]]

    found = [first(*at) for at in ((1, 0, 0), (1, 1, 0), (2, 0, 0), (1, 0, 1))]
    assert first(1, 0, 0) == found[0]
    assert all(len(rows) == 30 for rows in found)
    assert len(set(map(tuple, found))) == 4


def test_a_small_corpus_seen_very_often_takes_no_time() -> None:
    started = time.perf_counter()
    mix = Mix(parts_of([1, 3, 2_000_000], [1e99, 1.0, 1.0]), 1.0, 1)
    assert mix.counts == [2_000_002, 1, 1]
    assert [len(rows) for rows in mix.rows(5, 0)] == mix.counts
    assert time.perf_counter() - started < 1


# Permutations


@pytest.mark.parametrize("size", [1, 2, 3, 1_000, *LARGE])
def test_a_permutation_holds_all_once_and_any_stretch_of_it_is_found_by_itself(size: int) -> None:
    whole = permuted(size, [1, 2], 0, size)
    assert np.array_equal(np.sort(whole), np.arange(size))
    for start, stop in ((0, 1), (size // 3, size // 2), (size - 1, size), (size // 2, size // 2)):
        assert np.array_equal(permuted(size, [1, 2], start, stop), whole[start:stop])
    assert whole.dtype == np.int64


@given(st.integers(SHUFFLED + 1, 2**62), st.integers(0, 2**60), st.integers(0, 2**63))
def test_permutations_of_any_size_stay_in_their_range_and_are_one_to_one(
    size: int, place: int, seed: int
) -> None:
    start = place % (size - 50)
    found = permuted(size, [seed], start, start + 50)
    assert len(set(found.tolist())) == 50
    assert 0 <= found.min() <= found.max() < size


def chi_square(counts: np.ndarray) -> float:
    """How many standard deviations the statistic lies above its mean, all cells being as likely."""
    expected = counts.mean()
    n = counts.size - 1
    return float((((counts - expected) ** 2 / expected).sum() - n) / math.sqrt(2 * n))


@pytest.mark.parametrize("size", [SHUFFLED + 1, 100_003, 2**18])
def test_permutations_look_drawn_at_random(size: int) -> None:
    """Where each number comes, after which other one, and how two permutations compare."""
    places, cells = np.arange(size), 16
    joint, low, steps, pairs = (np.zeros(cells**2) for _ in range(4))
    same, n = 0, 20
    before = permuted(size, [9, 0], 0, size)
    for turn in range(1, n + 1):
        found = permuted(size, [9, turn], 0, size)
        cell = found * cells // size
        joint += np.bincount(places * cells // size * cells + cell, minlength=cells**2)
        low += np.bincount(places % cells * cells + found % cells, minlength=cells**2)
        steps += np.bincount(cell[:-1] * cells + cell[1:], minlength=cells**2)
        pairs += np.bincount(before * cells // size * cells + cell, minlength=cells**2)
        same += int((found == before).sum()) + int((found == places).sum())
        before = found
    for counts in (joint, low, steps, pairs):
        assert abs(chi_square(counts)) < 5
    assert same == pytest.approx(2 * n, abs=5 * math.sqrt(2 * n))  # one in the mean, as of Poisson


def test_a_stretch_of_a_huge_permutation_is_a_uniform_sample() -> None:
    size, n = 3_000_000_000, 200_000
    found = permuted(size, [1], 10**9, 10**9 + n)
    for cells in (found * 256 // size, found % 256, found // 7 % 256, found // 4096 % 256):
        counts = np.bincount(cells, minlength=256)
        assert abs(chi_square(counts)) < 5


def test_the_chapter_of_a_huge_corpus_is_found_fast_and_in_little_memory() -> None:
    mix = Mix(parts_of([50_000_000, 2_000_000_000, 1_000_000], [1.0, 1.0, 30.0]), 2.0, 1)
    started = time.perf_counter()
    tracemalloc.start()
    rows = mix.rows(4, mix.n_chapters // 2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(map(len, rows)) == pytest.approx(mixing.CHAPTER, rel=0.01)
    assert peak < 100e6
    assert time.perf_counter() - started < 5
