"""Properties of gradient checkpointing: the same gradients from fewer kept activations."""

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from transformer.config import Norm
from transformer.model import Transformer

DROPOUT = {
    "dropout": 0.2,
    "embedding_dropout": 0.1,
    "attention_dropout": 0.2,
    "feed_forward_dropout": 0.3,
}
Build = Callable[..., Transformer]


def loss_of(model: Transformer, source: Tensor, target: Tensor) -> Tensor:
    torch.manual_seed(7)
    return model.step(target, model.start(source)).square().mean()


def layers_of(model: Transformer) -> list[nn.Module]:
    return [*model.encoder, *model.decoder]


def count_calls(model: Transformer) -> list[nn.Module]:
    """The layers that run from here on, in that order."""
    calls: list[nn.Module] = []
    for layer in layers_of(model):
        layer.register_forward_pre_hook(lambda layer, _: calls.append(layer))
    return calls


@pytest.mark.parametrize("norm", Norm)
def test_gradients_with_dropout_are_the_same_bits(
    build_model: Build, source: Tensor, target: Tensor, norm: Norm
) -> None:
    found = []
    for checkpointed in (False, True):
        model = build_model(norm=norm, **DROPOUT).train()
        if checkpointed:
            model.checkpoint_layers()
        loss = loss_of(model, source, target)
        # What is drawn between the passes must not change what is computed again.
        torch.rand(3)
        found.append([loss, *torch.autograd.grad(loss, list(model.parameters()))])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_dropout_after_the_backward_pass_goes_on_as_it_would(
    build_model: Build, source: Tensor, target: Tensor
) -> None:
    draws = []
    for checkpointed in (False, True):
        model = build_model(**DROPOUT).train()
        if checkpointed:
            model.checkpoint_layers()
        loss_of(model, source, target).backward()  # type: ignore[no-untyped-call]
        draws.append(torch.rand(3))
    assert torch.equal(*draws)


def saved_numbers(model: Transformer, source: Tensor, target: Tensor) -> int:
    """How many numbers are kept for the backward pass, beside the weights."""
    weights = {parameter.data_ptr() for parameter in model.parameters()}
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = loss_of(model, source, target)
    assert loss.requires_grad
    return sum(tensor.numel() for tensor in kept.values())


def test_much_less_is_kept(build_model: Build, source: Tensor, target: Tensor) -> None:
    settings = {"encoder_layers": 4, "decoder_layers": 4, "d_feed_forward": 64, **DROPOUT}
    plain, checkpointed = (build_model(**settings).train() for _ in range(2))
    checkpointed.checkpoint_layers()
    assert saved_numbers(checkpointed, source, target) < saved_numbers(plain, source, target) / 3


def test_each_layer_runs_again_in_the_backward_pass(
    build_model: Build, source: Tensor, target: Tensor
) -> None:
    model = build_model().train()
    model.checkpoint_layers()
    calls = count_calls(model)
    loss = loss_of(model, source, target)
    assert calls == layers_of(model)
    loss.backward()  # type: ignore[no-untyped-call]
    assert calls[len(layers_of(model)) :] == layers_of(model)[::-1]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_search_is_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
    build_model: Build,
    source: Tensor,
    target: Tensor,
    mode: Callable[[], nullcontext[None]],
) -> None:
    model, plain = build_model(), build_model()
    model.checkpoint_layers()
    # Not even its bookkeeping, which costs time at each token.
    monkeypatch.setattr("transformer.model.transformer.checkpoint", None)
    calls = count_calls(model)
    with mode():
        state = model.start(source)
        found = [model.step(tokens, state) for tokens in torch.split(target, [4, 5], dim=1)]
        expected = plain.step(target, plain.start(source))
    assert len(calls) == len(model.encoder) + 2 * len(model.decoder)
    torch.testing.assert_close(torch.cat(found, dim=1), expected, rtol=0, atol=1e-10)


def test_layers_run_again_in_the_arithmetic_of_the_first_time(
    build_model: Build, source: Tensor, target: Tensor
) -> None:
    found = []
    for checkpointed in (False, True):
        model = build_model(torch.float32, **DROPOUT).train()
        if checkpointed:
            model.checkpoint_layers()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_of(model, source, target)
        found.append(torch.autograd.grad(loss, list(model.parameters())))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
