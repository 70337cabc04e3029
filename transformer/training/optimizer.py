"""What changes the weights: the optimizers, their state by parameter name, frozen parameters."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from transformer.config import OptimConfig, OptimKind
from transformer.errors import InputError, require
from transformer.model import stacked
from transformer.training.muon import Muon
from transformer.training.sharding import like, local, whole

logger = logging.getLogger(__name__)

Named = list[tuple[str, nn.Parameter]]


def build_optimizers(model: nn.Module, config: OptimConfig) -> list[Optimizer]:
    """The optimizers of the parameters that require gradients, each of which has one of them.

    Decay falls on matrices only; it is decoupled (Loshchilov and Hutter, 2019) for all kinds but
    OptimKind.adam.
    """
    trained = named_trained(model)
    match config.kind:
        case OptimKind.adam:
            return [build_adam(torch.optim.Adam, trained, config)]
        case OptimKind.adamw:
            return [build_adam(torch.optim.AdamW, trained, config)]
        case OptimKind.adafactor:
            return [build_adafactor(trained, config)]
        case OptimKind.muon:
            return build_muon(trained, config)


def named_trained(model: nn.Module) -> Named:
    """The parameters that require gradients; a tied one once, under its first name."""
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]


def decay_groups(named: Named, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups: the matrices, which decay, and the biases and norms, which do not."""
    matrices = [parameter for _, parameter in named if parameter.dim() > 1]
    vectors = [parameter for _, parameter in named if parameter.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def build_adam(kind: Callable[..., Optimizer], named: Named, config: OptimConfig) -> Optimizer:
    """Adam or AdamW, each step one fused kernel."""
    return kind(
        decay_groups(named, config.weight_decay),
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        fused=True,
    )


def build_adafactor(named: Named, config: OptimConfig) -> Optimizer:
    """Adafactor without momentum (Shazeer and Stern, 2018, algorithms 4 to 6).

    A step moves a parameter by its root mean square (at least 1e-3) times the smaller of the
    schedule's rate and t^-0.5: `optim.lr` is relative, 1e-2 in the paper. The second moments decay
    by 1 - t^-0.8, an update's root mean square is limited to 1. The paper adds 1e-30 to the squared
    gradient; torch takes the square root of that and uses it as the least divisor.

    Each step waits for the device: torch reads the norm of every parameter and update.
    """
    require(
        not any(isinstance(parameter, DTensor) for _, parameter in named),
        "optim.kind=adafactor does not go with training.parallel.shard=true; set the one to adamw "
        "or muon, or the other to false",
    )
    return torch.optim.Adafactor(
        decay_groups(named, config.weight_decay),
        lr=config.lr,
        beta2_decay=-0.8,
        eps=(1e-15, 1e-3),
        d=1.0,
    )


def build_muon(named: Named, config: OptimConfig) -> list[Optimizer]:
    """Muon for the matrices inside the layers; AdamW for embeddings, output, biases and norms.

    Queries, keys and values are a stack of matrices in one parameter (see model.stacked).
    """

    def is_inner(name: str, parameter: nn.Parameter) -> bool:
        return name.startswith(("encoder.", "decoder.")) and parameter.dim() == 2

    inner = [(name, p) for name, p in named if is_inner(name, p)]
    groups = [
        {
            "params": [p for name, p in inner if stacked(name.removesuffix(".weight")) == n],
            "parts": n,
        }
        for n in (1, 2, 3)
    ]
    groups = [group for group in groups if group["params"]]
    others = [(name, p) for name, p in named if not is_inner(name, p)]
    optimizers: list[Optimizer] = []
    if groups:
        muon = Muon(
            groups, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
        )
        optimizers.append(muon)
    if others:
        optimizers.append(build_adam(torch.optim.AdamW, others, config))
    return optimizers


def set_rate(optimizers: Iterable[Optimizer], lr: float) -> None:
    """Let the next step of all `optimizers` have the learning rate `lr`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = lr


def can_skip_by_flag(optimizer: Optimizer) -> bool:
    """Whether `flagged_step` is for it; for others the host must know whether to call `step`."""
    return bool(getattr(optimizer, "_step_supports_amp_scaling", False))


def flagged_step(optimizer: Optimizer, factor: Tensor | None, skipped: Tensor) -> None:
    """Make a step by `factor` (None: 1) times the gradients, or none where `skipped` is 1.

    Nobody waits for the device. The kernel divides by a number in fp32, whatever the weights are
    in, and leaves the multiplied gradients behind.
    """
    scale = None if factor is None else factor.reciprocal().to(torch.float32)
    optimizer.grad_scale, optimizer.found_inf = scale, skipped  # type: ignore[attr-defined]
    optimizer.step()


def multiply_gradients(optimizer: Optimizer, factor: Tensor | None) -> None:
    """Multiply the gradients of the parameters of `optimizer` by `factor`; None: by nothing."""
    if factor is None:
        return
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    gradients = [local(p.grad) for p in parameters if p.grad is not None]
    torch._foreach_mul_(gradients, factor.to(gradients[0].dtype))


def optimizer_state(model: nn.Module, optimizers: Sequence[Optimizer]) -> dict[str, Any]:
    """The state of each trained parameter by its name, whatever the number of processes.

    The tensors of an unsharded model are the optimizers' own, so copy them before the next step if
    they are to be kept. Those that are spread over processes (DTensor) are gathered to the CPU, so
    all processes must call this.
    """
    return {
        "kinds": kinds(optimizers),
        "parameters": {
            name: {key: gathered(value) for key, value in optimizer.state[parameter].items()}
            for name, parameter, optimizer, _ in owners(model, optimizers)
        },
    }


def load_optimizer_state(
    model: nn.Module, optimizers: Sequence[Optimizer], state: dict[str, Any]
) -> None:
    """Take up what `optimizer_state` gave, bit for bit.

    Learning rate, decay and the like stay as they are. Raises InputError where `state` is of other
    optimizers or of a model with other parameters.
    """
    require(
        state["kinds"] == kinds(optimizers),
        f"the optimizer's state is of {' and '.join(state['kinds'])}, but the settings ask for "
        f"{' and '.join(kinds(optimizers))}; keep optim.kind and training.freeze, or set "
        "training.resume=never",
    )
    found = state["parameters"]
    owned = list(owners(model, optimizers))
    differing = sorted(found.keys() ^ {name for name, *_ in owned})
    require(
        not differing,
        f"the optimizer's state does not fit the model: {len(differing)} parameters are in one of "
        f"them only, as {', '.join(differing[:3])}; keep model and training.freeze, or set "
        "training.resume=never",
    )
    for name, parameter, optimizer, group in owned:
        is_fused = bool(group.get("fused"))
        loaded = {
            key: placed(name, parameter, key, value, is_fused) for key, value in found[name].items()
        }
        optimizer.state[parameter] = loaded


def kinds(optimizers: Iterable[Optimizer]) -> list[str]:
    """The names of the optimizers' classes."""
    return [type(optimizer).__name__ for optimizer in optimizers]


def owners(
    model: nn.Module, optimizers: Iterable[Optimizer]
) -> Iterator[tuple[str, nn.Parameter, Optimizer, dict[str, Any]]]:
    """Each trained parameter with its name, its optimizer and its group there."""
    of_parameter = {
        parameter: (optimizer, group)
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    for name, parameter in named_trained(model):
        yield name, parameter, *of_parameter[parameter]


def gathered(value: Tensor) -> Tensor:
    """`value` itself, or all of it on the CPU if it is spread over processes."""
    return whole(value).cpu() if isinstance(value, DTensor) else value


def placed(name: str, parameter: Tensor, key: str, value: Tensor, is_fused: bool) -> Tensor:
    """A copy of the loaded `value` where the optimizer of `parameter` looks for it.

    A step count lies on the CPU unless the step is fused.
    """
    if key == "step":
        return value.to(parameter.device if is_fused else "cpu", copy=True)
    # Adafactor's second moments have length 1 where they are means over rows or columns.
    fits = value.dim() == parameter.dim() and all(
        n in {m, 1} for n, m in zip(value.shape, parameter.shape, strict=True)
    )
    require(
        fits,
        f"the optimizer's state does not fit the model: {key} of {name} is {list(value.shape)}, "
        f"the parameter {list(parameter.shape)}",
    )
    return like(value.to(parameter.device, copy=True), parameter)


def freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Let the parameters whose name fits one of `patterns` (encoder.*, *norm*) stay as they are.

    A tied parameter has several names; one that fits will do. Raises InputError where a pattern
    fits none, or where nothing would be left to train.
    """
    named = list(model.named_parameters(remove_duplicate=False))
    for pattern in patterns:
        matching = [parameter for name, parameter in named if fnmatchcase(name, pattern)]
        if not matching:
            names = [name for name, _ in named]
            near = get_close_matches(pattern, names, n=3, cutoff=0.0)
            raise InputError(
                f"training.freeze: {pattern!r} fits no parameter; the nearest are {', '.join(near)}"
            )
        for parameter in matching:
            parameter.requires_grad_(False)
    parameters = list(model.parameters())
    frozen = [parameter for parameter in parameters if not parameter.requires_grad]
    require(
        len(frozen) < len(parameters),
        f"training.freeze={list(patterns)} freezes all parameters; leave some to train",
    )
    if patterns:
        logger.info(
            "%s of %s parameters are frozen (training.freeze)",
            f"{sum(parameter.numel() for parameter in frozen):,}",
            f"{sum(parameter.numel() for parameter in parameters):,}",
        )
