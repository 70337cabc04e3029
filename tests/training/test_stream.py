"""Properties of the order of the data."""

from collections.abc import Callable, Iterator
from itertools import islice

import pytest
import torch

from transformer.config import TrainSettings
from transformer.text.dataset import PreparedData, prepare_data
from transformer.training.stream import Position, UpdateBatches, UpdateStream

Change = Callable[..., TrainSettings]


@pytest.fixture
def data(settings: TrainSettings) -> PreparedData:
    return prepare_data(settings.data, settings.tokenizer)


def epoch_of(updates: Iterator[UpdateBatches]) -> list[UpdateBatches]:
    """The updates up to the end of an epoch."""
    found: list[UpdateBatches] = []
    while not found or found[-1].position.batch:
        found.append(next(updates))
    return found


def same(a: UpdateBatches, b: UpdateBatches) -> bool:
    return (
        a.position == b.position
        and a.epochs == b.epochs
        and len(a.batches) == len(b.batches)
        and all(
            torch.equal(x.source, y.source)
            and torch.equal(x.target, y.target)
            and torch.equal(x.labels, y.labels)
            for x, y in zip(a.batches, b.batches, strict=True)
        )
    )


@pytest.mark.parametrize("accumulate", [1, 2, 3, 100])
def test_from_any_position_on_the_same_updates_follow(
    settings: TrainSettings, change: Change, data: PreparedData, accumulate: int
) -> None:
    settings = change(settings, training__accumulate=accumulate)
    updates = list(islice(UpdateStream(data.train, settings, on_gpu=False).updates(Position()), 12))
    for i, update in enumerate(updates[:-1]):
        fresh = UpdateStream(data.train, settings, on_gpu=False).updates(update.position)
        for later in updates[i + 1 :]:
            assert same(next(fresh), later)


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_an_epoch_holds_every_pair_once_and_keeps_its_last_batches(
    settings: TrainSettings, change: Change, data: PreparedData, accumulate: int
) -> None:
    stream = UpdateStream(
        data.train, change(settings, training__accumulate=accumulate), on_gpu=False
    )
    updates = stream.updates(Position())
    for number in (1, 2):
        epoch = epoch_of(updates)
        sizes = [len(update.batches) for update in epoch]
        n_batches = len(stream.plan(0))
        assert n_batches > 3
        assert sizes[:-1] == [accumulate] * (len(epoch) - 1)
        assert sizes[-1] == (n_batches - 1) % accumulate + 1
        n_pairs = sum(len(batch.source) for update in epoch for batch in update.batches)
        n_tokens = sum(batch.n_target_tokens for update in epoch for batch in update.batches)
        assert n_pairs == len(data.train)
        assert n_tokens == data.train.target_lengths.sum()
        assert epoch[-1].position == Position(number * len(epoch), number, 0)
        assert epoch[-1].epochs == number


def test_epochs_differ_in_their_order_and_so_do_seeds(
    settings: TrainSettings, change: Change, data: PreparedData
) -> None:
    def rows(seed: int, epoch: int) -> list[list[int]]:
        stream = UpdateStream(data.train, change(settings, seed=seed), on_gpu=False)
        return [batch.tolist() for batch in stream.plan(epoch)]

    assert rows(1, 0) == rows(1, 0)
    assert rows(1, 0) != rows(1, 1)
    assert rows(1, 0) != rows(2, 0)


def test_the_number_of_loaders_changes_nothing(
    settings: TrainSettings, change: Change, data: PreparedData
) -> None:
    here = UpdateStream(data.train, settings, on_gpu=False)
    aside = UpdateStream(data.train, change(settings, data__workers=1), on_gpu=False)
    pairs = zip(here.updates(Position()), aside.updates(Position()), strict=False)
    assert all(same(a, b) for a, b in islice(pairs, 3))


def test_reading_data_does_not_draw_from_the_generator_of_the_dropout(
    settings: TrainSettings, data: PreparedData
) -> None:
    before = torch.get_rng_state()
    list(islice(UpdateStream(data.train, settings, on_gpu=False).updates(Position()), 12))
    assert torch.equal(torch.get_rng_state(), before)
