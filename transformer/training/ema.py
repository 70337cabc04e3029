"""The running mean of the weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from transformer.training.sharding import like, local, whole_weights


class Ema:
    """An exponential moving mean of a model's weights (Polyak and Juditsky, 1992, weighted).

    The first updates count for more: update t keeps at most (1 + t) / (10 + t) of the mean.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.parameters = dict(model.named_parameters())
        self.means = {name: weight.detach().clone() for name, weight in self.parameters.items()}

    @torch.no_grad()
    def update(self, number: int) -> None:
        """Take in the weights after update `number`."""
        decay = min(self.decay, (1 + number) / (10 + number))
        means = [local(mean) for mean in self.means.values()]
        weights = [local(weight.detach()) for weight in self.parameters.values()]
        torch._foreach_lerp_(means, weights, 1 - decay)  # as torch.optim does

    def weights(self) -> dict[str, Tensor]:
        """The mean, whole: every process must call."""
        return whole_weights(self.means.items())

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Lets the model have the mean for its weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, weight in self.parameters.items():
            mean = local(self.means[name])
            own = local(weight.detach())
            kept = own.clone()
            own.copy_(mean)
            mean.copy_(kept)

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take up the mean of a checkpoint, given whole."""
        for name, mean in self.means.items():
            mean.copy_(like(weights[name], mean))
