"""Properties of the learning-rate schedules."""

import math

import pytest

from transformer.config import OptimConfig, Schedule
from transformer.training.schedule import build_schedule, constant, cosine, inverse_sqrt

SCHEDULES = pytest.mark.parametrize("schedule", Schedule)


@SCHEDULES
@pytest.mark.parametrize("warmup", [1, 7, 100])
def test_the_peak_is_at_the_end_of_the_warmup(schedule: Schedule, warmup: int) -> None:
    rate = build_schedule(OptimConfig(lr=0.5, warmup=warmup, schedule=schedule), 300)
    rates = [rate(update) for update in range(1, 301)]
    assert rate(warmup) == pytest.approx(0.5)
    assert max(rates) == pytest.approx(0.5)
    assert min(rates) >= 0


@SCHEDULES
def test_the_rate_never_jumps(schedule: Schedule) -> None:
    rate = build_schedule(OptimConfig(lr=1.0, warmup=50, schedule=schedule), 400)
    for update in range(1, 500):
        assert abs(rate(update + 1) - rate(update)) <= 1 / 50 + 1e-12


@SCHEDULES
def test_the_warmup_is_linear_from_the_first_update_on(schedule: Schedule) -> None:
    rate = build_schedule(OptimConfig(lr=1.0, warmup=10, schedule=schedule), 100)
    assert [rate(update) for update in range(1, 11)] == pytest.approx(
        [update / 10 for update in range(1, 11)]
    )


@SCHEDULES
def test_without_a_warmup_the_first_update_has_the_full_rate_or_nearly(schedule: Schedule) -> None:
    rate = build_schedule(OptimConfig(lr=1.0, warmup=0, schedule=schedule), 1000)
    assert rate(1) == pytest.approx(1, abs=1e-5)


def test_the_default_is_the_papers_formula_for_the_base_model() -> None:
    rate = build_schedule(OptimConfig(), 100_000)
    for update in (1, 100, 3999, 4000, 4001, 20_000, 100_000):
        paper = 512**-0.5 * min(update**-0.5, update * 4000**-1.5)
        assert rate(update) == pytest.approx(paper, rel=2e-3)


def test_the_inverse_square_root_falls_by_half_in_four_times_the_updates() -> None:
    assert inverse_sqrt(1600, 100) == pytest.approx(inverse_sqrt(400, 100) / 2)


def test_the_cosine_ends_at_zero_and_stays_there() -> None:
    assert cosine(55, 10, 100) == pytest.approx((1 + math.cos(math.pi / 2)) / 2)
    assert cosine(100, 10, 100) == pytest.approx(0)
    assert cosine(150, 10, 100) == pytest.approx(0)


def test_a_constant_rate_stays_at_its_peak() -> None:
    assert [constant(update, 4) for update in (4, 5, 10**6)] == [1, 1, 1]
