"""Properties of the running mean of the weights."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from transformer.checkpoint import Checkpoint
from transformer.config import TrainSettings
from transformer.model import Transformer
from transformer.training import train
from transformer.training.ema import Ema

Build = Callable[..., Transformer]


def find(settings: TrainSettings) -> Path:
    return Path(settings.run_dir) / "checkpoints" / "last"


def test_the_mean_is_that_of_its_formula(build_model: Build) -> None:
    model = build_model()
    ema = Ema(model, 0.9)
    expected = {name: p.detach().clone() for name, p in model.named_parameters()}
    for number in range(1, 30):
        decay = min(0.9, (1 + number) / (10 + number))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.add_(torch.randn_like(parameter))
                expected[name] = decay * expected[name] + (1 - decay) * parameter
        ema.update(number)
    for name, mean in ema.weights().items():
        torch.testing.assert_close(mean, expected[name], rtol=0, atol=1e-12)


def test_while_it_is_applied_the_model_has_it_and_afterwards_its_own_weights(
    build_model: Build,
) -> None:
    model = build_model()
    ema = Ema(model, 0.5)
    with torch.no_grad():
        model.output.weight.add_(1.0)
    own, mean = model.output.weight.clone(), ema.weights()["source_embedding.weight"].clone()
    with ema.applied():
        assert torch.equal(model.output.weight, mean)
    assert torch.equal(model.output.weight, own)
    assert torch.equal(ema.weights()["source_embedding.weight"], mean)


def test_a_run_keeps_the_mean_as_its_model_and_its_own_weights_for_resuming(
    settings: TrainSettings, change: Callable[..., TrainSettings]
) -> None:
    plain = change(settings, run_dir=f"{settings.run_dir}-plain")
    averaged = change(settings, training__ema=0.9)
    train(plain)
    train(averaged)
    one, other = (Checkpoint(find(run)) for run in (plain, averaged))
    own = other.training()["weights"]
    for name, weight in one.weights().items():
        assert torch.equal(own[name], weight)
    mean = other.weights()
    assert all(not torch.equal(mean[name], own[name]) for name in own if "weight" in name)
    assert one.metrics["loss"] != other.metrics["loss"]


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_a_mean_of_equal_weights_is_these(build_model: Build, decay: float) -> None:
    model = build_model()
    ema = Ema(model, decay)
    for number in range(1, 5):
        ema.update(number)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(ema.weights()[name], parameter.detach(), rtol=1e-15, atol=0)
