"""What all systems of the training benchmark share: the task, its batches, and turns at them.

It needs torch and the standard library, so that systems run in environments of their own.
"""

import json
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from serving import peak_resident, products, seconds_since_start, serve
from torch import Tensor, nn

PAD_ID, UNK_ID, BOS_ID, EOS_ID = 0, 1, 2, 3
SMOOTHING, DROPOUT, CLIP_NORM = 0.1, 0.1, 1.0
LR, BETAS, EPSILON = 1e-4, (0.9, 0.98), 1e-9  # of Adam
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}

Rows = list[list[int]]  # sentences as ids


class Pairs(NamedTuple):
    """A batch as ids, with EOS and without padding."""

    source: Rows
    target: Rows


@dataclass(frozen=True)
class Task:
    """What a system is to train, and on what."""

    model: dict[str, Any]  # fields of the project's ModelConfig
    vocab_size: int
    device: str
    precision: str
    threads: int
    warmup: int  # batches, the first ones, that are not measured
    batches: list[Pairs]

    @classmethod
    def read(cls, file: Path) -> "Task":
        """The task that the benchmark wrote."""
        fields = json.loads(file.read_text(encoding="utf-8"))
        fields["batches"] = [Pairs(*batch) for batch in fields["batches"]]
        return cls(**fields)

    def longest(self) -> int:
        """Tokens of the longest sentence."""
        return max(len(row) for batch in self.batches for side in batch for row in side)


@dataclass(frozen=True)
class System:
    """A system at its task."""

    prepare: Callable[[Pairs], Any]  # a batch as it wants it, on the host
    n_padded: Callable[[Any], int]  # tokens of such a batch on both sides, padding included
    step: Callable[[Any], None]  # an update by such a batch
    words: dict[str, Any] = field(default_factory=dict)  # versions, and what it does otherwise


def compete(task: Task, build: Callable[[Task], System]) -> None:
    """Make the updates of `task` that the benchmark asks for, and say how long they took."""

    def begin() -> tuple[dict[str, Any], Turns, Callable[[], dict[str, Any]]]:
        torch.set_num_threads(task.threads)
        torch.set_float32_matmul_precision(products(task.precision))
        torch.manual_seed(1)
        device = torch.device(task.device)
        system = build(task)
        turn = turns(system, task, device)
        turn({"batches": [0]})
        start = {"first_update_s": seconds_since_start()}
        turn({"batches": list(range(1, task.warmup))})
        return start, turn, lambda: {**final_words(device), **system.words}

    serve(begin)


Turns = Callable[[dict[str, Any]], dict[str, Any]]


def turns(system: System, task: Task, device: torch.device) -> Turns:
    """The answer to a request: updates by the batches that it numbers.

    Batches are made before the clock runs; it stops when the device is done.
    """

    def turn(request: dict[str, Any]) -> dict[str, Any]:
        batches = [system.prepare(task.batches[number]) for number in request["batches"]]
        wait(device)
        started = time.perf_counter()
        for batch in batches:
            system.step(batch)
        wait(device)
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "n_padded_tokens": sum(map(system.n_padded, batches))}

    return turn


def wait(device: torch.device) -> None:
    """Wait until a GPU is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def final_words(device: torch.device) -> dict[str, Any]:
    """Peak memory in bytes, and versions."""
    on_gpu = device.type == "cuda"
    peak = torch.cuda.max_memory_allocated(device) if on_gpu else peak_resident()
    versions = {"python": platform.python_version(), "torch": str(torch.__version__)}
    return {"peak_memory": peak, **versions}


class Tensors(NamedTuple):
    """A batch, padded on the right."""

    source: Tensor  # [B, S]
    target: Tensor  # [B, T] BOS, pieces
    labels: Tensor  # [B, T] pieces, EOS


def pad(rows: Rows) -> Tensor:
    """int64 [rows, longest], filled up with PAD."""
    tensors = [torch.tensor(row, dtype=torch.int64) for row in rows]
    return nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=PAD_ID)


def tensors_of(pairs: Pairs) -> Tensors:
    """The batch as tensors on the host."""
    shifted = [[BOS_ID, *row[:-1]] for row in pairs.target]
    found = Tensors(pad(pairs.source), pad(shifted), pad(pairs.target))
    if torch.cuda.is_available():
        return Tensors(*(tensor.pin_memory() for tensor in found))
    return found


def n_padded(batch: Tensors) -> int:
    """Tokens of both sides, padding included."""
    return batch.source.numel() + batch.labels.numel()


def autocast(task: Task) -> AbstractContextManager[object]:
    """The context of a forward pass in the task's precision."""
    dtype = HALF.get(task.precision)
    device_type = torch.device(task.device).type
    return torch.autocast(device_type, dtype=dtype, enabled=dtype is not None)


def plain_step(
    model: nn.Module, logits: Callable[[Tensor, Tensor], Tensor], task: Task
) -> Callable[[Tensors], None]:
    """An update as a plain loop does it; `logits` [B, T, V] of source and target."""
    device = torch.device(task.device)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=LR, betas=BETAS, eps=EPSILON, fused=True)
    scaler = torch.amp.GradScaler(device.type, enabled=task.precision == "fp16")
    model.train()

    def step(batch: Tensors) -> None:
        source, target, labels = (tensor.to(device, non_blocking=True) for tensor in batch)
        with autocast(task):
            loss = label_loss(logits(source, target), labels)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        scaler.step(optimizer)
        scaler.update()

    return step


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean smoothed cross-entropy of `labels` [B, T] under `logits` [B, T, V]."""
    return F.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=PAD_ID, label_smoothing=SMOOTHING
    )


def n_parameters(model: nn.Module) -> int:
    """How many numbers are trained; tied ones count once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def set_dropout(modules: Sequence[Any], p: float) -> None:
    """Let each of the modules drop out that share."""
    for module in modules:
        module.p = p
