"""One update: sum gradients over batches and processes, clip, set the learning rate, step."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from transformer.config import OptimConfig, Precision
from transformer.device import autocast
from transformer.errors import InputError
from transformer.model import Transformer
from transformer.text.batching import Batch
from transformer.training.distributed import Processes
from transformer.training.gradients import build_gradients, trained
from transformer.training.objective import Objective
from transformer.training.optimizer import (
    build_optimizers,
    can_skip_by_flag,
    flagged_step,
    load_optimizer_state,
    multiply_gradients,
    optimizer_state,
    set_rate,
)
from transformer.training.stream import UpdateBatches, Work

logger = logging.getLogger(__name__)

Flags = Callable[[], Sequence[float]]

FIRST_SCALE = 2.0**16
SCALE_INTERVAL = 2_000  # updates without an overflow after which the scale doubles


class UpdateResult(NamedTuple):
    """What an update tells; tensors stay on the device until somebody logs them."""

    nll: Tensor  # sum over the labels of all processes, in nats
    losses: list[Tensor]  # the same of each own batch
    gradient_norm: Tensor  # before clipping
    skipped: Tensor  # 1 where loss or gradient was not finite and no weight has changed, else 0
    lr: float
    agreed: list[float]  # the largest of each flag over all processes


class LossScale:
    """The factor that keeps fp16 gradients within its range; 1 for other precisions.

    After Micikevicius et al. (2018), section 3.2; halved at an overflow, doubled after
    SCALE_INTERVAL updates without one.
    """

    def __init__(self, device: torch.device, enabled: bool) -> None:
        self.enabled = enabled
        self.scale = torch.tensor(FIRST_SCALE if enabled else 1.0, device=device)
        self.n_good = torch.zeros((), device=device)  # updates since the scale changed

    def update(self, skipped: Tensor) -> None:
        """Move the scale after an update that overflowed (1) or did not (0)."""
        if not self.enabled:
            return
        self.n_good = (self.n_good + 1) * (1 - skipped)
        grown = (self.n_good >= SCALE_INTERVAL).float()
        self.scale = self.scale * (1 + grown) * (1 - 0.5 * skipped)
        self.n_good = self.n_good * (1 - grown)

    def state(self) -> dict[str, Tensor]:
        """The scale and how long it has been good."""
        return {"scale": self.scale, "n_good": self.n_good}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take up the state that `state` gave, unless the precision needs no scale."""
        if self.enabled:
            self.scale = state["scale"].to(self.scale.device)
            self.n_good = state["n_good"].to(self.scale.device)


class Updater:
    """The model with what changes its weights."""

    def __init__(
        self,
        model: Transformer,
        objective: Objective,
        config: OptimConfig,
        schedule: Callable[[int], float],
        precision: Precision,
        *,
        processes: Processes | None = None,
        sharded: bool = False,
    ) -> None:
        self.model = model
        self.objective = objective
        self.schedule = schedule
        self.processes = processes or Processes()
        self.sharded = sharded
        self.max_norm = config.clip_norm
        self.parameters = trained(model)
        self.gradients = build_gradients(model, self.processes, sharded=sharded)
        self.device = self.parameters[0].device
        self.optimizers = build_optimizers(model, config)
        self.rate_factor = 1.0  # of the schedule's rate: what plateaus and rollbacks leave of it
        self.largest: int | None = None  # padded tokens of a batch that fit in memory; None: any
        self.use(precision)

    def use(self, precision: Precision) -> None:
        """Compute in `precision` from the next update on."""
        self.precision = precision
        self.scale = LossScale(self.device, precision is Precision.fp16)

    def update(self, update: UpdateBatches, flags: Flags = tuple) -> UpdateResult:
        """Change the weights by the gradient of the mean loss over all labels of `update`.

        All processes agree on the `flags` that they have after their last backward pass.
        """
        self.model.train()
        losses, agreed = self._backward(update, flags)
        nll, norm = self.gradients.totals()
        # Of the gradients as they are; NaN or infinite where any of them is, or a loss was.
        norm = norm / self.scale.scale + 0 * nll
        skipped = (~norm.isfinite()).to(torch.float32)
        lr = self.rate_factor * self.schedule(update.position.update)
        self._step(lr, self._factor(norm), skipped)
        self.scale.update(skipped)
        return UpdateResult(nll, losses, norm, skipped, lr, agreed)

    def _zero(self) -> Tensor:
        return torch.zeros((), dtype=self.parameters[0].dtype, device=self.device)

    def _factor(self, norm: Tensor) -> Tensor | None:
        """What clipping and the scale multiply the gradients by; None: by nothing."""
        if self.max_norm is None and not self.scale.enabled:
            return None
        limit = float("inf") if self.max_norm is None else self.max_norm
        return (limit / (norm + 1e-6)).clamp(max=1.0) / self.scale.scale

    def _step(self, lr: float, factor: Tensor | None, skipped: Tensor) -> None:
        set_rate(self.optimizers, lr)
        for optimizer in self.optimizers:
            if can_skip_by_flag(optimizer) and not self.sharded:
                flagged_step(optimizer, factor, skipped)
            elif not bool(skipped):  # here the device has to be waited for
                multiply_gradients(optimizer, factor)
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def _backward(self, update: UpdateBatches, flags: Flags) -> tuple[list[Tensor], list[float]]:
        """The loss of each own batch, its gradient added to the parameters'; the agreed flags.

        Where memory runs out in any process, all of them begin again with smaller batches.
        """
        self.gradients.clear()
        while True:
            losses, failed = self._try_backward(update)
            # Of the weights' type also where this process has no batch.
            self.gradients.send(torch.stack([self._zero(), *losses]).sum())
            failed, *agreed = self.processes.agree(failed, *flags())
            if not failed:
                return losses, agreed
            self.gradients.clear()
            self._split_from(int(failed))

    def _try_backward(self, update: UpdateBatches) -> tuple[list[Tensor], float]:
        """The losses, and the size of the batch that did not fit in memory; 0: all did."""
        losses = []
        size = 0
        try:
            for number, work in enumerate(update.work, start=1):
                torch.manual_seed(work.seed)
                loss = self._zero()
                parts = list(self._parts(work))
                for part in parts:
                    size = padded_size(part)
                    is_last = number == len(update.work) and part is parts[-1]
                    self.gradients.before_backward(is_last=is_last)
                    loss = loss + self._backward_part(part, work, update.n_target_tokens)
                if work.counts:
                    losses.append(loss)
        except torch.OutOfMemoryError as error:
            if self.sharded:  # the other processes are at a message that this one cannot send
                raise InputError(
                    f"out of memory with a batch of {size} padded tokens; lower data.batch_tokens"
                ) from error
            return [], size
        return losses, 0

    def _backward_part(self, batch: Batch, work: Work, n_labels: int) -> Tensor:
        moved = batch.to(self.device, non_blocking=True)
        with autocast(self.precision, self.device):
            loss = self.objective(self.model, moved)
        # FSDP2 takes the mean of the gradients over the processes, where this is a sum.
        n_means = self.processes.count if self.sharded else 1
        factor = n_means / n_labels if work.counts else 0.0
        (loss.smoothed * factor * self.scale.scale).backward()  # type: ignore[no-untyped-call]
        return loss.nll

    def _parts(self, work: Work) -> Iterator[Batch]:
        """The batch, in as many parts as it takes to fit in memory."""
        waiting = [work.batch]
        while waiting:
            batch = waiting.pop()
            if self.largest is None or padded_size(batch) <= self.largest or len(batch.source) == 1:
                yield batch
            else:
                waiting.extend(reversed(batch.split()))

    def _split_from(self, size: int) -> None:
        """Split batches so that none has `size` padded tokens again."""
        if self.largest is not None and size > self.largest:  # then it has a single row
            raise InputError(
                f"out of memory with a single sentence pair of {size} padded tokens; choose a "
                "smaller model, or lower cleaning.max_pieces"
            )
        self.largest = size // 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        logger.warning(
            "out of memory with a batch of %d padded tokens; from here on, batches of more than "
            "%d are computed in parts (lower data.batch_tokens to avoid that)",
            size,
            self.largest,
        )

    def state(self) -> dict[str, Any]:
        """What a resumed run needs to go on as if never stopped; every process must call."""
        return {
            "optimizer": optimizer_state(self.model, self.optimizers),
            "scale": self.scale.state(),
            "precision": self.precision.name,
            "largest": self.largest,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up the state that `state` gave."""
        load_optimizer_state(self.model, self.optimizers, state["optimizer"])
        self.scale.load_state(state["scale"])
        # Sharded, all processes must compute equally many batches.
        self.largest = None if self.sharded else state["largest"]
        if self.largest is not None:
            logger.info("batches of more than %d padded tokens are computed in parts", self.largest)


def padded_size(batch: Batch) -> int:
    """The tokens of a batch on both sides, padding included."""
    return batch.source.numel() + batch.labels.numel()
