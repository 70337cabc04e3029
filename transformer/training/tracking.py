"""What a run tells while it trains: log lines, a progress display, TensorBoard."""

import logging
import math
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from transformer.training.curves import Curves
from transformer.training.display import Display, log_to
from transformer.training.stream import UpdateBatches
from transformer.training.update import UpdateResult
from transformer.training.validation import Scores, Validation

__all__ = ["SilentTracker", "Tracker", "Window", "log_to", "peak_memory"]

logger = logging.getLogger(__name__)


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


class SilentTracker:
    """What takes the place of a Tracker in all processes but the first: it tells nothing."""

    def update(self, work: UpdateBatches, result: UpdateResult, share_done: float) -> None:
        """Do nothing."""

    def validation(
        self, number: int, found: Validation, samples: dict[str, list[str]], best: str
    ) -> None:
        """Do nothing."""

    def state(self) -> dict[str, Any]:
        """Nothing: the first process saves the state."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Do nothing."""

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Does nothing."""
        yield

    def finish(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Tracker(SilentTracker):
    """Takes what the trainer tells to the log, the display and TensorBoard."""

    def __init__(self, tensorboard: Path, update: int, log_every: int) -> None:
        self.log_every = log_every
        self.curves = Curves(tensorboard, update)
        self.window = Window()
        self.n_skipped = 0  # updates, before the window
        # What `finish` has to tell: the last update, where no line was logged after it.
        self.pending: tuple[int, UpdateResult, float] | None = None
        self.display = Display()
        self.best = "-"

    def update(self, work: UpdateBatches, result: UpdateResult, share_done: float) -> None:
        """Tell of an update."""
        number = work.position.update
        self.window.add(work, result)
        self.pending = number, result, share_done
        if number % self.log_every:
            self.display.show(share_done)
            return
        self.finish()
        self.n_skipped += self.window.n_skipped()
        self.window = Window()

    def finish(self) -> None:
        """Log the updates since the last line, where there are any.

        They stay in the window, so that the state is that of a run which goes on.
        """
        if self.pending is None:
            return
        (number, result, share_done), self.pending = self.pending, None
        scalars = self.window.scalars(result)
        n_skipped = self.window.n_skipped()
        total = {"train/skipped_updates": float(self.n_skipped + n_skipped)}
        self.curves.add_scalars(scalars | total, number)
        line = (
            f"update {number}  loss {scalars['train/loss']:.3f}  "
            f"{scalars['speed/target_tokens_per_s']:,.0f} target tokens/s"
        )
        self.display.show(share_done, f"{line}  best {self.best}")
        logger.info(
            "%s  learning rate %.2e  gradient norm %.2f  padding %.1f %%  %.0f %% done%s",
            line,
            result.lr,
            scalars["train/gradient_norm"],
            100 * scalars["speed/padding_share"],
            100 * share_done,
            f"  {n_skipped} updates skipped" if n_skipped else "",
        )

    def validation(
        self, number: int, found: Validation, samples: dict[str, list[str]], best: str
    ) -> None:
        """Tell of the scores after update `number`; `samples`, by set, are in Markdown."""
        self.best = best
        logger.info("update %d  validation: %s  best %s", number, _shown(found), best)
        self._add_scores("", found, number)
        for name, scores in found.parts.items():
            logger.info("update %d  validation of %s: %s", number, name, _shown(scores))
            self._add_scores(f"/{name}", scores, number)
        for name, texts in samples.items():
            end = f"/{name}" if found.parts else ""
            self.curves.add_text(f"validation/samples{end}", "\n\n".join(texts), number)

    def _add_scores(self, end: str, scores: Scores, number: int) -> None:
        """Add a point to each curve of a validation, whose name ends with `end`."""
        points = {f"validation/{name}{end}": value for name, value in scores.numbers().items()}
        self.curves.add_scalars(points, number)

    def state(self) -> dict[str, Any]:
        """What a resumed run needs to log what this one would; waits for the device."""
        return {"window": self.window.state(), "n_skipped": self.n_skipped}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up the state that `state` gave."""
        self.window.load_state(state["window"])
        self.n_skipped = state["n_skipped"]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keeps the time that passes meanwhile out of the speed."""
        stopped = time.perf_counter()
        yield
        self.window.started += time.perf_counter() - stopped

    def close(self) -> None:
        """Write what is left, and end the display."""
        self.curves.close()
        self.display.close()


def _shown(scores: Scores) -> str:
    """The scores of a validation for the log."""
    return (
        f"loss {scores.loss:.3f}  perplexity {scores.perplexity:.2f}  "
        f"BLEU {scores.bleu:.2f}  chrF {scores.chrf:.2f}"
    )


def peak_memory() -> float:
    """The most memory used so far, in bytes: of the GPU where there is one, else of the process."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
