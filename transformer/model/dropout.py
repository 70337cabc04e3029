"""Dropout."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 2**16  # of a draw on the CPU: the probability is rounded to a multiple of 1 / LEVELS


class Dropout(nn.Module):
    """Zeroes elements at random while training, and scales the others up to keep the mean.

    Srivastava et al., 2014, in the form that does nothing at test time. On the CPU torch's own
    draws one number after another and takes a twentieth of an update; here one number of 64 bits
    is drawn for each four elements.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """`x` with elements zeroed."""
        return dropout(x, self.probability if self.training else 0.0)

    def extra_repr(self) -> str:
        """What stands between the brackets of its `repr`."""
        return f"{self.probability}"


def dropout(x: Tensor, probability: float) -> Tensor:
    """`x` with each element zeroed with `probability`, which is below 1."""
    if probability == 0:
        return x
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, probability)
    return _Dropout.apply(x, probability)  # type: ignore[no-any-return,no-untyped-call]


def draw(shape: torch.Size, n_dropped: int) -> Tensor:
    """A boolean mask on the CPU, False at `n_dropped` of LEVELS elements in the mean."""
    n = shape.numel()
    words = torch.empty(-(-n // 4), dtype=torch.int64).random_(-(2**63), None)
    levels = words.view(torch.int16)[:n].view(shape)  # from -LEVELS / 2 on
    return levels >= n_dropped - LEVELS // 2


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, probability: float) -> Tensor:
        n_dropped = min(round(probability * LEVELS), LEVELS - 1)
        kept = draw(x.shape, n_dropped)
        ctx.save_for_backward(kept)
        ctx.scale = LEVELS / (LEVELS - n_dropped)
        scaled: Tensor = torch.ops.aten.native_dropout_backward(x, kept, ctx.scale)
        return scaled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return torch.ops.aten.native_dropout_backward(gradients[0], kept, ctx.scale), None
