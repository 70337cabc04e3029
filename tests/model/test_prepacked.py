"""Linear layers with prepared weights give what plain ones give."""

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import nn

from transformer.model import Transformer, prepacked
from transformer.model.prepacked import PrepackedLinear, is_possible, prepack

pytestmark = pytest.mark.skipif(not is_possible(), reason="torch is built without oneDNN")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7, 48), (1, 48), (0, 48), (3, 1, 48), (2, 3, 5, 48)])
def test_a_prepacked_layer_multiplies_as_it_did(shape: tuple[int, ...], bias: bool) -> None:
    linear = nn.Linear(48, 40, bias=bias).requires_grad_(False)
    x = torch.randn(shape)
    expected = linear(x)
    found = PrepackedLinear(linear)(x)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_inputs_may_lie_in_any_order() -> None:
    linear = nn.Linear(48, 40).requires_grad_(False)
    for x in (torch.randn(48, 7).T, torch.randn(7, 96)[:, ::2], torch.randn(5, 48, 7).mT):
        torch.testing.assert_close(PrepackedLinear(linear)(x), linear(x), rtol=1e-5, atol=1e-5)


def test_a_model_translates_as_before_and_keeps_its_parameters(
    build_model: Callable[..., Transformer], source: torch.Tensor, target: torch.Tensor
) -> None:
    model = build_model(torch.float32)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        expected = model.step(target, model.start(source))
        prepack(model)
        found = model.step(target, model.start(source))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert not any(type(module) is nn.Linear for module in model.modules())
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_torch_without_the_operators_leaves_the_model_as_it_is(
    build_model: Callable[..., Transformer], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build_model(torch.float32)

    def missing(*_: object) -> torch.Tensor:
        raise AttributeError("no such operator")

    monkeypatch.setattr(prepacked, "_pack", missing)
    is_possible.cache_clear()
    try:
        prepack(model)
    finally:
        is_possible.cache_clear()
    assert any(type(module) is nn.Linear for module in model.modules())


def test_operators_that_round_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = prepacked._multiply
    rounding = lambda *args: exact(*args).bfloat16().float()  # noqa: E731
    monkeypatch.setattr(prepacked, "_multiply", rounding)
    is_possible.cache_clear()
    assert not is_possible()
    is_possible.cache_clear()


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_multiplies_as_the_original(again: Callable[[nn.Module], nn.Module]) -> None:
    layer = PrepackedLinear(nn.Linear(48, 40).requires_grad_(False))
    x = torch.randn(3, 48)
    torch.testing.assert_close(again(layer)(x), layer(x))
