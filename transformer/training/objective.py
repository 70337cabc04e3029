"""The training objective, fused with the output layer."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from transformer.model import Transformer
from transformer.model.packing import Packing
from transformer.text.batching import Batch

# Logits that are in memory at a time: on a CPU about what its cache holds, on a GPU enough for its
# matrix products to be large.
CHUNK_LOGITS = {"cpu": 2**22, "cuda": 2**27}
# Gradients of logits are near 1 / V; times this they stay within the normal numbers of fp16.
HALF_SCALE = 1024.0


class TokenLoss(NamedTuple):
    """Sums over the labels, in nats."""

    smoothed: Tensor  # to be minimised: cross-entropy with the smoothed labels, and what is beside
    nll: Tensor  # negative log-likelihood of the labels, without smoothing; carries no gradient


Objective = Callable[[Transformer, Batch], TokenLoss]  # of a batch on the model's device


class Criterion(Protocol):
    """The loss of some labels of a batch, made from their logits."""

    def __call__(
        self, logits: Tensor, part: slice, *, needed: bool
    ) -> tuple[TokenLoss, Tensor | None]:
        """The loss of the labels `part` and, where `needed`, its gradient at their logits.

        `logits` are [n, ..., V].
        """


# Logits [n, V], labels [n, 1] and smoothing to the loss and its gradient at the logits [n, V].
LabelTerms = Callable[[Tensor, Tensor, float], tuple[TokenLoss, Tensor]]


def label_objective(smoothing: float, *, packing: bool, compiled: bool) -> Objective:
    """The label loss, of padded or packed batches, by kernels of torch or compiled ones."""
    terms: LabelTerms = torch.compile(label_terms, dynamic=True) if compiled else label_terms
    return partial(packed_loss if packing else batch_loss, smoothing=smoothing, terms=terms)


def packed_loss(
    model: Transformer, batch: Batch, smoothing: float, terms: LabelTerms | None = None
) -> TokenLoss:
    """`batch_loss` without any arithmetic on padding."""
    counts = batch.n_source_tokens, batch.n_target_tokens
    source, target = (
        Packing.of((ids != model.pad_id).sum(1), ids.shape[1], n)
        for ids, n in zip((batch.source, batch.labels), counts, strict=True)
    )
    hidden = model.packed_hidden(
        source.pick(batch.source), target.pick(batch.target), source, target
    )
    return token_loss(hidden, model.output.weight, target.pick(batch.labels), smoothing, terms)


def batch_loss(
    model: Transformer, batch: Batch, smoothing: float, terms: LabelTerms | None = None
) -> TokenLoss:
    """The loss of `batch` on the model's device, summed over its labels."""
    hidden = model.hidden(batch.target, model.start(batch.source))
    # Only real labels meet the output layer, whose matrix product is the largest of all.
    hidden = hidden.flatten(0, 1).index_select(0, batch.label_positions)  # [N, D]
    labels = batch.labels.flatten().index_select(0, batch.label_positions)
    return token_loss(hidden, model.output.weight, labels, smoothing, terms)


def token_loss(
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    smoothing: float,
    terms: LabelTerms | None = None,
) -> TokenLoss:
    """The loss of `labels` [N] under the logits `hidden` [N, D] @ `weight` [V, D] transposed.

    Smoothing gives the label 1 - e and spreads e evenly over V (Szegedy et al., 2016, section 7).
    """
    return chunked_loss(hidden, weight, LabelCriterion(labels, smoothing, terms or label_terms))


def chunked_loss(hidden: Tensor, weight: Tensor, criterion: Criterion) -> TokenLoss:
    """What `criterion` says of the logits `hidden` [N, ..., D] @ `weight` [V, D] transposed.

    The logits of a whole batch never exist at once: their gradient is made in the forward pass,
    a chunk of rows at a time, in the arithmetic of the autocast in force.
    """
    device_type = hidden.device.type
    dtype = hidden.dtype
    if torch.is_autocast_enabled(device_type):
        dtype = torch.get_autocast_dtype(device_type)
    # Inside the function, gradients are never enabled and `needs_input_grad` does not tell.
    needed = torch.is_grad_enabled()
    return TokenLoss(
        *FusedLoss.apply(hidden, weight, criterion, dtype, needed)  # type: ignore[no-untyped-call]
    )


def chunk_rows(device_type: str, vocab_size: int) -> int:
    """How many rows of logits are in memory at a time."""
    return max(1, CHUNK_LOGITS[device_type] // vocab_size)


class FusedLoss(torch.autograd.Function):
    """Loss and NLL at an output layer, with gradients for its input and its weight."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        criterion: Criterion,
        dtype: torch.dtype,
        needed: bool,
    ) -> tuple[Tensor, Tensor]:
        needed = needed and any(ctx.needs_input_grad)
        n_passes = math.prod(hidden.shape[1:-1])
        size = max(1, chunk_rows(hidden.device.type, len(weight)) // n_passes)
        parts = [slice(start, start + size) for start in range(0, len(hidden), size)]
        with torch.autocast(hidden.device.type, enabled=False):
            work = Output(weight, criterion, dtype, needed)
            gradients = [work.add(hidden[part].to(dtype), part) for part in parts]
        if needed:
            hidden_gradient = torch.cat(gradients).to(hidden.dtype)
            ctx.save_for_backward(hidden_gradient, work.gradient)
        ctx.mark_non_differentiable(work.nll)
        return work.smoothed, work.nll

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden_gradient, weight_gradient = ctx.saved_tensors
        factor = gradients[0]
        return hidden_gradient * factor, weight_gradient * factor, None, None, None


class Output:
    """The output layer at work on chunks: what it has summed up so far."""

    def __init__(
        self, weight: Tensor, criterion: Criterion, dtype: torch.dtype, needed: bool
    ) -> None:
        self.weight = weight.to(dtype)
        self.criterion = criterion
        # Sums are in fp32 where the arithmetic is half precision, else as precise as the weights.
        self.gradient = torch.zeros_like(weight) if needed else None
        self.smoothed = weight.new_zeros(())
        self.nll = weight.new_zeros(())

    def add(self, x: Tensor, part: slice) -> Tensor:
        """The gradient at a chunk's `x` [n, ..., D] (empty where none is needed)."""
        logits = (x @ self.weight.t()).to(self.nll.dtype)  # [n, ..., V]
        loss, delta = self.criterion(logits, part, needed=self.gradient is not None)
        self.smoothed += loss.smoothed
        self.nll += loss.nll
        if self.gradient is None or delta is None:
            return x[:0]
        gradient = self._back(x.flatten(0, -2), delta.flatten(0, -2), self.gradient)
        return gradient.view_as(x)

    def _back(self, x: Tensor, delta: Tensor, total: Tensor) -> Tensor:
        """The gradient at `x` from that at its logits; the gradient at the weight joins `total`."""
        if x.dtype is total.dtype:
            total.addmm_(delta.t(), x)
            return delta @ self.weight
        if x.dtype is not torch.float16:
            delta = delta.to(x.dtype)
            total += (delta.t() @ x).to(total.dtype)
            return delta @ self.weight
        # The largest of the label loss is at most 1; that of other losses may be any.
        scale = HALF_SCALE / torch.linalg.vector_norm(delta, math.inf).clamp(min=1)
        delta = delta.mul_(scale).to(x.dtype)
        # `x` takes the scale back: the sum over a frequent label's positions would overflow.
        total += (delta.t() @ (x / scale)).to(total.dtype)
        return (delta @ self.weight).to(total.dtype).div_(scale)


class LabelCriterion:
    """Cross-entropy with smoothed labels [N]."""

    def __init__(self, labels: Tensor, smoothing: float, terms: LabelTerms) -> None:
        self.labels = labels
        self.smoothing = smoothing
        self.terms = terms

    def __call__(
        self, logits: Tensor, part: slice, *, needed: bool
    ) -> tuple[TokenLoss, Tensor | None]:
        """The loss of the labels `part` and its gradient at `logits` [n, V]."""
        labels = self.labels[part, None]  # [n, 1]
        if needed:
            return self.terms(logits, labels, self.smoothing)
        normalizer = logits.logsumexp(-1, keepdim=True)
        return smoothed_loss(logits, normalizer, labels, self.smoothing), None


def label_terms(logits: Tensor, labels: Tensor, smoothing: float) -> tuple[TokenLoss, Tensor]:
    """The loss of `labels` [n, 1], and its gradient at `logits` [n, V]."""
    probabilities = logits.softmax(-1)
    # The largest probability is exp(largest logit - normalizer), and never below 1 / V.
    normalizer = logits.amax(-1, keepdim=True) - probabilities.amax(-1, keepdim=True).log()
    loss = smoothed_loss(logits, normalizer, labels, smoothing)
    delta = probabilities.sub_(smoothing / logits.shape[1])
    delta.scatter_add_(1, labels, torch.full_like(normalizer, smoothing - 1))
    return loss, delta


def smoothed_loss(
    logits: Tensor, normalizer: Tensor, labels: Tensor, smoothing: float
) -> TokenLoss:
    """The loss of `labels` [n, 1] under `logits` [n, V], whose logsumexp is `normalizer` [n, 1]."""
    nll = (normalizer - logits.gather(1, labels)).sum()
    uniform = (normalizer[:, 0] - logits.mean(-1)).sum()  # cross-entropy with uniform labels
    return TokenLoss((1 - smoothing) * nll + smoothing * uniform, nll)


class DerivedCriterion:
    """A criterion from a loss alone, whose gradient autograd derives a chunk at a time."""

    def __init__(self, loss: Callable[[Tensor, slice], TokenLoss]) -> None:
        self.loss = loss

    def __call__(
        self, logits: Tensor, part: slice, *, needed: bool
    ) -> tuple[TokenLoss, Tensor | None]:
        """The loss of the labels `part` and its gradient at `logits` [n, ..., V]."""
        with torch.enable_grad():
            loss = self.loss(logits.requires_grad_(needed), part)
        if not needed:
            return loss, None
        (delta,) = torch.autograd.grad(loss.smoothed, logits)
        return TokenLoss(loss.smoothed.detach(), loss.nll.detach()), delta
