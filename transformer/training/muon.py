"""Muon: momentum made orthogonal, for the matrices inside the layers."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from transformer.training.sharding import whole

# Of the quintic iteration of Jordan et al., 2024: five times p(s) = a s + b s^3 + c s^5 bring every
# singular value between about 0.01 and 1 to between 0.7 and 1.2.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
N_ITERATIONS = 5
# The root mean square of an update of AdamW, for which its rates are tuned (Liu et al., 2025,
# "Muon is scalable for LLM training", section 2.2).
ADAMW_RMS = 0.2


class Muon(torch.optim.Optimizer):
    """Jordan et al., 2024, with Nesterov momentum, decoupled decay and the step size of AdamW.

    `groups` hold 2-D "params" and "parts", the number of equal matrices that each parameter is a
    stack of: keys and values are 2 in one. Each part is made orthogonal by itself, as Jordan et al.
    advise for attention; a stack made orthogonal as a whole shares its D directions among the
    parts, none of which is orthogonal then. torch.optim.Muon takes a stack as a whole. For
    parameters of one part, and up to its rounding to bfloat16, the two agree.

    A spread gradient (DTensor) is gathered, one parameter at a time; all processes call `step`.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float,
        weight_decay: float,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "parts": 1}
        super().__init__(groups, defaults)
        for group in self.param_groups:
            for parameter in group["params"]:
                assert parameter.dim() == 2
                assert len(parameter) % group["parts"] == 0

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step(parameter, parameter.grad, group)

    def _step(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        momentum = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        direction = gradient.lerp(momentum, group["momentum"])  # Nesterov
        update = spread(orthogonal_step(whole(direction), group["parts"]), parameter)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(update, alpha=-group["lr"])


def orthogonal_step(direction: Tensor, parts: int) -> Tensor:
    """The update [parts * A, B] for rate 1 along `direction`, each part by itself."""
    matrices = direction.reshape(parts, -1, direction.shape[1])  # [parts, A, B]
    scale = ADAMW_RMS * math.sqrt(max(matrices.shape[1:]))
    return (scale * orthogonal(matrices)).reshape(direction.shape)


def spread(update: Tensor, parameter: Tensor) -> Tensor:
    """`update`, which every process has whole, spread as `parameter` is; nothing is sent."""
    if not isinstance(parameter, DTensor):
        return update
    return distribute_tensor(
        update, parameter.device_mesh, parameter.placements, src_data_rank=None
    )


def orthogonal(matrices: Tensor) -> Tensor:
    """About U V^T of each U S V^T of `matrices` [..., A, B]; zero stays zero.

    Computed in bfloat16 on CUDA, where that is several times as fast and does no harm (Jordan et
    al., 2024); elsewhere in the precision given, since many CPUs only emulate bfloat16.
    """
    a, b, c = COEFFICIENTS
    norm = torch.linalg.matrix_norm(matrices, keepdim=True)
    x = matrices / norm.clamp(min=torch.finfo(norm.dtype).tiny)
    x = x.bfloat16() if x.is_cuda else x
    is_tall = x.shape[-2] > x.shape[-1]
    x = x.mT if is_tall else x
    for _ in range(N_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    x = x.mT if is_tall else x
    return x.to(matrices.dtype)  # type: ignore[no-any-return]
