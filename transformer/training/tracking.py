"""What a run tells while it trains: log lines, a progress display, TensorBoard."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformer.config import AttentionKind, Metric, TrainSettings
from transformer.errors import InputError
from transformer.pictures.attention import Choice, Looks, sizes_of
from transformer.pictures.heatmaps import as_png, picture
from transformer.training.curves import Curves, hyperparameters
from transformer.training.display import Display
from transformer.training.energy import Energy
from transformer.training.stream import UpdateBatches
from transformer.training.update import UpdateResult
from transformer.training.validation import Scores, Validation, is_better
from transformer.training.window import Window

logger = logging.getLogger(__name__)

PICTURE_DPI = 90


class SilentTracker:
    """What takes the place of a Tracker in all processes but the first: it tells nothing."""

    def update(self, work: UpdateBatches, result: UpdateResult, share_done: float) -> None:
        """Do nothing."""

    def validation(
        self,
        number: int,
        found: Validation,
        samples: dict[str, list[str]],
        best: str,
        *,
        due: bool = True,
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

    def __init__(
        self,
        tensorboard: Path,
        update: int,
        log_every: int,
        *,
        settings: TrainSettings | None = None,  # to be shown beside the scores
        elapsed_s: Callable[[], float] | None = None,  # seconds of training
        energy: Energy | None = None,
    ) -> None:
        self.log_every = log_every
        self.curves = Curves(tensorboard, update)
        if settings is not None:
            self.curves.add_hyperparameters(hyperparameters(settings))
        self.elapsed_s = elapsed_s
        self.energy = Energy(None) if energy is None else energy
        self.best_scores: dict[str, float] = {}  # of any validation so far, by metric
        self.draws = True  # until what draws is found to be missing
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
        self.curves.add_scalars(scalars | total | self._spent(), number)
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

    def _spent(self) -> dict[str, float]:
        """The time and the energy of the training so far."""
        minutes = {} if self.elapsed_s is None else {"time/minutes": self.elapsed_s() / 60}
        return minutes | self.energy.scalars()

    def validation(
        self,
        number: int,
        found: Validation,
        samples: dict[str, list[str]],
        best: str,
        *,
        due: bool = True,
    ) -> None:
        """Tell of the scores after update `number`; `samples`, by set, are in Markdown.

        What is not `due` is not remembered, for a run that never ended here would not know it.
        """
        self.best = best
        logger.info("update %d  validation: %s  best %s", number, _shown(found), best)
        self._add_scores("", found, number)
        for name, scores in found.parts.items():
            logger.info("update %d  validation of %s: %s", number, name, _shown(scores))
            self._add_scores(f"/{name}", scores, number)
        for name, texts in samples.items():
            end = f"/{name}" if found.parts else ""
            self.curves.add_text(f"validation/samples{end}", "\n\n".join(texts), number)
        self._add_best(found, number, due=due)
        self._draw(found.looks, number)

    def _add_best(self, found: Validation, number: int, *, due: bool) -> None:
        """Add the best of each score so far, of which the tab HParams shows the last."""
        numbers, best_scores = found.numbers(), dict(self.best_scores)
        for metric in Metric:
            value, best = numbers[metric.name], best_scores.get(metric.name, math.nan)
            if is_better(metric, value, best):
                best_scores[metric.name] = value
        self.curves.add_scalars(
            {f"final/validation_{name}": x for name, x in best_scores.items()}, number
        )
        if due:
            self.best_scores = best_scores

    def _draw(self, found: Sequence[Looks], number: int) -> None:
        """Add pictures of the last layers' attention to the source."""
        if not self.draws:
            return
        for i, looks in enumerate(found, start=1):
            try:
                png = as_png(picture(looks, last_layers(looks)), PICTURE_DPI)
            except InputError as error:
                logger.info("attention is not drawn at validations: %s", error)
                self.draws = False
                return
            self.curves.add_image(f"validation/attention/{i}", png, number)

    def _add_scores(self, end: str, scores: Scores, number: int) -> None:
        """Add a point to each curve of a validation, whose name ends with `end`."""
        points = {f"validation/{name}{end}": value for name, value in scores.numbers().items()}
        self.curves.add_scalars(points, number)

    def state(self) -> dict[str, Any]:
        """What a resumed run needs to log what this one would; waits for the device."""
        return {
            "window": self.window.state(),
            "n_skipped": self.n_skipped,
            "best_scores": dict(self.best_scores),
            "kwh": self.energy.kwh(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up the state that `state` gave."""
        self.window.load_state(state["window"])
        self.n_skipped = state["n_skipped"]
        # Both absent before they were kept.
        self.best_scores = dict(state.get("best_scores", {}))
        self.energy.load(state.get("kwh", 0.0))

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


def last_layers(looks: Looks) -> list[Choice]:
    """All heads of the last layers that look at the source."""
    sizes = sizes_of(looks)
    kinds = (AttentionKind.cross, AttentionKind.encoder)
    return [Choice(kind, [sizes[kind][0]], range(1, sizes[kind][1] + 1)) for kind in kinds]


def _shown(scores: Scores) -> str:
    """The scores of a validation for the log."""
    return (
        f"loss {scores.loss:.3f}  perplexity {scores.perplexity:.2f}  "
        f"BLEU {scores.bleu:.2f}  chrF {scores.chrf:.2f}"
    )
