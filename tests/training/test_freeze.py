"""Properties of freezing parameters."""

import copy
import logging
from collections.abc import Callable

import pytest
import torch
from torch import nn

from transformer.config import OptimConfig, OptimKind, Tying
from transformer.errors import InputError
from transformer.model import Transformer
from transformer.training.optimizer import (
    build_optimizers,
    can_skip_by_flag,
    freeze,
    load_optimizer_state,
    optimizer_state,
)


def frozen_names(model: nn.Module) -> set[str]:
    named = model.named_parameters(remove_duplicate=False)
    return {name for name, parameter in named if not parameter.requires_grad}


@pytest.mark.parametrize("kind", OptimKind)
def test_what_is_frozen_stays_bit_for_bit_and_the_rest_learns(
    kind: OptimKind, build_model: Callable[..., Transformer]
) -> None:
    model = build_model()
    freeze(model, ["encoder.*", "*norm.bias"])
    before = copy.deepcopy(model.state_dict())
    optimizers = build_optimizers(model, OptimConfig(kind=kind))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    for optimizer in optimizers:
        optimizer.step()
    names = [name for name, _ in model.named_parameters()]
    expected = {name for name in names if name.startswith("encoder.") or name.endswith("norm.bias")}
    assert frozen_names(model) == expected
    assert {n for n in names if torch.equal(model.state_dict()[n], before[n])} == expected
    state = optimizer_state(model, optimizers)
    assert set(state["parameters"]) == set(names) - expected
    load_optimizer_state(model, optimizers, state)


def test_muon_is_left_out_where_all_of_its_matrices_are_frozen(
    build_model: Callable[..., Transformer],
) -> None:
    config = OptimConfig(kind=OptimKind.muon)
    model = build_model()
    freeze(model, ["*coder.*.weight"])
    assert [type(each) for each in build_optimizers(model, config)] == [torch.optim.AdamW]
    model = build_model()
    freeze(model, ["*embedding*", "*bias", "*norm*"])
    (muon,) = build_optimizers(model, config)
    assert not can_skip_by_flag(muon)


@pytest.mark.parametrize("name", ["source_embedding.weight", "output.weight"])
def test_a_tied_parameter_is_frozen_by_any_of_its_names(
    name: str, build_model: Callable[..., Transformer], caplog: pytest.LogCaptureFixture
) -> None:
    model = build_model(tying=Tying.three_way)
    with caplog.at_level(logging.INFO):
        freeze(model, [name])
    embeddings = {"source_embedding.weight", "target_embedding.weight", "output.weight"}
    assert frozen_names(model) == embeddings
    total = sum(parameter.numel() for parameter in model.parameters())
    assert [record.getMessage() for record in caplog.records] == [
        f"480 of {total:,} parameters are frozen (training.freeze)"
    ]


def test_a_pattern_that_fits_nothing_is_refused_with_the_nearest_names(
    build_model: Callable[..., Transformer],
) -> None:
    with pytest.raises(InputError, match=r"'sorce_embeding\.weight' .*source_embedding\.weight"):
        freeze(build_model(), ["decoder.*", "sorce_embeding.weight"])


def test_something_must_be_left_to_train(build_model: Callable[..., Transformer]) -> None:
    with pytest.raises(InputError, match=r"training\.freeze=\['\*'\] freezes all"):
        freeze(build_model(), ["*"])


def test_nothing_is_frozen_unless_asked_for(
    build_model: Callable[..., Transformer], caplog: pytest.LogCaptureFixture
) -> None:
    model = build_model()
    with caplog.at_level(logging.INFO):
        freeze(model, [])
    assert not frozen_names(model)
    assert not caplog.records
