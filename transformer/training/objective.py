"""The training objective, fused with the output layer."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

CHUNK = 512  # positions whose logits are in memory at a time
# Gradients of logits are near 1 / V; times this they stay within the normal numbers of fp16.
HALF_SCALE = 1024.0


class TokenLoss(NamedTuple):
    """Sums over the labels, in nats."""

    smoothed: Tensor  # to be minimised: cross-entropy with the smoothed labels
    nll: Tensor  # negative log-likelihood of the labels, without smoothing; carries no gradient


def token_loss(hidden: Tensor, weight: Tensor, labels: Tensor, smoothing: float) -> TokenLoss:
    """The loss of `labels` [N] under the logits `hidden` [N, D] @ `weight` [V, D] transposed.

    Smoothing gives the label 1 - e and spreads e evenly over V (Szegedy et al., 2016, section 7).
    The logits of a whole batch never exist at once: their gradient is made in the forward pass,
    CHUNK positions at a time, in the arithmetic of the autocast in force.
    """
    device_type = hidden.device.type
    dtype = hidden.dtype
    if torch.is_autocast_enabled(device_type):
        dtype = torch.get_autocast_dtype(device_type)
    # Inside the function, gradients are never enabled and `needs_input_grad` does not tell.
    needed = torch.is_grad_enabled()
    return TokenLoss(
        *FusedLoss.apply(  # type: ignore[no-untyped-call]
            hidden, weight, labels, smoothing, dtype, needed
        )
    )


class FusedLoss(torch.autograd.Function):
    """Smoothed loss and NLL of an output layer, with gradients for its input and its weight."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        labels: Tensor,
        smoothing: float,
        dtype: torch.dtype,
        needed: bool,
    ) -> tuple[Tensor, Tensor]:
        needed = needed and any(ctx.needs_input_grad)
        with torch.autocast(hidden.device.type, enabled=False):
            work = Output(weight, smoothing, dtype, needed)
            gradients = [
                work.add(hidden[i : i + CHUNK].to(dtype), labels[i : i + CHUNK])
                for i in range(0, len(labels), CHUNK)
            ]
        if needed:
            hidden_gradient = torch.cat(gradients).to(hidden.dtype)
            ctx.save_for_backward(hidden_gradient, work.gradient)
        ctx.mark_non_differentiable(work.nll)
        return work.loss(), work.nll

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden_gradient, weight_gradient = ctx.saved_tensors
        factor = gradients[0]
        return hidden_gradient * factor, weight_gradient * factor, None, None, None, None


class Output:
    """The output layer at work on chunks: what it has summed up so far."""

    def __init__(self, weight: Tensor, smoothing: float, dtype: torch.dtype, needed: bool) -> None:
        self.weight = weight.to(dtype)
        self.smoothing = smoothing
        self.scale = HALF_SCALE if dtype is torch.float16 else 1.0
        # Sums are in fp32 where the arithmetic is half precision, else as precise as the weights.
        self.gradient = torch.zeros_like(weight) if needed else None
        self.nll = weight.new_zeros(())
        self.uniform = weight.new_zeros(())  # cross-entropy with uniform labels

    def loss(self) -> Tensor:
        """The smoothed loss of all chunks."""
        return (1 - self.smoothing) * self.nll + self.smoothing * self.uniform

    def add(self, x: Tensor, labels: Tensor) -> Tensor:
        """The gradient [N, D] at a chunk's `x` (empty where none is needed)."""
        logits = (x @ self.weight.t()).to(self.nll.dtype)  # [N, V]
        normalizer = logits.logsumexp(-1, keepdim=True)
        self.nll += (normalizer - logits.gather(1, labels[:, None])).sum()
        self.uniform += (normalizer[:, 0] - logits.mean(-1)).sum()
        if self.gradient is None:
            return x[:0]
        delta = logits.sub_(normalizer).exp_().sub_(self.smoothing / logits.shape[1])
        delta.scatter_add_(1, labels[:, None], torch.full_like(normalizer, self.smoothing - 1))
        if self.scale != 1:
            delta *= self.scale
        delta = delta.to(x.dtype)
        if x.dtype is self.gradient.dtype:
            self.gradient.addmm_(delta.t(), x)
        else:
            # `x` takes the scale back: the sum over a frequent label's positions would overflow.
            self.gradient += (delta.t() @ (x / self.scale)).to(self.gradient.dtype)
        gradient = delta @ self.weight
        return gradient if self.scale == 1 else gradient.float() / self.scale
