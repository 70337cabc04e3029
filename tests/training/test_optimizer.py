"""Properties of the optimizers and of their state."""

import copy
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from transformer.config import OptimConfig, OptimKind, Tying
from transformer.errors import InputError
from transformer.model import Transformer
from transformer.text.batching import Batch
from transformer.training.optimizer import (
    build_optimizers,
    can_skip_by_flag,
    load_optimizer_state,
    optimizer_state,
    set_rate,
)
from transformer.training.sharding import shard

KINDS = pytest.mark.parametrize("kind", OptimKind)
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["fp32", "fp64"])
RATES = {OptimKind.adafactor: 0.1}


@pytest.fixture
def batch(make_batch: Callable[..., Batch], id_pairs: Any) -> Batch:
    made = make_batch(id_pairs)
    assert isinstance(made, Batch)
    return made


def build(model: nn.Module, kind: OptimKind, **values: Any) -> list[Optimizer]:
    config = OptimConfig(**{"lr": RATES.get(kind, 1e-2), "weight_decay": 0.1, **values}, kind=kind)
    return build_optimizers(model, config)


def step(model: Transformer, optimizers: list[Optimizer], batch: Batch) -> float:
    """An update; the loss before it."""
    logits = model.step(batch.target, model.start(batch.source)).flatten(0, 1)
    loss = nn.functional.cross_entropy(logits, batch.labels.flatten(), ignore_index=model.pad_id)
    loss.backward()  # type: ignore[no-untyped-call]
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()
    return loss.item()


def through_a_file(state: dict[str, Any]) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def snapshot(model: nn.Module, optimizers: list[Optimizer]) -> tuple[Any, Any]:
    return copy.deepcopy((model.state_dict(), optimizer_state(model, optimizers)))


def assert_same(one: Any, other: Any, atol: float = 0.0) -> None:
    """Equal in structure, types and numbers."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    if isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for mine, yours in zip(one, other, strict=True):
            assert_same(mine, yours, atol)
    elif isinstance(one, Tensor):
        torch.testing.assert_close(one, other, rtol=0, atol=atol)
    else:
        assert one == other


@KINDS
def test_training_lowers_the_loss(
    kind: OptimKind, build_model: Callable[..., Transformer], batch: Batch
) -> None:
    model = build_model(torch.float32)
    optimizers = build(model, kind)
    losses = [step(model, optimizers, batch) for _ in range(25)]
    assert losses[-1] < 0.6 * losses[0]


@KINDS
def test_each_parameter_has_one_optimizer(
    kind: OptimKind, build_model: Callable[..., Transformer]
) -> None:
    model = build_model()
    groups = [group for each in build(model, kind) for group in each.param_groups]
    owned = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(owned) == sorted(map(id, model.parameters()))
    assert all(group["params"] for group in groups)


@KINDS
def test_decay_falls_on_matrices_only(
    kind: OptimKind, build_model: Callable[..., Transformer]
) -> None:
    model = build_model()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        nn.init.ones_(parameter) if parameter.dim() == 1 else None
        parameter.grad = torch.zeros_like(parameter)
    for optimizer in build(model, kind, lr=1e-3):
        optimizer.step()
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            assert (parameter == 1).all()
        elif kind is OptimKind.adam:  # where it is part of the gradient, its size is lost
            assert (before[name] - parameter).abs().max().item() == pytest.approx(1e-3, rel=1e-3)
        else:
            assert_same(parameter.detach(), before[name] * (1 - 1e-3 * 0.1))


def test_muon_has_the_matrices_of_the_layers_and_adamw_the_rest(
    build_model: Callable[..., Transformer],
) -> None:
    model = build_model(tying=Tying.none)
    muon, adamw = build(model, OptimKind.muon)
    names = {parameter: name for name, parameter in model.named_parameters()}
    assert [group["parts"] for group in muon.param_groups] == [1, 2, 3]
    _, twos, threes = ({names[p] for p in group["params"]} for group in muon.param_groups)
    others = {names[p] for group in adamw.param_groups for p in group["params"]}
    assert twos == {name for name in names.values() if name.endswith(".key_value.weight")}
    assert threes == {name for name in names.values() if name.endswith("query_key_value.weight")}
    assert others >= {"source_embedding.weight", "target_embedding.weight", "output.weight"}
    assert {name for name in others if "coder." in name and name.endswith(".weight")} == {
        name for name in names.values() if name.endswith("norm.weight")
    }


@KINDS
def test_the_rate_is_that_of_the_next_step(
    kind: OptimKind, build_model: Callable[..., Transformer], batch: Batch
) -> None:
    model = build_model()
    optimizers = build(model, kind)
    set_rate(optimizers, 0.0)
    before = copy.deepcopy(model.state_dict())
    step(model, optimizers, batch)
    assert_same(model.state_dict(), before)
    set_rate(optimizers, 1e-3)
    step(model, optimizers, batch)
    assert not torch.equal(model.state_dict()["output.weight"], before["output.weight"])


@DTYPES
@KINDS
def test_a_resumed_optimizer_goes_on_bit_for_bit(
    kind: OptimKind, dtype: torch.dtype, build_model: Callable[..., Transformer], batch: Batch
) -> None:
    straight = build_model(dtype)
    optimizers = build(straight, kind)
    for _ in range(3):
        step(straight, optimizers, batch)
    weights, state = map(through_a_file, snapshot(straight, optimizers))
    for _ in range(3):
        step(straight, optimizers, batch)

    resumed = build_model(dtype)
    resumed.load_state_dict(weights)
    loaded = build(resumed, kind)
    load_optimizer_state(resumed, loaded, state)
    assert_same(optimizer_state(resumed, loaded), state)
    for _ in range(3):
        step(resumed, loaded, batch)
    assert_same(snapshot(resumed, loaded), snapshot(straight, optimizers))


@KINDS
def test_a_loaded_state_is_a_copy_in_its_own_precision(
    kind: OptimKind, build_model: Callable[..., Transformer], batch: Batch
) -> None:
    model = build_model(torch.float64)
    optimizers = build(model, kind)
    step(model, optimizers, batch)
    state = copy.deepcopy(optimizer_state(model, optimizers))
    narrow = build_model(torch.float32)
    loaded = build(narrow, kind)
    load_optimizer_state(narrow, loaded, state)
    assert_same(optimizer_state(narrow, loaded), state)
    untouched = copy.deepcopy(state)
    load_optimizer_state(model, optimizers, state)
    step(model, optimizers, batch)
    assert_same(state, untouched)


@KINDS
def test_a_state_from_before_the_first_update_takes_back_to_it(
    kind: OptimKind, build_model: Callable[..., Transformer], batch: Batch
) -> None:
    model, other = build_model(), build_model()
    optimizers, others = build(model, kind), build(other, kind)
    start, state = snapshot(model, optimizers)
    step(model, optimizers, batch)
    model.load_state_dict(start)
    load_optimizer_state(model, optimizers, through_a_file(state))
    step(model, optimizers, batch)
    step(other, others, batch)
    assert_same(snapshot(model, optimizers), snapshot(other, others))


def test_the_settings_of_a_resumed_run_are_its_own(
    build_model: Callable[..., Transformer], batch: Batch
) -> None:
    model = build_model()
    optimizers = build(model, OptimKind.adamw)
    step(model, optimizers, batch)
    resumed = build(model, OptimKind.adamw, lr=0.5, beta1=0.5, weight_decay=0.0)
    load_optimizer_state(model, resumed, optimizer_state(model, optimizers))
    group = resumed[0].param_groups[0]
    assert (group["lr"], group["betas"][0], group["weight_decay"]) == (0.5, 0.5, 0.0)


def test_a_state_that_does_not_fit_is_refused(
    build_model: Callable[..., Transformer], batch: Batch
) -> None:
    model = build_model()
    optimizers = build(model, OptimKind.adamw)
    step(model, optimizers, batch)
    state = optimizer_state(model, optimizers)
    deeper = build_model(encoder_layers=2)
    with pytest.raises(InputError, match=r"state does not fit the model: .*encoder\.1\."):
        load_optimizer_state(deeper, build(deeper, OptimKind.adamw), state)
    wider = build_model(d_feed_forward=32)
    with pytest.raises(InputError, match=r"exp_avg of encoder.*inner.* is \[24, 16\], .* \[32, 16"):
        load_optimizer_state(wider, build(wider, OptimKind.adamw), state)
    with pytest.raises(InputError, match="is of AdamW, but the settings ask for Muon and AdamW"):
        load_optimizer_state(model, build(model, OptimKind.muon), state)


@KINDS
def test_a_step_skipped_by_flag_changes_not_one_bit(
    kind: OptimKind, build_model: Callable[..., Transformer], batch: Batch
) -> None:
    model = build_model(torch.float32)
    optimizers = [each for each in build(model, kind) if can_skip_by_flag(each)]
    assert bool(optimizers) == (kind is not OptimKind.adafactor)

    def flagged_step(flag: float, gradient: float) -> None:
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, gradient)
        for optimizer in optimizers:
            optimizer.found_inf, optimizer.grad_scale = torch.tensor(flag), None  # type: ignore[attr-defined]
            optimizer.step()

    flagged_step(1.0, float("nan"))  # the very first may be skipped, too
    flagged_step(0.0, 0.1)
    states = [optimizer.state_dict() for optimizer in optimizers]
    before = copy.deepcopy((model.state_dict(), states))
    flagged_step(1.0, float("nan"))
    assert_same((model.state_dict(), [optimizer.state_dict() for optimizer in optimizers]), before)
    assert {float(s["step"]) for state in states for s in state["state"].values()} <= {1.0}


@pytest.fixture
def one_process() -> Iterator[None]:
    """A group of this process alone, so that parameters can be DTensors."""
    store = dist.HashStore()  # type: ignore[attr-defined]
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def sharded(model: Transformer) -> Transformer:
    shard(model, torch.device("cpu"), 1)
    assert all(isinstance(parameter, DTensor) for parameter in model.parameters())
    return model


# Of keys and values, which nobody changes in place.
@pytest.mark.filterwarnings("ignore:FSDP2-wrapped module .* returned a view:UserWarning")
@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("kind", [OptimKind.adam, OptimKind.adamw, OptimKind.muon])
def test_the_state_fits_sharded_and_whole_models_alike(
    kind: OptimKind, build_model: Callable[..., Transformer], batch: Batch
) -> None:
    whole, spread = build_model(), sharded(build_model())
    of_whole, of_spread = build(whole, kind), build(spread, kind)
    for _ in range(2):
        step(whole, of_whole, batch)
        step(spread, of_spread, batch)
    state = optimizer_state(spread, of_spread)
    assert not any(isinstance(value, DTensor) for value in tensors(state))
    assert_same(state, optimizer_state(whole, of_whole), atol=1e-10)

    load_optimizer_state(whole, of_whole, state)
    assert_same(optimizer_state(whole, of_whole), state)
    load_optimizer_state(spread, of_spread, through_a_file(state))
    assert_same(optimizer_state(spread, of_spread), state)
    step(spread, of_spread, batch)  # what was loaded is of the kind that a step takes


@pytest.mark.usefixtures("one_process")
def test_adafactor_refuses_a_sharded_model(build_model: Callable[..., Transformer]) -> None:
    with pytest.raises(InputError, match=r"optim\.kind=adafactor .*training\.parallel\.shard"):
        build(sharded(build_model()), OptimKind.adafactor)


def tensors(state: dict[str, Any]) -> list[Tensor]:
    return [value for of_one in state["parameters"].values() for value in of_one.values()]
