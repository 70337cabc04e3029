"""Plans of an epoch: what is in a batch, and in which order."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from transformer.text.batching import (
    Batch,
    Drawn,
    Lengths,
    Plan,
    Rows,
    grid_length,
    make_loader,
    measure,
    pad,
    plan_epoch,
    plan_in_order,
)
from transformer.text.tokenizer import BOS_ID, EOS_ID, PAD_ID

LENGTHS = st.integers(1, 60).flatmap(
    lambda n: st.tuples(*(arrays(np.int32, n, elements=st.integers(1, 300)) for _ in range(2)))
)
BUDGET = st.integers(1, 2_000)


class Numbers:
    """A split whose batches hold the numbers of their rows."""

    def batch(self, rows: Rows, epoch: int = 0) -> Batch:
        ids = torch.from_numpy(rows)[:, None] + 1000 * epoch
        links = torch.cat([torch.arange(len(rows))[:, None], torch.zeros_like(ids), ids], dim=1)
        n = len(rows)
        return Batch(ids, ids + 1, ids + 2, torch.arange(n), n, n, links)


def lengths(n: int, seed: int = 0) -> tuple[Lengths, Lengths]:
    """Lengths like those of sentences and their translations."""
    generator = np.random.default_rng(seed)
    source = np.clip(generator.lognormal(2.7, 0.5, n), 1, 200)
    target = np.clip(source * generator.lognormal(0, 0.15, n), 1, 200)
    return source.astype(np.int32), target.astype(np.int32)


def as_lists(plan: Plan) -> list[list[int]]:
    return [rows.tolist() for rows in plan]


@given(st.integers(1, 100_000))
def test_the_grid_rounds_up_by_at_most_an_eighth(n: int) -> None:
    assert n <= grid_length(n) <= n * 9 / 8
    assert grid_length(grid_length(n)) == grid_length(n) <= grid_length(n + 1)


def test_the_grid_is_exact_to_16_and_then_has_8_steps_an_octave() -> None:
    assert [grid_length(n) for n in range(17)] == list(range(17))
    for octave in (16, 32, 64, 128):
        steps = {grid_length(n) for n in range(octave + 1, 2 * octave + 1)}
        assert steps == set(range(octave + octave // 8, 2 * octave + 1, octave // 8))


@given(LENGTHS, BUDGET, st.integers(0, 2**40), st.integers(0, 1000))
def test_every_row_comes_exactly_once_within_the_budget(
    pair: tuple[Lengths, Lengths], batch_tokens: int, seed: int, epoch: int
) -> None:
    for plan in (plan_epoch(*pair, batch_tokens, seed, epoch), plan_in_order(*pair, batch_tokens)):
        assert sorted(np.concatenate(plan).tolist()) == list(range(len(pair[0])))
        for rows in plan:
            longest = max(grid_length(int(side[rows].max())) for side in pair)
            assert len(rows) == 1 or len(rows) * longest <= batch_tokens


@given(LENGTHS, BUDGET)
def test_no_batch_could_take_in_the_next(pair: tuple[Lengths, Lengths], batch_tokens: int) -> None:
    plan = plan_in_order(*pair, batch_tokens)
    for rows, following in itertools.pairwise(plan):
        more = np.append(rows, following[0])
        longest = max(grid_length(int(side[more].max())) for side in pair)
        assert len(more) * longest > batch_tokens


def test_the_order_depends_on_seed_and_epoch_only() -> None:
    pair = lengths(500)
    plan = as_lists(plan_epoch(*pair, 500, 1, 2))
    np.random.default_rng(0)
    torch.manual_seed(7)
    assert as_lists(plan_epoch(*pair, 500, 1, 2)) == plan
    others = [as_lists(plan_epoch(*pair, 500, *other)) for other in ((1, 3), (2, 2), (2, 1))]
    assert plan not in others
    # Not only the order of the batches: also which rows are together.
    batches = {frozenset(rows) for rows in plan}
    assert all(batches != {frozenset(rows) for rows in other} for other in others)


@given(
    LENGTHS,
    st.lists(st.tuples(BUDGET, st.integers(0, 10)), min_size=1, max_size=5),
    st.integers(0, 2**40),
    st.integers(0, 1000),
)
def test_an_epoch_planned_anew_midway_still_visits_every_row_exactly_once(
    pair: tuple[Lengths, Lengths], legs: list[tuple[int, int]], seed: int, epoch: int
) -> None:
    left = np.arange(len(pair[0]))
    seen: list[int] = []
    for leg, (batch_tokens, n_batches) in enumerate(legs):
        last = leg == len(legs) - 1
        plan = plan_epoch(*pair, batch_tokens, seed, epoch, rows=left, leg=leg)
        for rows in plan if last else plan[:n_batches]:
            longest = max(grid_length(int(side[rows].max())) for side in pair)
            assert len(rows) == 1 or len(rows) * longest <= batch_tokens
            seen += rows.tolist()
        left = np.setdiff1d(np.arange(len(pair[0])), seen)
    assert sorted(seen) == list(range(len(pair[0])))


def test_the_plan_of_what_is_left_depends_on_which_rows_and_on_the_leg() -> None:
    pair = lengths(500)
    every = np.arange(500)
    whole = as_lists(plan_epoch(*pair, 500, 1, 2))
    assert as_lists(plan_epoch(*pair, 500, 1, 2, rows=every)) == whole
    assert as_lists(plan_epoch(*pair, 500, 1, 2, rows=every[::-1])) == whole
    legs = [as_lists(plan_epoch(*pair, 500, 1, 2, rows=every, leg=leg)) for leg in range(3)]
    assert legs[0] == whole
    assert legs[1] != legs[0] != legs[2] != legs[1]
    none = plan_epoch(*pair, 500, 1, 2, rows=every[:0], leg=1)
    assert none == []


def test_the_chapters_of_an_epoch_and_their_legs_have_orders_of_their_own() -> None:
    pair = lengths(500)
    plans = [
        as_lists(plan_epoch(*pair, 500, 1, epoch, leg=leg, chapter=chapter))
        for epoch, leg, chapter in itertools.product(range(2), range(3), range(3))
    ]
    assert all(a != b for a, b in itertools.combinations(plans, 2))
    assert plans[0] == as_lists(plan_epoch(*pair, 500, 1, 0))


def test_rows_that_come_several_times_are_planned_as_often() -> None:
    pair = lengths(100)
    several = np.repeat(np.arange(100), np.arange(100) % 4)
    found = np.concatenate(plan_epoch(*pair, 500, 1, 2, rows=several, chapter=3))
    assert sorted(found.tolist()) == several.tolist()


def test_a_plan_is_what_it_always_was() -> None:
    # Runs that were begun with an earlier version go on in the same order.
    pair = lengths(12)
    found = as_lists(plan_epoch(*pair, 60, 1, 2))
    assert found == [[1, 0, 3], [7, 6], [11, 5, 2], [9, 8, 10, 4]]


def slow_plan(source: Lengths, target: Lengths, batch_tokens: int) -> list[list[int]]:
    """What plan_in_order is to give, pair by pair."""
    widths = sorted({grid_length(n) for n in range(int(max(source.max(), target.max())) + 1)})

    def key(row: int) -> tuple[int, int]:
        s, t = grid_length(int(source[row])), grid_length(int(target[row]))
        return max(s, t), (s - t) * (1 if widths.index(max(s, t)) % 2 == 0 else -1)

    plan: list[list[int]] = []
    for row in sorted(range(len(source)), key=key):
        if not plan or (len(plan[-1]) + 1) * key(row)[0] > batch_tokens:
            plan.append([])
        plan[-1].append(row)
    return plan


@pytest.mark.parametrize("n", [10, 40, 800])
@pytest.mark.parametrize("batch_tokens", [1, 100, 700, 5_000])
def test_a_plan_is_that_of_a_sort_and_a_walk_over_the_pairs(n: int, batch_tokens: int) -> None:
    for seed in range(3):
        pair = lengths(n, seed)
        assert as_lists(plan_in_order(*pair, batch_tokens)) == slow_plan(*pair, batch_tokens)


def test_batches_come_in_no_order_of_length() -> None:
    source, target = lengths(5_000)
    longest = [int(source[rows].max()) for rows in plan_epoch(source, target, 500, 1, 1)]
    halves = np.array_split(np.array(longest), 2)
    assert abs(halves[0].mean() - halves[1].mean()) < 0.2 * np.mean(longest)


def test_validation_goes_from_short_to_long() -> None:
    source, target = lengths(1_000)
    longest = [
        max(source[rows].max(), target[rows].max()) for rows in plan_in_order(source, target, 500)
    ]
    assert longest == sorted(longest)


def test_little_is_padding() -> None:
    pair = lengths(20_000)
    assert measure(plan_epoch(*pair, 4_096, 1, 1), *pair).padding_share < 0.07


def test_the_share_of_padding_is_counted_on_both_sides() -> None:
    source, target = np.array([10, 10], dtype=np.int32), np.array([5, 10], dtype=np.int32)
    assert measure([np.array([0, 1])], source, target).padding_share == pytest.approx(5 / 40)
    assert measure([np.array([0]), np.array([1])], source, target).padding_share == 0
    longer = np.array([17], dtype=np.int32)  # 18 on the grid
    assert measure([np.array([0])], longer, longer).padding_share == pytest.approx(1 / 18)


@given(LENGTHS, BUDGET)
def test_sizes_are_those_of_the_batches(pair: tuple[Lengths, Lengths], batch_tokens: int) -> None:
    source, target = pair
    plan = plan_epoch(*pair, batch_tokens, 1, 1)
    sizes = measure(plan, *pair)
    assert sizes.rows.tolist() == [len(rows) for rows in plan]
    assert sizes.source_widths.tolist() == [grid_length(int(source[r].max())) for r in plan]
    assert sizes.target_widths.tolist() == [grid_length(int(target[r].max())) for r in plan]
    assert sizes.source_tokens.tolist() == [int(source[r].sum()) for r in plan]
    assert sizes.target_tokens.tolist() == [int(target[r].sum()) for r in plan]
    padded = [
        len(r) * (grid_length(int(source[r].max())) + grid_length(int(target[r].max())))
        for r in plan
    ]
    assert sizes.padded_tokens.tolist() == padded


@given(LENGTHS, BUDGET)
def test_all_epochs_have_the_same_shapes(pair: tuple[Lengths, Lengths], batch_tokens: int) -> None:
    plans = [plan_epoch(*pair, batch_tokens, 1, epoch) for epoch in range(3)]
    expected = sorted(
        (len(r), *(grid_length(int(side[r].max())) for side in pair)) for r in plans[0]
    )
    assert measure(plans[0], *pair).shapes == set(expected)
    for plan in plans[1:]:
        assert measure(plan, *pair).shapes == set(expected)


def test_batches_may_be_made_of_an_endless_plan() -> None:
    for workers in (0, 1):
        endless = (np.arange(n, n + 3) for n in itertools.count())
        batches = itertools.islice(make_loader(Numbers(), endless, workers=workers), 12)
        assert [batch.source[0, 0].item() for batch in batches] == list(range(12))


def test_batches_are_drawn_for_the_epoch_that_the_plan_says() -> None:
    for workers in (0, 1):
        plan: list[Rows | Drawn] = [(np.arange(3), 0), np.arange(2), (np.arange(1, 3), 7)]
        batches = list(make_loader(Numbers(), plan, workers=workers))
        found = [batch.source[:, 0].tolist() for batch in batches]
        assert found == [[0, 1, 2], [0, 1], [7001, 7002]]


def test_a_plan_of_nothing_is_empty() -> None:
    nothing = np.array([], dtype=np.int32)
    assert plan_epoch(nothing, nothing, 100, 1, 1) == []
    assert measure([], nothing, nothing).padding_share == 0
    assert measure([], nothing, nothing).shapes == set()


@given(st.lists(st.lists(st.integers(1, 9), max_size=5), min_size=1))
def test_padding_is_on_the_right(rows: list[list[int]]) -> None:
    padded = pad(rows, 6)
    assert padded.shape == (len(rows), 6)
    assert padded.dtype == torch.int64
    for ids, row in zip(rows, padded.tolist(), strict=True):
        assert row == ids + [PAD_ID] * (6 - len(ids))


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("start", [0, 3])
def test_a_loader_gives_the_batches_of_the_plan_in_order(workers: int, start: int) -> None:
    plan = plan_epoch(*lengths(300), 500, 1, 1)
    loader = make_loader(Numbers(), plan[start:], workers=workers)
    for _ in range(2):  # a loader may be walked through again
        batches = list(loader)
        assert [batch.source[:, 0].tolist() for batch in batches] == as_lists(plan[start:])
    assert len(loader) == len(plan) - start
    assert list(make_loader(Numbers(), plan[:0], workers=workers)) == []


def test_a_loader_leaves_the_global_random_state_alone() -> None:
    state = torch.random.get_rng_state()
    for workers in (0, 1):
        list(make_loader(Numbers(), plan_in_order(*lengths(50), 500), workers=workers))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_loader_can_be_left_early() -> None:
    plan = plan_in_order(*lengths(3_000), 500)
    batches = iter(make_loader(Numbers(), plan, workers=2))
    assert next(batches).source[:, 0].tolist() == plan[0].tolist()
    del batches


def test_a_batch_moves_as_a_whole() -> None:
    batch = Numbers().batch(np.arange(3)).to("meta", non_blocking=True)
    tensors = [value for value in vars(batch).values() if isinstance(value, torch.Tensor)]
    assert [tensor.device.type for tensor in tensors] == ["meta"] * 5
    assert (batch.n_source_tokens, batch.n_target_tokens) == (3, 3)
    without = replace(Numbers().batch(np.arange(3)), links=None).to("meta")
    assert without.links is None


ID_PAIRS = st.lists(
    st.tuples(*(st.lists(st.integers(4, 99), max_size=6) for _ in range(2))),
    min_size=2,
    max_size=9,
)


def batch_of(pairs: list[tuple[list[int], list[int]]], links: torch.Tensor | None) -> Batch:
    labels = pad([[*target, EOS_ID] for _, target in pairs], 8)
    return Batch(
        source=pad([[*source, EOS_ID] for source, _ in pairs], 7),
        target=pad([[BOS_ID, *target] for _, target in pairs], 8),
        labels=labels,
        label_positions=(labels.flatten() != PAD_ID).nonzero().squeeze(1),
        n_source_tokens=sum(len(source) + 1 for source, _ in pairs),
        n_target_tokens=sum(len(target) + 1 for _, target in pairs),
        links=links,
    )


@given(ID_PAIRS, st.data())
def test_the_halves_of_a_batch_are_batches_of_its_rows(
    pairs: list[tuple[list[int], list[int]]], data: st.DataObject
) -> None:
    link = st.tuples(st.integers(0, len(pairs) - 1), st.integers(0, 7), st.integers(0, 6))
    drawn = data.draw(st.lists(link, max_size=20))
    middle = (len(pairs) + 1) // 2
    halves = [[(r, t, s) for r, t, s in drawn if r < middle]]
    halves.append([(r - middle, t, s) for r, t, s in drawn if r >= middle])
    with_links = data.draw(st.booleans())

    def tensor(links: list[tuple[int, int, int]]) -> torch.Tensor | None:
        return torch.tensor(links).reshape(-1, 3).long() if with_links else None

    found = batch_of(pairs, tensor(drawn)).split()
    expected = [batch_of(pairs[:middle], tensor(halves[0]))]
    expected.append(batch_of(pairs[middle:], tensor(halves[1])))
    for half, other in zip(found, expected, strict=True):
        for name, value in vars(other).items():
            torch.testing.assert_close(getattr(half, name), value, rtol=0, atol=0)


@given(ID_PAIRS)
def test_the_labels_of_the_halves_are_those_of_the_batch(
    pairs: list[tuple[list[int], list[int]]],
) -> None:
    whole = batch_of(pairs, None)
    halves = whole.split()
    labels = [batch.labels.flatten()[batch.label_positions] for batch in halves]
    assert torch.equal(torch.cat(labels), whole.labels.flatten()[whole.label_positions])
    assert sum(half.n_target_tokens for half in halves) == whole.n_target_tokens
    assert sum(half.n_source_tokens for half in halves) == whole.n_source_tokens


def test_a_batch_of_one_row_is_not_split() -> None:
    with pytest.raises(AssertionError):
        Numbers().batch(np.arange(1)).split()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_are_pinned_for_a_gpu() -> None:
    plan = plan_in_order(*lengths(100), 500)
    for workers in (0, 1):
        for batch in make_loader(Numbers(), plan, workers=workers, pin_memory=True):
            assert batch.source.is_pinned()
            assert batch.target.is_pinned()
            assert batch.labels.is_pinned()
            assert batch.to("cuda", non_blocking=True).labels.is_cuda
