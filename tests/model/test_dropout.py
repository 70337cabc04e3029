"""Properties of dropout."""

import pytest
import torch

from transformer.model.dropout import LEVELS, Dropout, draw, dropout


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5, 0.9])
def test_the_share_that_is_zeroed_and_the_mean_are_as_asked(probability: float) -> None:
    torch.manual_seed(1)
    found = dropout(torch.ones(1000, 1000), probability)
    deviation = (probability * (1 - probability) / 1e6) ** 0.5  # of the share
    share = float((found == 0).double().mean())
    assert abs(share - probability) < 5 * deviation + 1 / LEVELS
    assert float(found.double().mean()) == pytest.approx(1, abs=5 * deviation / (1 - probability))
    assert len(set(found[found != 0].tolist())) == 1


def test_rows_columns_and_the_four_of_a_draw_are_independent() -> None:
    torch.manual_seed(2)
    kept = draw(torch.Size([1000, 1024]), LEVELS // 10).double()
    for axis in (0, 1):
        shares = kept.mean(axis)
        expected = (0.1 * 0.9 / kept.shape[axis]) ** 0.5
        assert float(shares.std()) == pytest.approx(expected, rel=0.15)
    lanes = kept.view(-1, 4)
    correlation = torch.corrcoef(lanes.T) - torch.eye(4)
    assert float(correlation.abs().max()) < 0.01
    neighbours = torch.corrcoef(torch.stack([kept[:, :-4].flatten(), kept[:, 4:].flatten()]))
    assert abs(float(neighbours[0, 1])) < 0.01


@pytest.mark.parametrize("shape", [(), (1,), (3,), (5, 7), (2, 3, 4), (0, 4)])
def test_any_shape_will_do(shape: tuple[int, ...]) -> None:
    found = dropout(torch.ones(shape, dtype=torch.float64), 0.5)
    assert found.shape == shape
    assert found.dtype is torch.float64


def test_the_gradient_passes_where_the_value_did() -> None:
    torch.manual_seed(3)
    x = torch.rand(50, 20, dtype=torch.float64, requires_grad=True)
    found = dropout(x, 0.3)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    torch.testing.assert_close(gradient, (found / x).detach(), rtol=0, atol=1e-10)


def test_the_seed_fixes_the_draw_and_the_next_is_another() -> None:
    x = torch.ones(40, 40)
    torch.manual_seed(4)
    first, second = dropout(x, 0.5), dropout(x, 0.5)
    torch.manual_seed(4)
    assert torch.equal(dropout(x, 0.5), first)
    assert not torch.equal(first, second)


def test_it_does_nothing_in_evaluation_or_at_zero() -> None:
    x = torch.rand(10, 10)
    state = torch.get_rng_state()
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0).train()(x), x)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_probability_next_to_one_gives_finite_numbers() -> None:
    assert dropout(torch.ones(1000), 1 - 1e-9).isfinite().all()
