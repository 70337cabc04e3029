"""Properties of the order of the data."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice

import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from transformer.config import ParallelConfig, TrainSettings
from transformer.text.dataset import PreparedData, prepare_data
from transformer.training.distributed import Processes
from transformer.training.stream import Position, UpdateBatches, UpdateStream

Change = Callable[..., TrainSettings]


@pytest.fixture
def data(settings: TrainSettings) -> PreparedData:
    return prepare_data(settings.data, settings.tokenizer)


def stream(
    data: PreparedData, settings: TrainSettings, rank: int = 0, count: int = 1, budget: int = 100
) -> UpdateStream:
    processes = Processes(rank, count)
    return UpdateStream(data.train, settings, budget, on_gpu=False, processes=processes)


def epoch_of(updates: Iterator[UpdateBatches]) -> list[UpdateBatches]:
    """The updates up to the end of an epoch."""
    found: list[UpdateBatches] = []
    while not found or found[-1].position.legs:
        found.append(next(updates))
    return found


def rows_of(updates: Iterable[UpdateBatches]) -> list[int]:
    return [int(row) for update in updates for work in update.work for row in work.rows]


def same(a: UpdateBatches, b: UpdateBatches) -> bool:
    counts = [(x.n_source_tokens, x.n_target_tokens, x.n_padded_tokens) for x in (a, b)]
    return (
        a.position == b.position
        and a.epochs == b.epochs
        and counts[0] == counts[1]
        and len(a.work) == len(b.work)
        and all(
            x.seed == y.seed
            and x.rows.tolist() == y.rows.tolist()
            and torch.equal(x.batch.source, y.batch.source)
            and torch.equal(x.batch.target, y.batch.target)
            and torch.equal(x.batch.labels, y.batch.labels)
            for x, y in zip(a.work, b.work, strict=True)
        )
    )


@pytest.mark.parametrize("accumulate", [1, 2, 3, 100])
def test_from_any_position_on_the_same_updates_follow(
    settings: TrainSettings, change: Change, data: PreparedData, accumulate: int
) -> None:
    settings = change(settings, training__accumulate=accumulate)
    updates = list(islice(stream(data, settings).updates(Position()), 12))
    for i, update in enumerate(updates[:-1]):
        position = Position.from_state(update.position.state())
        fresh = stream(data, settings).updates(position)
        for later in updates[i + 1 :]:
            assert same(next(fresh), later)


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_an_epoch_holds_every_pair_once_and_keeps_its_last_batches(
    settings: TrainSettings, change: Change, data: PreparedData, accumulate: int
) -> None:
    whole = stream(data, change(settings, training__accumulate=accumulate))
    updates = whole.updates(Position())
    for number in (1, 2):
        epoch = epoch_of(updates)
        sizes = [len(update.work) for update in epoch]
        n_batches = len(whole.plan(0))
        assert n_batches > 3
        assert sizes[:-1] == [accumulate] * (len(epoch) - 1)
        assert sizes[-1] == (n_batches - 1) % accumulate + 1
        assert sorted(rows_of(epoch)) == list(range(len(data.train)))
        assert sum(update.n_target_tokens for update in epoch) == data.train.target_lengths.sum()
        assert sum(update.n_source_tokens for update in epoch) == data.train.source_lengths.sum()
        assert epoch[-1].position == Position(number * len(epoch), number)
        assert epoch[-1].epochs == number


def test_the_counts_are_those_of_the_batches(settings: TrainSettings, data: PreparedData) -> None:
    for update in islice(stream(data, settings).updates(Position()), 5):
        (work,) = update.work
        assert update.n_padded_tokens == work.batch.source.numel() + work.batch.labels.numel()
        assert update.n_target_tokens == work.batch.n_target_tokens
        assert update.n_source_tokens == work.batch.n_source_tokens


@pytest.mark.parametrize("count", [2, 3, 50])
def test_processes_share_the_batches_of_one_that_accumulates_as_many(
    settings: TrainSettings, change: Change, data: PreparedData, count: int
) -> None:
    alone = stream(data, change(settings, training__accumulate=2 * count)).updates(Position())
    settings = change(settings, training__accumulate=2)
    together = [stream(data, settings, rank, count).updates(Position()) for rank in range(count)]
    for _ in range(8):
        expected, found = next(alone), [next(updates) for updates in together]
        assert {update.position for update in found} == {expected.position}
        assert {update.n_target_tokens for update in found} == {expected.n_target_tokens}
        seeds = sorted(work.seed for update in found for work in update.work)
        assert seeds == sorted(work.seed for work in expected.work)
        assert sorted(rows_of(found)) == sorted(rows_of([expected]))


def test_processes_that_compute_in_step_have_equally_many_batches(
    settings: TrainSettings, data: PreparedData
) -> None:
    sharded = replace(settings.training, parallel=ParallelConfig(shard=True))
    settings = replace(settings, training=sharded)
    together = [stream(data, settings, rank, 4).updates(Position()) for rank in range(4)]
    padded = 0
    for _ in range(6):
        found = [next(updates) for updates in together]
        assert len({len(update.work) for update in found}) == 1
        padded += sum(not work.counts for update in found for work in update.work)
        counted = [work for update in found for work in update.work if work.counts]
        assert sum(work.batch.n_target_tokens for work in counted) == found[0].n_target_tokens
    assert padded, "the last update of an epoch must lack batches here"


@given(draw=st.data())
@settings_of_hypothesis(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_an_epoch_is_whole_however_budget_processes_and_accumulation_change(
    settings: TrainSettings, change: Change, data: PreparedData, draw: st.DataObject
) -> None:
    position = Position()
    seen: list[int] = []
    seeds: list[int] = []
    while not position.epoch:
        budget = draw.draw(st.sampled_from([40, 100, 150]))
        count, accumulate = draw.draw(st.integers(1, 3)), draw.draw(st.integers(1, 3))
        changed = change(settings, training__accumulate=accumulate)
        ranks = [stream(data, changed, rank, count, budget) for rank in range(count)]
        walks = [each.updates(position) for each in ranks]
        for _ in range(draw.draw(st.integers(1, 3))):
            updates = [next(walk) for walk in walks]
            seen += rows_of(updates)
            seeds += [work.seed for update in updates for work in update.work]
            position = Position.from_state(updates[0].position.state())
            if position.epoch:
                break
    assert sorted(seen) == list(range(len(data.train)))
    assert len(set(seeds)) == len(seeds)


def test_epochs_differ_in_their_order_and_so_do_seeds(
    settings: TrainSettings, change: Change, data: PreparedData
) -> None:
    def rows(seed: int, epoch: int) -> list[list[int]]:
        plan = stream(data, change(settings, seed=seed)).plan(epoch)
        return [batch.tolist() for batch in plan]

    assert rows(1, 0) == rows(1, 0)
    assert rows(1, 0) != rows(1, 1)
    assert rows(1, 0) != rows(2, 0)


def test_the_number_of_loaders_changes_nothing(
    settings: TrainSettings, change: Change, data: PreparedData
) -> None:
    here, aside = stream(data, settings), stream(data, change(settings, data__workers=1))
    pairs = zip(here.updates(Position()), aside.updates(Position()), strict=False)
    assert all(same(a, b) for a, b in islice(pairs, 3))


def test_reading_data_does_not_draw_from_the_global_generator(
    settings: TrainSettings, data: PreparedData
) -> None:
    before = torch.get_rng_state()
    list(islice(stream(data, settings).updates(Position()), 12))
    assert torch.equal(torch.get_rng_state(), before)
