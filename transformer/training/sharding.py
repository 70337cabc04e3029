"""A model whose weights are spread over processes (FSDP2; Zhao et al., 2023)."""

import warnings
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from transformer.checkpoint import require_fitting
from transformer.model import Transformer


def shard(model: Transformer, device: torch.device, n_processes: int) -> None:
    """Spread the parameters of `model` over the `device` of all processes, in place.

    A layer at a time, so that a model on the CPU is never whole on a GPU.
    """
    # The warning is of in-place changes of what a layer returns; the model makes none.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    mesh = init_device_mesh(device.type, (n_processes,))
    for layer in model.encoder:
        fully_shard(layer, mesh=mesh)
    for layer in model.decoder:
        # `start` projects the memory outside of the layer's own forward pass.
        fully_shard(layer.cross_attention.key_value, mesh=mesh)  # type: ignore[arg-type,union-attr]
        fully_shard(layer, mesh=mesh)
    # What is not in a layer stays whole from the first use to the end of the backward pass.
    fully_shard(model, mesh=mesh, reshard_after_forward=False)
    for method in ("start", "hidden", "packed_hidden"):
        register_fsdp_forward_method(model, method)


def synchronize_next_backward(model: nn.Module, wanted: bool) -> None:
    """Whether the next backward pass sums the gradients over processes, or keeps them here."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(wanted)


def local(tensor: Tensor) -> Tensor:
    """This process's part of a tensor; the tensor itself where it is not spread."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, gathered where it is spread: then every process must call."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def like(tensor: Tensor, other: Tensor) -> Tensor:
    """`tensor`, which is whole, spread as `other` is."""
    if isinstance(other, DTensor):
        return distribute_tensor(tensor.to(other.device), other.device_mesh, other.placements)
    return tensor


def whole_weights(weights: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Weights by name to save; those that are spread are gathered on the CPU, others not copied."""
    return {
        name: whole(weight.detach()).cpu() if isinstance(weight, DTensor) else weight.detach()
        for name, weight in weights
    }


@torch.no_grad()
def load_whole_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy whole `weights` into a model that may be spread; InputError where they do not fit."""
    require_fitting(weights, dict(model.named_parameters()))
    for name, parameter in model.named_parameters():
        parameter.copy_(like(weights[name], parameter))
