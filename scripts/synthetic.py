"""Updates as the trainer makes them: drawn sentences of exact lengths, processes of their own."""

import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from measuring import synchronize, training_flops
from torch import Tensor

from transformer.config import ModelConfig, Norm, OptimConfig, Precision
from transformer.device import keep_freed_memory
from transformer.errors import require
from transformer.model import Transformer
from transformer.text.batching import Batch
from transformer.text.tokenizer import BOS_ID, EOS_ID, PAD_ID
from transformer.training.distributed import Processes
from transformer.training.objective import TokenLoss, batch_loss
from transformer.training.schedule import build_schedule
from transformer.training.stream import Position, UpdateBatches, Work
from transformer.training.update import Updater, padded_size

T = TypeVar("T")
CHANNELS = 64  # a head


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A model and its batches; the defaults are model=small on the CPU."""

    d_model: int = 256  # the feed-forward layer is four times as wide
    layers: int = 3  # of the encoder, and as many of the decoder
    length: int = 32  # tokens of each sentence on each side, EOS counted
    vocab_size: int = 8000
    batch_tokens: int = 2048  # on each side, in whole sentences

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            require(
                type(value) is int and value >= 1,
                f"{name}={value!r} must be a whole number of at least 1",
            )
        require(
            self.batch_tokens >= self.length,
            f"batch_tokens={self.batch_tokens} must be at least the length of {self.length}",
        )
        require(
            self.vocab_size > EOS_ID + 1,
            f"vocab_size={self.vocab_size} must be above {EOS_ID + 1}",
        )
        self.model()  # refuses what is no model

    @property
    def n_sentences(self) -> int:
        """The rows of a batch."""
        return self.batch_tokens // self.length

    @property
    def n_tokens(self) -> int:
        """The tokens of a batch on each side."""
        return self.n_sentences * self.length

    def model(self) -> ModelConfig:
        """The settings of the model."""
        return ModelConfig(
            encoder_layers=self.layers,
            decoder_layers=self.layers,
            d_model=self.d_model,
            d_feed_forward=4 * self.d_model,
            n_heads=max(1, self.d_model // CHANNELS),
            norm=Norm.pre,
        )

    def flops(self) -> float:
        """Of the matrix products of an update's forward and backward pass."""
        lengths = [self.length] * self.n_sentences
        return training_flops(self.model(), self.vocab_size, lengths, lengths)

    def batch(self) -> Batch:
        """Sentences of `length` tokens whose ids are equally likely; no padding."""
        size = (2, self.n_sentences, self.length - 1)
        generator = torch.Generator().manual_seed(1)
        source, target = torch.randint(EOS_ID + 1, self.vocab_size, size, generator=generator)
        edge = torch.ones(self.n_sentences, 1, dtype=torch.int64)
        return Batch(
            torch.cat([source, EOS_ID * edge], 1),
            torch.cat([BOS_ID * edge, target], 1),
            torch.cat([target, EOS_ID * edge], 1),
            torch.arange(self.n_tokens),
            self.n_tokens,
            self.n_tokens,
        )


class Training:
    """A model that trains on one batch again and again."""

    def __init__(
        self,
        shape: Shape,
        device: torch.device,
        precision: Precision,
        *,
        processes: Processes | None = None,
    ) -> None:
        if device.type == "cpu":
            keep_freed_memory()
        torch.manual_seed(1)
        self.device = device
        self.processes = processes or Processes()
        size = shape.vocab_size
        model = Transformer(
            shape.model(), source_vocab_size=size, target_vocab_size=size, pad_id=PAD_ID
        )
        optim = OptimConfig(lr=1e-4)
        self.updater = Updater(
            model.to(device),
            partial(batch_loss, smoothing=0.1),
            optim,
            build_schedule(optim, 1000),
            precision,
            processes=self.processes,
        )
        self._batch = shape.batch()

    def update(self) -> float:
        """Seconds of one update."""
        batch, count = self._batch, self.processes.count
        update = UpdateBatches(
            [Work(batch, np.arange(0), seed=1)],
            count * batch.n_source_tokens,
            count * batch.n_target_tokens,
            count * padded_size(batch),
            Position(1),
            0.0,
        )
        started = time.perf_counter()
        self.updater.update(update)
        synchronize(self.device)
        return time.perf_counter() - started


class Phases:
    """When the parts of an update begin and end, on the CPU in one process."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._forward = 0.0
        self._ready: dict[Tensor, float] = {}
        objective = training.updater.objective

        def timed(model: Transformer, batch: Batch) -> TokenLoss:
            loss = objective(model, batch)
            self._forward = time.perf_counter()
            return loss

        training.updater.objective = timed
        for parameter in training.updater.parameters:
            parameter.register_post_accumulate_grad_hook(self._note)  # type: ignore[no-untyped-call]

    def _note(self, parameter: Tensor) -> None:
        self._ready[parameter] = time.perf_counter()

    def update(self) -> dict[str, Any]:
        """Seconds of each part of an update, and when each gradient was ready.

        `gradients` are (share of the backward pass gone by, bytes), in the order of their making.
        """
        self._ready.clear()
        started = time.perf_counter()
        update_s = self._training.update()
        ended, forward = time.perf_counter(), self._forward
        times = sorted((when, p.numel() * p.element_size()) for p, when in self._ready.items())
        backward = times[-1][0]
        return {
            "update_s": update_s,
            "forward_s": forward - started,
            "backward_s": backward - forward,
            "optimizer_s": ended - backward,
            "gradients": [((when - forward) / (backward - forward), n) for when, n in times],
        }


def together(work: Callable[..., T], *calls: Sequence[Any]) -> list[T]:
    """What `work` gives for the arguments of each of `calls`, at one time in processes anew.

    They find each other as torchrun's would: `distributed.joined` joins them. A process begins
    with the modules read and nothing else, so its peak of memory is its own.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["synthetic"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with ProcessPoolExecutor(len(calls), mp_context=context) as pool:
        found = [
            pool.submit(_as_rank, rank, len(calls), port, work, call)
            for rank, call in enumerate(calls)
        ]
        return [future.result() for future in found]


def _as_rank(
    rank: int, count: int, port: str, work: Callable[..., T], arguments: Sequence[Any]
) -> T:
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    return work(*arguments)
