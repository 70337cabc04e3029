"""Properties of the position encodings."""

import math
from typing import Any

import pytest
import torch

from transformer.model.positions import INITIAL_LENGTH, Positions, sinusoids


def test_the_table_is_the_papers_formula() -> None:
    table = sinusoids(50, 12)
    assert table.shape == (50, 12)
    assert table.dtype is torch.float64
    for position in range(50):
        for i in range(6):
            angle = position / 10_000 ** (2 * i / 12)
            assert float(table[position, 2 * i]) == pytest.approx(math.sin(angle), abs=1e-12)
            assert float(table[position, 2 * i + 1]) == pytest.approx(math.cos(angle), abs=1e-12)


def test_the_table_grows_without_changing_what_it_held() -> None:
    positions = Positions(16)
    before = positions(0, INITIAL_LENGTH).clone()
    longer = positions(INITIAL_LENGTH - 3, 1000)
    assert longer.shape == (1000, 16)
    assert torch.equal(positions(0, INITIAL_LENGTH), before)
    assert torch.equal(longer, sinusoids(INITIAL_LENGTH + 997, 16)[INITIAL_LENGTH - 3 :].float())


def test_a_window_of_the_table_is_the_same_wherever_it_starts() -> None:
    positions = Positions(8)
    assert torch.equal(positions(5, 4), positions(0, 9)[5:])


def test_a_table_that_grew_during_a_search_serves_training() -> None:
    positions = Positions(8)
    with torch.inference_mode():
        positions(INITIAL_LENGTH, 1)
    x = torch.zeros(INITIAL_LENGTH + 1, 8, requires_grad=True)
    (x + positions(0, INITIAL_LENGTH + 1)).square().sum().backward()
    assert x.grad is not None


def test_the_table_is_no_parameter_and_is_not_saved() -> None:
    positions = Positions(8)
    assert list(positions.parameters()) == []
    assert positions.state_dict() == {}


def test_the_table_keeps_the_models_dtype_as_it_grows() -> None:
    positions = Positions(8).double()
    assert positions(0, 2 * INITIAL_LENGTH).dtype is torch.float64


class Contested(Positions):
    """Another thread puts a shorter table in the place of each."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value[:INITIAL_LENGTH] if name == "table" else value)


def test_a_table_that_another_thread_replaces_is_long_enough_all_the_same() -> None:
    assert Contested(8)(0, 5 * INITIAL_LENGTH).shape == (5 * INITIAL_LENGTH, 8)
