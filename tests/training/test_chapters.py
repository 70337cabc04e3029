"""Properties of epochs of mixed corpora, in chapters."""

import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from transformer.config import FilesConfig, TrainSettings
from transformer.text import mixing
from transformer.text.batching import Batch, Lengths, Rows, grid_length, plan_epoch
from transformer.text.mixing import Part
from transformer.training.chapters import Chapters, Leg
from transformer.training.distributed import Processes
from transformer.training.stream import Position, UpdateBatches, UpdateStream

BUDGETS = [30, 100, 700]


class Toy:
    """Pairs of which batches hold the numbers; drawn pieces make some a piece longer an epoch."""

    def __init__(self, n: int, *, sampled: bool = False) -> None:
        generator = np.random.default_rng(n)
        self.source_lengths = generator.integers(1, 40, n, dtype=np.int32)
        self.target_lengths = generator.integers(1, 40, n, dtype=np.int32)
        self.sampled = sampled

    def __len__(self) -> int:
        return len(self.source_lengths)

    def lengths(self, rows: Rows, epoch: int) -> tuple[Lengths, Lengths]:
        more = ((rows + epoch) % 3 if self.sampled else 0 * rows).astype(np.int32)
        return self.source_lengths[rows] + more, self.target_lengths[rows] + more

    def batch(self, rows: Rows, epoch: int = 0) -> Batch:
        source, target = self.lengths(rows, epoch)
        S, T = (grid_length(int(side.max())) for side in (source, target))
        ids = torch.from_numpy(rows + 100_000 * epoch)[:, None]
        labels = ids.expand(-1, T)
        n = int(source.sum()), int(target.sum())
        return Batch(ids.expand(-1, S), labels, labels, torch.arange(n[1]), *n)


@dataclass(frozen=True)
class Mixed:
    """Several corpora, in chapters of about so many pairs."""

    train: Toy
    parts: list[Part]
    temperature: float = 1.0
    chapter: int = mixing.CHAPTER
    seed: int = 1


@st.composite
def mixes(draw: st.DrawFn) -> Mixed:
    sizes = draw(st.lists(st.integers(1, 50), min_size=1, max_size=4))
    firsts = np.cumsum([0, *sizes]).tolist()
    weight = st.sampled_from([0.01, 0.5, 1.0, 3.0, 20.0])
    parts = [Part(f"part {i}", firsts[i], n, draw(weight)) for i, n in enumerate(sizes)]
    sampled = draw(st.booleans())
    train = Toy(sum(sizes), sampled=sampled)
    temperature = draw(st.sampled_from([1.0, 2.0, 100.0]))
    return Mixed(train, parts, temperature, draw(st.integers(3, 60)), draw(st.integers(0, 2**40)))


@st.composite
def layouts(draw: st.DrawFn) -> tuple[int, int, int]:
    """Processes, accumulated batches, and updates made ahead."""
    return draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.sampled_from([0, 0, 2]))


def settings_for(
    mix: Mixed, accumulate: int = 1, prefetch: int = 0, workers: int = 0
) -> TrainSettings:
    data = FilesConfig(source="xx", target="yy", train="a", valid="b", prefetch=prefetch)
    data = replace(data, workers=workers, temperature=mix.temperature)
    settings = TrainSettings(data=data, seed=mix.seed)
    return replace(settings, training=replace(settings.training, accumulate=accumulate))


def streams(
    mix: Mixed, budget: int, layout: tuple[int, int, int] = (1, 1, 0), workers: int = 0
) -> list[UpdateStream]:
    """The streams of all processes."""
    count, accumulate, prefetch = layout
    settings = settings_for(mix, accumulate, prefetch, workers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transformer.training.chapters.CHAPTER", mix.chapter)
        patch.setattr("transformer.training.chapters.SAMPLED_CHAPTER", mix.chapter)
        return [
            UpdateStream(mix, settings, budget, on_gpu=False, processes=Processes(rank, count))
            for rank in range(count)
        ]


Step = tuple[list[UpdateBatches], list[tuple[int, list[int], list[int]]]]


@contextmanager
def walked(made: Sequence[UpdateStream], position: Position) -> Iterator[Iterator[Step]]:
    """For each update that of each process, and its batches in their order: seed, rows, ids."""
    walks = [each.updates(position) for each in made]
    try:
        yield ((found, in_order(found)) for found in zip_updates(walks))
    finally:
        for walk in walks:
            walk.close()


def zip_updates(walks: Sequence[Iterator[UpdateBatches]]) -> Iterator[list[UpdateBatches]]:
    while True:
        yield [next(walk) for walk in walks]


def in_order(updates: Sequence[UpdateBatches]) -> list[tuple[int, list[int], list[int]]]:
    rounds = zip_longest(*(update.work for update in updates))
    return [
        (work.seed, work.rows.tolist(), work.batch.source[:, 0].tolist())
        for works in rounds
        for work in works
        if work is not None
    ]


def taken(
    made: Sequence[UpdateStream], position: Position, n_batches: int
) -> list[tuple[int, list[int], list[int]]]:
    """The next `n_batches` and what else is in the update of the last."""
    found: list[tuple[int, list[int], list[int]]] = []
    with walked(made, position) as steps:
        while len(found) < n_batches:
            found += next(steps)[1]
    return found


def agree(
    a: list[tuple[int, list[int], list[int]]], b: list[tuple[int, list[int], list[int]]]
) -> bool:
    n = min(len(a), len(b))
    return a[:n] == b[:n]


@given(mixes(), layouts(), layouts(), st.sampled_from(BUDGETS), st.data())
@settings_of_hypothesis(max_examples=20)
def test_the_batches_are_the_same_however_they_are_shared_and_wherever_a_run_resumes(
    mix: Mixed,
    layout: tuple[int, int, int],
    other: tuple[int, int, int],
    budget: int,
    data: st.DataObject,
) -> None:
    reference = taken(streams(mix, budget), Position(), 40)
    done: list[tuple[int, list[int], list[int]]] = []
    stop = data.draw(st.integers(1, 20))
    with walked(streams(mix, budget, layout), Position()) as steps:
        while len(done) < stop:
            updates, batches = next(steps)
            assert len({update.position for update in updates}) == 1
            done += batches
    assert agree(done, reference)
    position = Position.from_state(updates[0].position.state())
    assert agree(taken(streams(mix, budget, other), position, 12), reference[len(done) :])
    # Under another budget from here on, those of any layout are still the same.
    changed = data.draw(st.sampled_from(BUDGETS))
    ways = [taken(streams(mix, changed, each), position, 12) for each in (layout, other)]
    assert agree(*ways)


@given(mixes(), st.data())
@settings_of_hypothesis(max_examples=20)
def test_every_pair_is_seen_as_its_mix_says_however_budget_and_processes_change(
    mix: Mixed, data: st.DataObject
) -> None:
    position = Position()
    seen: Counter[int] = Counter()
    seeds: list[int] = []
    while position.epoch < 2:
        made = streams(mix, data.draw(st.sampled_from(BUDGETS)), data.draw(layouts()))
        with walked(made, position) as steps:
            for updates, batches in islice(steps, data.draw(st.integers(1, 4))):
                for seed, rows, ids in batches:
                    seeds.append(seed)
                    seen.update(rows)
                    drawn_for = 100_000 * position.epoch
                    assert ids == [row + drawn_for for row in rows]
                position = Position.from_state(updates[0].position.state())
                if position.epoch == 2:
                    break
    counts = made[0].chapters.mix.counts
    for part, count in zip(mix.parts, counts, strict=True):
        times = [seen[row] for row in range(part.first, part.first + part.size)]
        assert sum(times) == 2 * count
        assert set(times) <= {2 * count // part.size, -(-2 * count // part.size)}
    assert len(set(seeds)) == len(seeds)


@given(mixes(), layouts(), st.sampled_from(BUDGETS))
@settings_of_hypothesis(max_examples=20)
def test_progress_and_the_pairs_of_each_corpus_are_counted_exactly(
    mix: Mixed, layout: tuple[int, int, int], budget: int
) -> None:
    n, place = 0, (0, 0)
    n_chapters = streams(mix, budget)[0].chapters.mix.n_chapters
    with walked(streams(mix, budget, layout), Position()) as steps:
        for updates, batches in steps:
            first, position = updates[0], updates[0].position
            rows = [row for _, rows, _ in batches for row in rows]
            n += len(rows)
            assert first.epochs == pytest.approx(n / len(mix.train), abs=1e-12)
            assert all(update.n_pairs == first.n_pairs for update in updates)
            if len(mix.parts) == 1:
                assert first.n_pairs == {}
            else:
                bounds = [(p.name, p.first, p.first + p.size) for p in mix.parts]
                found = {name: sum(a <= row < b for row in rows) for name, a, b in bounds}
                assert first.n_pairs == found
            assert (position.epoch, position.chapter) >= place
            place = position.epoch, position.chapter
            assert position.chapter < n_chapters
            if position.epoch == 2:
                break
    assert first.epochs == 2.0
    assert n == 2 * len(mix.train)
    assert position.legs == ()


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing_in_a_mix_with_drawn_pieces(workers: int) -> None:
    parts = [Part("a", 0, 20, 1.0), Part("b", 20, 70, 0.3)]
    mix = Mixed(Toy(90, sampled=True), parts, 2.0, 25)
    expected = taken(streams(mix, 100), Position(), 60)
    with walked(streams(mix, 100), Position()) as steps:
        position = list(islice(steps, 7))[-1][0][0].position
    assert position.legs
    for layout in ((1, 2, 0), (1, 1, 2)):
        assert agree(taken(streams(mix, 100, layout, workers), Position(), 50), expected)
        assert agree(taken(streams(mix, 100, layout, workers), position, 40), expected[7:])


# Numbers of tokens


@pytest.mark.parametrize("sampled", [False, True])
def test_numbers_of_tokens_are_those_of_all_processes(sampled: bool) -> None:
    mix = Mixed(Toy(100, sampled=sampled), [Part("a", 0, 100)])
    with walked(streams(mix, 200, (3, 1, 0)), Position()) as steps:
        for updates, _ in islice(steps, 60):
            batches = [work.batch for u in updates for work in u.work]
            padded = sum(batch.source.numel() + batch.labels.numel() for batch in batches)
            for update in updates:
                assert update.n_source_tokens == sum(batch.n_source_tokens for batch in batches)
                assert update.n_target_tokens == sum(batch.n_target_tokens for batch in batches)
                assert update.n_padded_tokens == padded


def test_budgets_hold_where_pieces_are_drawn() -> None:
    train = Toy(3_000, sampled=True)
    chapters = Chapters(Mixed(train, [Part("a", 0, 3_000)]), 1, 1)
    planned = chapters.plan(2, 0, [Leg(500, 0)])
    for places in planned.plan:
        rows = planned.rows[places]
        longest = max(int(side.max()) for side in train.lengths(rows, 2))
        assert len(rows) == 1 or len(rows) * grid_length(longest) <= 500


# The plan of one chapter


def test_one_corpus_in_one_chapter_is_planned_as_a_whole() -> None:
    # Runs that were begun before there were corpora and chapters go on in the same order.
    train = Toy(300)
    chapters = Chapters(Mixed(train, [Part("a", 0, 300)]), 1.0, 5)
    whole = plan_epoch(train.source_lengths, train.target_lengths, 100, 5, 3)
    found = chapters.plan(3, 0, [Leg(100, 0)])
    assert [found.rows[places].tolist() for places in found.plan] == [r.tolist() for r in whole]
    left = np.concatenate(whole[4:])
    rest = plan_epoch(train.source_lengths, train.target_lengths, 300, 5, 3, rows=left, leg=1)
    found = chapters.plan(3, 0, [Leg(100, 4), Leg(300, 0)])
    assert [found.rows[places].tolist() for places in found.plan] == [r.tolist() for r in rest]


def test_chapters_and_epochs_of_equal_lengths_have_orders_of_their_own() -> None:
    train = Toy(60)
    train.source_lengths[:] = train.target_lengths[:] = 5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transformer.training.chapters.CHAPTER", 20)
        chapters = Chapters(Mixed(train, [Part("a", 0, 60)]), 1.0, 5)
    plans = [chapters.plan(*at, [Leg(25, 0)]).plan for at in ((0, 0), (0, 1), (0, 2), (1, 0))]
    orders = {tuple(np.concatenate(plan).tolist()) for plan in plans}
    assert len(orders) == 4


def test_a_position_from_before_there_were_chapters_is_in_the_first_one() -> None:
    state = {"update": 9, "epoch": 2, "legs": [[100, 4]]}
    assert Position.from_state(state) == Position(9, 2, 0, (Leg(100, 4),))
    position = Position(9, 2, 3, (Leg(100, 4), Leg(200, 1)))
    assert Position.from_state(position.state()) == position


def test_the_estimate_is_exact_for_one_chapter_and_near_for_several() -> None:
    parts = [Part("a", 0, 3_000, 1.0), Part("b", 3_000, 3_000, 2.0)]
    for chapter, tolerance in ((6_000, 0.0), (2_000, 0.05)):
        (made,) = streams(Mixed(Toy(6_000), parts, chapter=chapter), 500)
        n_batches, padding = made.estimate()
        real, padded, n = 0, 0, 0
        with walked([made], Position()) as steps:
            for (update,), batches in steps:
                n += len(batches)
                real += update.n_source_tokens + update.n_target_tokens
                padded += update.n_padded_tokens
                if update.position.epoch:
                    break
        assert abs(n_batches - n) <= tolerance * n
        assert abs(padding - (1 - real / padded)) <= max(tolerance / 5, 1e-12)


@dataclass
class Vast:
    """As many pairs as one likes, in files that are mapped."""

    source_lengths: np.ndarray
    target_lengths: np.ndarray
    sampled = False

    def lengths(self, rows: Rows, epoch: int) -> tuple[Lengths, Lengths]:
        return self.source_lengths[rows], self.target_lengths[rows]

    def __len__(self) -> int:
        return len(self.source_lengths)

    def batch(self, rows: Rows, epoch: int = 0) -> Batch:
        return Toy.batch(Toy(10), rows % 10, epoch)


def test_the_first_update_of_a_vast_corpus_comes_soon_and_memory_has_a_bound(
    tmp_path: Path,
) -> None:
    n = 50_000_000
    with (tmp_path / "lengths").open("wb") as file:
        file.truncate(4 * n)  # takes no room on the disk; all lengths are 0
    lengths = np.memmap(tmp_path / "lengths", np.int32, "r")
    parts = [Part("a", 0, n - 1_000_000, 1.0), Part("b", n - 1_000_000, 1_000_000, 5.0)]
    mix = Mixed(Vast(lengths, lengths), parts, 1.5)  # type: ignore[arg-type]
    tracemalloc.start()
    started = time.perf_counter()
    (made,) = streams(mix, 4_096)
    late = Position(10, 3, made.chapters.mix.n_chapters // 2)
    with walked([made], late) as steps:
        (update,), _ = next(steps)
    seconds = time.perf_counter() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert update.epochs > 3
    assert seconds < 5
    assert peak < 300e6
