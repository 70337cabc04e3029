"""Properties of the learning-rate schedules."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.config import OptimConfig, Schedule
from transformer.errors import InputError
from transformer.training.schedule import (
    Plateau,
    build_schedule,
    constant,
    cosine,
    inverse_sqrt,
    linear,
    wsd,
)

SCHEDULES = pytest.mark.parametrize("schedule", Schedule)
ENDING = [Schedule.cosine, Schedule.linear, Schedule.wsd]


def build(schedule: Schedule, max_updates: int, **values: Any) -> Callable[[int], float]:
    config = OptimConfig(**{"lr": 1.0, "decay_updates": 40, **values}, schedule=schedule)
    return build_schedule(config, max_updates)


@SCHEDULES
@pytest.mark.parametrize("warmup", [1, 7, 100])
def test_the_peak_is_at_the_end_of_the_warmup(schedule: Schedule, warmup: int) -> None:
    rate = build(schedule, 300, lr=0.5, warmup=warmup)
    rates = [rate(update) for update in range(1, 301)]
    assert rate(warmup) == pytest.approx(0.5)
    assert max(rates) == pytest.approx(0.5)
    assert min(rates) >= 0


@given(
    schedule=st.sampled_from(Schedule),
    warmup=st.integers(0, 60),
    decay_updates=st.integers(1, 60),
    spare=st.integers(0, 60),
)
def test_the_rate_rises_to_the_peak_then_never_rises_again(
    schedule: Schedule, warmup: int, decay_updates: int, spare: int
) -> None:
    max_updates = warmup + decay_updates + spare
    rate = build(schedule, max_updates, warmup=warmup, decay_updates=decay_updates)
    rates = [rate(update) for update in range(1, max_updates + 20)]
    peak = max(warmup, 1) - 1
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert all(0 <= rate <= 1 for rate in rates)
    if warmup:
        assert rates[peak] == 1


@SCHEDULES
def test_the_rate_never_jumps(schedule: Schedule) -> None:
    rate = build(schedule, 400, warmup=50, decay_updates=50)
    for update in range(1, 500):
        assert abs(rate(update + 1) - rate(update)) <= 1 / 50 + 1e-12


@SCHEDULES
def test_the_warmup_is_linear_from_the_first_update_on(schedule: Schedule) -> None:
    rate = build(schedule, 100, warmup=10)
    assert [rate(update) for update in range(1, 11)] == pytest.approx(
        [update / 10 for update in range(1, 11)]
    )


@SCHEDULES
def test_without_a_warmup_the_first_update_has_the_full_rate_or_nearly(schedule: Schedule) -> None:
    rate = build(schedule, 1000, warmup=0)
    assert rate(1) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("schedule", ENDING)
def test_a_schedule_with_an_end_is_zero_behind_it(schedule: Schedule) -> None:
    rate = build(schedule, 100, warmup=10)
    assert rate(100) > 0
    assert [rate(101), rate(1000)] == pytest.approx([0, 0])


def test_the_default_is_the_papers_formula_for_the_base_model() -> None:
    rate = build_schedule(OptimConfig(), 100_000)
    for update in (1, 100, 3999, 4000, 4001, 20_000, 100_000):
        paper = 512**-0.5 * min(update**-0.5, update * 4000**-1.5)
        assert rate(update) == pytest.approx(paper, rel=2e-3)


def test_the_inverse_square_root_falls_by_half_in_four_times_the_updates() -> None:
    assert inverse_sqrt(1600, 100) == pytest.approx(inverse_sqrt(400, 100) / 2)


def test_the_cosine_is_a_half_cosine() -> None:
    assert cosine(55, 10, 100) == pytest.approx((1 + math.cos(math.pi / 2)) / 2)
    assert cosine(40, 10, 100) == pytest.approx((1 + math.cos(math.pi / 3)) / 2)


def test_the_linear_schedule_falls_by_equal_steps() -> None:
    assert [linear(update, 10, 100) for update in (10, 19, 28, 55, 91)] == pytest.approx(
        [1, 0.9, 0.8, 0.5, 0.1]
    )


def test_wsd_is_constant_until_its_decay_begins() -> None:
    assert [wsd(update, 10, 80, 100) for update in (10, 11, 50, 80)] == [1, 1, 1, 1]
    assert [wsd(update, 10, 80, 100) for update in (81, 85, 90, 99)] == pytest.approx(
        [0.95, 0.75, 0.5, 0.05]
    )


@given(warmup=st.integers(0, 50), decay_updates=st.integers(1, 50), update=st.integers(1, 120))
def test_wsd_without_a_constant_part_is_the_linear_schedule(
    warmup: int, decay_updates: int, update: int
) -> None:
    end = warmup + decay_updates
    assert wsd(update, warmup, warmup, end) == linear(update, warmup, end)


@pytest.mark.parametrize("schedule", [Schedule.cosine, Schedule.linear])
def test_a_warmup_that_leaves_nothing_to_fall_in_is_refused(schedule: Schedule) -> None:
    build(schedule, 100, warmup=99)
    with pytest.raises(InputError, match=r"optim\.warmup=100 .*training\.max_updates=100"):
        build(schedule, 100, warmup=100)


def test_wsd_lowers_the_rate_of_the_last_decay_updates() -> None:
    rate = build(Schedule.wsd, 100, warmup=10, decay_updates=4)
    assert [rate(update) / rate(96) for update in range(97, 101)] == pytest.approx(
        [0.8, 0.6, 0.4, 0.2]
    )


def test_wsd_refuses_a_decay_that_does_not_fit_after_the_warmup() -> None:
    build(Schedule.wsd, 100, warmup=60, decay_updates=40)
    with pytest.raises(InputError, match=r"optim\.decay_updates=41 .*training\.max_updates=100"):
        build(Schedule.wsd, 100, warmup=60, decay_updates=41)
    build(Schedule.linear, 100, warmup=60, decay_updates=41)


def test_a_constant_rate_stays_at_its_peak() -> None:
    assert [constant(update, 4) for update in (4, 5, 10**6)] == [1, 1, 1]


def plateau(schedule: Schedule = Schedule.plateau) -> Plateau:
    return Plateau(OptimConfig(schedule=schedule, plateau_factor=0.5, plateau_patience=2))


def test_a_plateau_reduces_the_rate_for_each_patience_without_a_better_metric() -> None:
    reduced = plateau()
    factors = []
    for stale in (0, 1, 2, 3, 4, 0, 1, 0, 1, 2):
        reduced.validated(stale)
        factors.append(reduced.factor)
    assert factors == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.25, 0.125]


@pytest.mark.parametrize("schedule", set(Schedule) - {Schedule.plateau})
def test_validations_do_not_touch_the_rate_of_other_schedules(schedule: Schedule) -> None:
    other = plateau(schedule)
    for stale in range(9):
        other.validated(stale)
    assert other.factor == 1


def test_a_plateau_goes_on_from_its_state() -> None:
    before, after = plateau(), plateau()
    before.validated(2)
    after.load_state(before.state())
    after.validated(4)
    assert after.factor == 0.25
