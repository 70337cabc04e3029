"""Linear layers whose weights lie as the kernels of the CPU read them."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from transformer.device import EXACT, relative_error


class PrepackedLinear(nn.Module):
    """A linear layer in fp32 on the CPU, for inference: its weight is laid out for oneDNN once.

    Torch does that at each call. The parameters are those of `linear`, and must not change any
    more. The operators are the ones that torch's own compiler takes for this.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.packed = _pack(linear.weight.detach())

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "packed"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.packed = _pack(self.weight.detach())

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] to [..., D']."""
        return _multiply(x, self.packed, self.bias)


def prepack(model: nn.Module) -> None:
    """Lay out the weights of all linear layers of `model`, where this machine's torch can.

    They are kept twice from then on.
    """
    if not is_possible():
        return
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear):
                setattr(module, name, PrepackedLinear(child.requires_grad_(False)))


@cache
def is_possible() -> bool:
    """Whether this build of torch has the operators, and they compute in fp32."""
    generator = torch.Generator().manual_seed(1)
    x, weight = (torch.randn(rows, 256, generator=generator) for rows in (5, 1000))
    bias = torch.randn(1000, generator=generator)
    exact = torch.addmm(bias.double(), x.double(), weight.double().T)
    try:
        found = _multiply(x, _pack(weight), bias)
    except (AttributeError, RuntimeError):
        return False
    return relative_error(found, exact) < EXACT


def _pack(weight: Tensor) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, None)
    return packed


def _multiply(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    return product
