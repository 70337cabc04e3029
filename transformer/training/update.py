"""One update: accumulate gradients, unscale, clip, set the learning rate, step."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from transformer.config import OptimConfig, Precision
from transformer.device import autocast
from transformer.model import Transformer
from transformer.text.batching import Batch
from transformer.training.objective import TokenLoss, token_loss


class UpdateResult(NamedTuple):
    """What an update tells; tensors stay on the device until somebody logs them."""

    nll: Tensor  # sum over the labels, in nats
    gradient_norm: Tensor  # before clipping
    lr: float


def batch_loss(model: Transformer, batch: Batch, smoothing: float) -> TokenLoss:
    """The loss of `batch` on the model's device, summed over its labels."""
    hidden = model.hidden(batch.target, model.start(batch.source))
    # Only real labels meet the output layer, whose matrix product is the largest of all.
    hidden = hidden.flatten(0, 1).index_select(0, batch.label_positions)  # [N, D]
    labels = batch.labels.flatten().index_select(0, batch.label_positions)
    return token_loss(hidden, model.output.weight, labels, smoothing)


class Updater:
    """The model with what changes its weights."""

    def __init__(
        self,
        model: Transformer,
        config: OptimConfig,
        schedule: Callable[[int], float],
        precision: Precision,
        smoothing: float,
    ) -> None:
        self.model = model
        self.schedule = schedule
        self.precision = precision
        self.smoothing = smoothing
        self.max_norm = float("inf") if config.clip_norm is None else config.clip_norm
        self.device = next(model.parameters()).device
        self.optimizer = build_optimizer(model, config)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision is Precision.fp16)

    def update(self, batches: Sequence[Batch], number: int) -> UpdateResult:
        """Update `number` (from 1), from the gradient of the mean loss over all labels."""
        self.model.train()
        n_labels = sum(batch.n_target_tokens for batch in batches)
        nll = torch.zeros((), device=self.device)
        for batch in batches:
            moved = batch.to(self.device, non_blocking=True)
            with autocast(self.precision, self.device):
                loss = batch_loss(self.model, moved, self.smoothing)
            self.scaler.scale(loss.smoothed / n_labels).backward()  # type: ignore[no-untyped-call]
            nll += loss.nll
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.max_norm)
        lr = self._set_rate(number)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return UpdateResult(nll, norm, lr)

    def _set_rate(self, number: int) -> float:
        lr = self.schedule(number)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        return lr

    def state(self) -> dict[str, Any]:
        """What a resumed run needs to go on as if never stopped."""
        return {"optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up the state that `state` gave."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """AdamW over all parameters; without weight decay it is Adam.

    Decay is decoupled (Loshchilov and Hutter, 2019) and falls on matrices only.
    """
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() <= 1]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        fused=True,
    )
