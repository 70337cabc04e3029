"""Sums over the updates since the last log line."""

import math
import resource
import sys
import time
from collections import Counter
from typing import Any

import torch
from torch import Tensor

from transformer.training.stream import UpdateBatches
from transformer.training.update import UpdateResult


class Window:
    """Sums over the updates since the last log line, of all processes.

    Tensors stay on their device, unread, until somebody asks for the state or the scalars.
    """

    def __init__(self) -> None:
        self.n_source_tokens = 0  # without padding, EOS counted
        self.n_target_tokens = 0
        self.n_padded_tokens = 0  # of both sides, padding included
        self.n_pairs: Counter[str] = Counter()  # of each corpus, where there are several
        self.nll: list[Tensor] = []  # of each update
        self.skipped: list[Tensor] = []
        self.n_labels: list[int] = []
        # Of the window's updates before this process, which say nothing of its speed.
        self.n_source_before = 0
        self.n_target_before = 0
        self.started = time.perf_counter()

    def add(self, work: UpdateBatches, result: UpdateResult) -> None:
        """Count one update."""
        self.n_source_tokens += work.n_source_tokens
        self.n_target_tokens += work.n_target_tokens
        self.n_padded_tokens += work.n_padded_tokens
        self.n_pairs.update(work.n_pairs)
        self.nll.append(result.nll.detach())
        self.skipped.append(result.skipped.detach())
        self.n_labels.append(work.n_target_tokens)

    def state(self) -> dict[str, Any]:
        """What a resumed run needs to log the same loss; waits for the device."""
        return {
            "n_source_tokens": self.n_source_tokens,
            "n_target_tokens": self.n_target_tokens,
            "n_padded_tokens": self.n_padded_tokens,
            "n_pairs": dict(self.n_pairs),
            "nll": _on_cpu(self.nll),
            "skipped": _on_cpu(self.skipped),
            "n_labels": list(self.n_labels),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up the state that `state` gave."""
        self.n_source_tokens = self.n_source_before = state["n_source_tokens"]
        self.n_target_tokens = self.n_target_before = state["n_target_tokens"]
        self.n_padded_tokens = state["n_padded_tokens"]
        self.n_pairs = Counter(state.get("n_pairs", {}))  # absent before corpora were counted
        self.nll, self.skipped = list(state["nll"]), list(state["skipped"])
        self.n_labels = list(state["n_labels"])

    def n_skipped(self) -> int:
        """How many of the updates were skipped; waits for the device."""
        return int(_on_cpu(self.skipped).sum())

    def loss(self) -> float:
        """Nats a label over the updates that were not skipped; NaN where there are none."""
        taken = _on_cpu(self.skipped) == 0
        n_labels = torch.tensor(self.n_labels, dtype=torch.float64)[taken].sum()
        return float(_on_cpu(self.nll)[taken].sum() / n_labels)

    def scalars(self, result: UpdateResult) -> dict[str, float]:
        """What TensorBoard shows of these updates; `result` is the last one's."""
        seconds = time.perf_counter() - self.started
        loss = self.loss()
        real = self.n_source_tokens + self.n_target_tokens
        n_pairs = self.n_pairs.total()
        shares = {f"data/share/{name}": n / n_pairs for name, n in self.n_pairs.items()}
        return shares | {
            "train/loss": loss,
            "train/perplexity": math.exp(loss) if loss < 700 else math.inf,
            "train/learning_rate": result.lr,
            "train/gradient_norm": float(result.gradient_norm),
            "speed/source_tokens_per_s": (self.n_source_tokens - self.n_source_before) / seconds,
            "speed/target_tokens_per_s": (self.n_target_tokens - self.n_target_before) / seconds,
            "speed/padding_share": 1 - real / self.n_padded_tokens,
            "memory/gb": peak_memory() / 1e9,
        }


def _on_cpu(values: list[Tensor]) -> Tensor:
    """float64 [n] of n numbers, which may lie on several devices."""
    if not values:
        return torch.zeros(0, dtype=torch.float64)
    # A stack of each device's values is one copy of them; a copy of each would be many.
    parts: dict[torch.device, list[int]] = {}
    for i, value in enumerate(values):
        parts.setdefault(value.device, []).append(i)
    gathered = torch.empty(len(values), dtype=torch.float64)
    for indices in parts.values():
        gathered[indices] = torch.stack([values[i] for i in indices]).double().cpu()
    return gathered


def peak_memory() -> float:
    """The most memory used so far, in bytes: of the GPU where there is one, else of the process."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
