"""What a run tells while it trains: log lines, a progress display, TensorBoard."""

import logging
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from transformer.text.batching import Batch
from transformer.training.update import UpdateResult
from transformer.training.validation import Validation

logger = logging.getLogger(__name__)


@dataclass
class Window:
    """Sums over the updates since the last log line; tensors stay on their device."""

    n_source_tokens: int = 0  # without padding, EOS counted
    n_target_tokens: int = 0
    n_padded_tokens: int = 0  # of both sides, padding included
    nll: list[Tensor] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    def add(self, batches: Sequence[Batch], result: UpdateResult) -> None:
        """Count one update."""
        for batch in batches:
            self.n_source_tokens += batch.n_source_tokens
            self.n_target_tokens += batch.n_target_tokens
            self.n_padded_tokens += batch.source.numel() + batch.labels.numel()
        self.nll.append(result.nll)

    def scalars(self, result: UpdateResult) -> dict[str, float]:
        """What TensorBoard shows of these updates; `result` is the last one's."""
        seconds = time.perf_counter() - self.started
        loss = float(torch.stack(self.nll).sum()) / self.n_target_tokens
        real = self.n_source_tokens + self.n_target_tokens
        return {
            "train/loss": loss,
            "train/perplexity": float(torch.tensor(loss).exp()),
            "train/learning_rate": result.lr,
            "train/gradient_norm": float(result.gradient_norm),
            "speed/source_tokens_per_s": self.n_source_tokens / seconds,
            "speed/target_tokens_per_s": self.n_target_tokens / seconds,
            "speed/padding_share": 1 - real / self.n_padded_tokens,
            "memory/gb": peak_memory() / 1e9,
        }


class Tracker:
    """Takes what the trainer tells to the log, the display and TensorBoard."""

    def __init__(self, tensorboard: Path, update: int, log_every: int) -> None:
        self.log_every = log_every
        # Points after `update` are of a run that was cut off: they will be made again.
        self.writer = SummaryWriter(str(tensorboard), purge_step=update + 1)
        self.window = Window()
        self.display = Display()
        self.best = "-"

    def update(
        self, number: int, batches: Sequence[Batch], result: UpdateResult, share_done: float
    ) -> None:
        """Tell of update `number`."""
        self.window.add(batches, result)
        if number % self.log_every:
            self.display.show(share_done)
            return
        scalars = self.window.scalars(result)
        self.window = Window()
        for name, value in scalars.items():
            self.writer.add_scalar(name, value, number)
        line = (
            f"update {number}  loss {scalars['train/loss']:.3f}  "
            f"{scalars['speed/target_tokens_per_s']:,.0f} target tokens/s"
        )
        self.display.show(share_done, f"{line}  best {self.best}")
        logger.info(
            "%s  learning rate %.2e  gradient norm %.2f  padding %.1f %%  %.0f %% done",
            line,
            result.lr,
            scalars["train/gradient_norm"],
            100 * scalars["speed/padding_share"],
            100 * share_done,
        )

    def validation(self, number: int, found: Validation, samples: list[str], best: str) -> None:
        """Tell of the scores after update `number`; `samples` are in Markdown."""
        self.best = best
        logger.info(
            "update %d  validation: loss %.3f  perplexity %.2f  BLEU %.2f  best %s",
            *(number, found.loss, found.perplexity, found.bleu, best),
        )
        self.writer.add_scalar("validation/loss", found.loss, number)
        self.writer.add_scalar("validation/perplexity", found.perplexity, number)
        self.writer.add_scalar("validation/bleu", found.bleu, number)
        self.writer.add_text("validation/samples", "\n\n".join(samples), number)
        self.writer.flush()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keeps the time that passes meanwhile out of the speed."""
        stopped = time.perf_counter()
        yield
        self.window.started += time.perf_counter() - stopped

    def close(self) -> None:
        """Write what is left, and end the display."""
        self.writer.close()
        self.display.close()


class Display:
    """A live line on standard error, where that is a terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self.live = console.is_terminal
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not self.live,
        )
        self.task = self.progress.add_task("starting", total=1.0)
        stderr = sys.stderr
        self.progress.start()
        # The log goes where the display, now in place of sys.stderr, can make room for it.
        self.handlers = [handler for handler in stream_handlers() if handler.stream is stderr]
        self.stderr = stderr
        for handler in self.handlers:
            handler.setStream(sys.stderr)

    def show(self, share_done: float, text: str | None = None) -> None:
        """Move the bar to `share_done` of 1."""
        if text is None:
            self.progress.update(self.task, completed=share_done)
        else:
            self.progress.update(self.task, completed=share_done, description=text)

    def close(self) -> None:
        """Take the line away."""
        self.progress.stop()
        for handler in self.handlers:
            handler.setStream(self.stderr)


def stream_handlers() -> list[logging.StreamHandler[Any]]:
    """The handlers of the root logger that write to a stream."""
    return [h for h in logging.root.handlers if isinstance(h, logging.StreamHandler)]


@contextmanager
def log_to(file: Path) -> Iterator[None]:
    """Writes the log of this package to `file` too, after what is there."""
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    package = logging.getLogger("transformer")
    package.addHandler(handler)
    level = package.level
    package.setLevel(logging.INFO)
    try:
        yield
    finally:
        package.setLevel(level)
        package.removeHandler(handler)
        handler.close()


def peak_memory() -> float:
    """The most memory used so far, in bytes: of the GPU where there is one, else of the process."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
