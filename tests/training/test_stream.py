"""Properties of the order of the data."""

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing.process import BaseProcess
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from transformer.config import ParallelConfig, TrainSettings
from transformer.text.batching import Batch, Drawn, Rows, Split, make_loader
from transformer.text.dataset import EncodedSplit, PreparedData, prepare_data
from transformer.text.mixing import Part
from transformer.training.chapters import Chapter, Chapters, Corpora, Leg
from transformer.training.distributed import Processes
from transformer.training.stream import Position, UpdateBatches, UpdateStream

Change = Callable[..., TrainSettings]


@pytest.fixture
def data(settings: TrainSettings) -> PreparedData:
    return prepare_data(settings.data, settings.tokenizer, settings.cleaning)


@dataclass
class Mixed:
    """The same pairs as parts of several corpora."""

    train: EncodedSplit
    parts: list[Part]


@pytest.fixture(params=["whole", "mixed"])
def corpora(
    request: pytest.FixtureRequest, data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> Corpora:
    """One corpus in one chapter, or several of unequal weight in several."""
    if request.param == "whole":
        return data
    monkeypatch.setattr("transformer.training.chapters.CHAPTER", 17)
    return Mixed(data.train, [Part("a", 0, 10, 0.5), Part("b", 10, 27, 1.0), Part("c", 37, 3, 6.0)])


def stream(
    data: Corpora, settings: TrainSettings, rank: int = 0, count: int = 1, budget: int = 100
) -> UpdateStream:
    processes = Processes(rank, count)
    return UpdateStream(data, settings, budget, on_gpu=False, processes=processes)


def ahead() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "ahead"]


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
        and a.n_pairs == b.n_pairs
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
    settings: TrainSettings, change: Change, corpora: Corpora, accumulate: int
) -> None:
    settings = change(settings, training__accumulate=accumulate)
    updates = list(islice(stream(corpora, settings).updates(Position()), 12))
    for i, update in enumerate(updates[:-1]):
        position = Position.from_state(update.position.state())
        fresh = stream(corpora, settings).updates(position)
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
        n_batches = whole.estimate()[0]
        assert n_batches > 3
        assert sizes[:-1] == [accumulate] * (len(epoch) - 1)
        assert sizes[-1] == (n_batches - 1) % accumulate + 1
        assert sorted(rows_of(epoch)) == list(range(len(data.train)))
        assert sum(update.n_target_tokens for update in epoch) == data.train.target_lengths.sum()
        assert sum(update.n_source_tokens for update in epoch) == data.train.source_lengths.sum()
        assert epoch[-1].position == Position(number * len(epoch), number)
        assert epoch[-1].epochs == number


def test_the_counts_are_those_of_the_batches(settings: TrainSettings, corpora: Corpora) -> None:
    for update in islice(stream(corpora, settings).updates(Position()), 5):
        (work,) = update.work
        assert update.n_padded_tokens == work.batch.source.numel() + work.batch.labels.numel()
        assert update.n_target_tokens == work.batch.n_target_tokens
        assert update.n_source_tokens == work.batch.n_source_tokens


@pytest.mark.parametrize("count", [2, 3, 50])
def test_processes_share_the_batches_of_one_that_accumulates_as_many(
    settings: TrainSettings, change: Change, corpora: Corpora, count: int
) -> None:
    alone = stream(corpora, change(settings, training__accumulate=2 * count)).updates(Position())
    settings = change(settings, training__accumulate=2)
    together = [stream(corpora, settings, rank, count).updates(Position()) for rank in range(count)]
    for _ in range(8):
        expected, found = next(alone), [next(updates) for updates in together]
        assert {update.position for update in found} == {expected.position}
        assert {update.n_target_tokens for update in found} == {expected.n_target_tokens}
        seeds = sorted(work.seed for update in found for work in update.work)
        assert seeds == sorted(work.seed for work in expected.work)
        assert sorted(rows_of(found)) == sorted(rows_of([expected]))


def test_processes_that_compute_in_step_have_equally_many_batches(
    settings: TrainSettings, corpora: Corpora
) -> None:
    sharded = replace(settings.training, parallel=ParallelConfig(shard=True))
    settings = replace(settings, training=sharded)
    together = [stream(corpora, settings, rank, 4).updates(Position()) for rank in range(4)]
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
        made = stream(data, change(settings, seed=seed)).chapters
        return [batch.tolist() for batch in made.plan(epoch, 0, [Leg(100, 0)]).plan]

    assert rows(1, 0) == rows(1, 0)
    assert rows(1, 0) != rows(1, 1)
    assert rows(1, 0) != rows(2, 0)


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_neither_workers_nor_a_thread_ahead_change_anything(
    settings: TrainSettings, change: Change, corpora: Corpora, workers: int, prefetch: int
) -> None:
    settings = change(settings, training__accumulate=2)
    here = list(islice(stream(corpora, settings).updates(Position()), 20))
    assert here[-1].position.epoch >= 2
    settings = change(settings, data__workers=workers, data__prefetch=prefetch)
    for done in (0, 4):
        position = here[done - 1].position if done else Position()
        aside = stream(corpora, settings).updates(position)
        assert all(same(a, b) for a, b in zip(here[done:], aside, strict=False))
        aside.close()


def test_a_thread_ahead_is_for_gpus_unless_the_settings_ask_for_it(
    settings: TrainSettings, change: Change, data: PreparedData
) -> None:
    def prefetch(settings: TrainSettings, *, on_gpu: bool) -> int:
        made = UpdateStream(data, settings, 100, on_gpu=on_gpu, processes=Processes())
        return made.prefetch

    assert (prefetch(settings, on_gpu=False), prefetch(settings, on_gpu=True)) == (0, 4)
    for n in (0, 2):
        asked = change(settings, data__prefetch=n)
        assert prefetch(asked, on_gpu=False) == prefetch(asked, on_gpu=True) == n


def test_the_next_epoch_is_planned_while_this_one_begins(
    settings: TrainSettings, change: Change, data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: dict[int, str] = {}
    plan = Chapters.plan

    def spied(self: Chapters, epoch: int, chapter: int, legs: Sequence[Leg]) -> Chapter:
        planned[epoch] = threading.current_thread().name
        return plan(self, epoch, chapter, legs)

    monkeypatch.setattr(Chapters, "plan", spied)
    updates = stream(data, change(settings, data__prefetch=1)).updates(Position())
    assert next(updates).position.epoch == 0
    end = time.monotonic() + 20
    while 1 not in planned and time.monotonic() < end:
        time.sleep(0.002)
    assert planned[1] != "MainThread"
    updates.close()
    assert not ahead()


@pytest.mark.parametrize("prefetch", [0, 2])
def test_workers_are_started_once_and_not_by_a_thread(
    settings: TrainSettings,
    change: Change,
    data: PreparedData,
    monkeypatch: pytest.MonkeyPatch,
    prefetch: int,
) -> None:
    starters: list[tuple[str, int]] = []
    start = BaseProcess.start

    def spied(self: BaseProcess) -> None:
        starters.append((threading.current_thread().name, len(threading.enumerate())))
        start(self)

    monkeypatch.setattr(BaseProcess, "start", spied)
    settings = change(settings, data__workers=2, data__prefetch=prefetch)
    updates = stream(data, settings).updates(Position())
    assert sum(update.position.epoch for update in islice(updates, 20)) > 0
    updates.close()
    assert [name for name, _ in starters] == ["MainThread"] * 2
    assert all(n == starters[0][1] for _, n in starters)
    assert not multiprocessing.active_children()


def test_workers_are_started_when_the_threads_of_closed_updates_have_ended(
    settings: TrainSettings, change: Change, data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformer.training.loading.END_S", 0.02)
    plan, start = Chapters.plan, BaseProcess.start
    alive: list[int] = []

    def slow(self: Chapters, epoch: int, chapter: int, legs: Sequence[Leg]) -> Chapter:
        time.sleep(0.2)
        return plan(self, epoch, chapter, legs)

    def spied(self: BaseProcess) -> None:
        alive.append(len(ahead()))
        start(self)

    monkeypatch.setattr(Chapters, "plan", slow)
    monkeypatch.setattr(BaseProcess, "start", spied)
    made = stream(data, change(settings, data__workers=1, data__prefetch=2))
    updates = made.updates(Position())
    position = next(updates).position
    updates.close()
    assert ahead(), "planning must take longer than closing waits"
    made.updates(position).close()
    assert alive == [0, 0]


def test_batches_copied_ahead_are_received_by_the_consumer(
    settings: TrainSettings, change: Change, data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: dict[int, Batch] = {}
    received: list[tuple[int, str]] = []

    class Pretended:
        def __init__(self, _: torch.device) -> None:
            pass

        def send(self, batches: Iterator[Batch]) -> Iterator[Batch]:
            for batch in batches:
                sent[id(batch)] = batch
                yield batch

        def receive(self, batch: Batch) -> None:
            received.append((id(batch), threading.current_thread().name))

    monkeypatch.setattr("transformer.training.stream.Upload", Pretended)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    made = stream(data, change(settings, data__prefetch=2, training__accumulate=2))
    made.on_gpu = True
    monkeypatch.setattr("transformer.training.stream.make_loader", unpinned)
    updates = made.updates(Position())
    for update in islice(updates, 5):
        own = [(id(work.batch), "MainThread") for work in update.work]
        assert received[-len(own) :] == own
        assert all(number in sent for number, _ in own)
    updates.close()


def unpinned(split: Split, plan: Iterable[Rows | Drawn], *, workers: int, pin_memory: bool) -> Any:
    """A loader for where memory cannot be pinned."""
    assert pin_memory
    return make_loader(split, plan, workers=workers)


def test_reading_data_does_not_draw_from_the_global_generator(
    settings: TrainSettings, change: Change, data: PreparedData
) -> None:
    before = torch.get_rng_state()
    for workers, prefetch in ((0, 0), (0, 2), (1, 2)):
        made = stream(data, change(settings, data__workers=workers, data__prefetch=prefetch))
        list(islice(made.updates(Position()), 12))
    assert torch.equal(torch.get_rng_state(), before)
