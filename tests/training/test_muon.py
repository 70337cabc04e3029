"""Properties of Muon."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from transformer.training.muon import Muon, orthogonal, orthogonal_step


def matrix(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("shape", [(8, 8), (5, 12), (12, 5), (2, 6, 4)])
def test_singular_values_become_about_one_and_vectors_stay(shape: tuple[int, ...]) -> None:
    matrices = matrix(*shape)
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    values = u.mT @ orthogonal(matrices) @ vh.mT
    diagonal = values.diagonal(dim1=-2, dim2=-1)
    assert ((diagonal > 0.6) & (diagonal < 1.25)).all()
    torch.testing.assert_close(values, torch.diag_embed(diagonal), rtol=0, atol=1e-10)


def test_the_size_of_a_gradient_does_not_matter_and_zero_stays_zero() -> None:
    for size in (1e-30, 1e30):
        torch.testing.assert_close(
            orthogonal(size * matrix(4, 6)), orthogonal(matrix(4, 6)), rtol=0, atol=1e-10
        )
    assert not orthogonal(torch.zeros(4, 6)).any()


def test_an_update_has_the_size_of_one_of_adamw() -> None:
    for shape in ((64, 64), (32, 128), (128, 32)):
        rms = orthogonal_step(matrix(*shape), 1).square().mean().sqrt()
        assert 0.15 < rms < 0.25


def test_a_stack_is_made_orthogonal_part_by_part() -> None:
    # The parts meet in their directions, and one is much larger: as a whole it would be otherwise.
    key, value = matrix(8, 8), 100 * matrix(8, 8, seed=1)
    parts = orthogonal_step(torch.cat([key, value]), 2).chunk(2)
    for part, alone in zip(parts, (key, value), strict=True):
        torch.testing.assert_close(part, orthogonal_step(alone, 1), rtol=0, atol=1e-10)


def test_it_is_the_optimizer_of_torch_but_for_the_rounding_of_that() -> None:
    ours, theirs = nn.Parameter(matrix(16, 24)), nn.Parameter(matrix(16, 24))
    values: dict[str, Any] = {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1}
    muon = Muon([{"params": [ours]}], **values)
    reference = torch.optim.Muon([theirs], adjust_lr_fn="match_rms_adamw", **values)
    for update in range(4):
        for parameter, optimizer in ((ours, muon), (theirs, reference)):
            parameter.grad = matrix(16, 24, seed=update + 1)
            optimizer.step()
    moved = (theirs - matrix(16, 24)).norm()
    assert (ours - theirs).norm() < 0.02 * moved


def test_momentum_is_that_of_nesterov() -> None:
    parameter = nn.Parameter(torch.zeros(3, 3, dtype=torch.float64))
    muon = Muon([{"params": [parameter]}], lr=1.0, momentum=0.9, weight_decay=0.0)
    first, second = matrix(3, 3, seed=1), matrix(3, 3, seed=2)
    parameter.grad = first
    muon.step()
    before = parameter.detach().clone()
    parameter.grad = second
    muon.step()
    buffer = 0.9 * (0.1 * first) + 0.1 * second
    expected = orthogonal_step(0.1 * second + 0.9 * buffer, 1)
    torch.testing.assert_close(before - parameter, expected, rtol=0, atol=1e-10)
