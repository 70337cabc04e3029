"""Properties of the limits of training."""

import pytest

from transformer.config import Metric, TrainingConfig
from transformer.training.limits import reached, share_done
from transformer.training.stream import Position

CONFIG = TrainingConfig(
    max_updates=100, max_epochs=4, max_minutes=2.0, patience=3, metric=Metric.loss
)


def test_short_of_every_limit_training_goes_on() -> None:
    assert reached(CONFIG, Position(99, 3), 119.9, 2) is None


@pytest.mark.parametrize(
    ("position", "elapsed_s", "stale", "named"),
    [
        (Position(100, 0), 0.0, 0, "training.max_updates=100"),
        (Position(101, 0), 0.0, 0, "training.max_updates=100"),
        (Position(9, 4), 0.0, 0, "training.max_epochs=4"),
        (Position(9, 0), 120.0, 0, "training.max_minutes=2"),
        (Position(9, 0), 0.0, 3, "no better loss in training.patience=3"),
    ],
)
def test_each_limit_ends_training_and_is_named(
    position: Position, elapsed_s: float, stale: int, named: str
) -> None:
    reason = reached(CONFIG, position, elapsed_s, stale)
    assert reason is not None
    assert named in reason


def test_limits_that_are_null_end_nothing() -> None:
    assert reached(TrainingConfig(max_updates=10**9), Position(10**8, 10**8), 1e12, 10**8) is None


def test_the_share_done_is_that_of_the_nearest_limit() -> None:
    assert share_done(CONFIG, 50, 1.0, 6.0) == pytest.approx(0.5)
    assert share_done(CONFIG, 50, 3.0, 6.0) == pytest.approx(0.75)
    assert share_done(CONFIG, 50, 3.0, 108.0) == pytest.approx(0.9)
    assert share_done(CONFIG, 500, 3.0, 108.0) == 1
    assert share_done(TrainingConfig(max_updates=10), 1, 50.0, 1e9) == pytest.approx(0.1)
