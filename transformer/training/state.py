"""What a run is made of, and what of it a checkpoint holds."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from transformer.checkpoint import Checkpoint, Contents, build_model
from transformer.config import Precision, TrainSettings
from transformer.device import choose_precision
from transformer.errors import require
from transformer.model import Transformer
from transformer.text.dataset import PreparedData
from transformer.training.distributed import Processes
from transformer.training.ema import Ema
from transformer.training.faults import Monitor
from transformer.training.objective import Objective
from transformer.training.schedule import Plateau
from transformer.training.sharding import load_whole_weights, local, whole_weights
from transformer.training.stream import Position
from transformer.training.update import Updater

logger = logging.getLogger(__name__)

FORMAT = 3  # of training.pt


@dataclass
class Standing:
    """What a run remembers of its past, besides weights and what belongs to them."""

    best: float | None = None  # value of training.metric
    stale: int = 0  # validations since the best one
    n_rollbacks: int = 0
    rollback_factor: float = 1.0  # of the learning rate


class RunState:
    """All that a fresh process needs to go on as if the run had never stopped."""

    def __init__(
        self,
        settings: TrainSettings,
        data: PreparedData,
        updater: Updater,
        monitor: Monitor,
        processes: Processes,
        make_objective: Callable[[Precision], Objective],
        teacher: str | None,
    ) -> None:
        self.settings = settings
        self.data = data
        self.updater = updater
        self.monitor = monitor
        self.processes = processes
        self.make_objective = make_objective
        self.teacher = teacher  # its digest
        self.model = updater.model
        self.asked = updater.precision  # what the settings ask of this device
        self.position = Position()
        self.batch_tokens: int | None = None  # what data.batch_tokens=auto has found
        self.standing = Standing()
        self.plateau = Plateau(settings.optim)
        decay = settings.training.ema
        self.ema = None if decay is None else Ema(self.model, decay)
        self.metrics: dict[str, Any] = {}  # of the validation after the current update
        self._earlier_s = 0.0  # of training, by earlier processes
        self._started: float | None = None  # when this one began

    @property
    def elapsed_s(self) -> float:
        """Seconds of training so far, validation included, by earlier processes too."""
        if self._started is None:
            return self._earlier_s
        return self._earlier_s + time.perf_counter() - self._started

    def start_clock(self, elapsed_s: float) -> None:
        """Let the time of training pass, from `elapsed_s` on."""
        self._earlier_s, self._started = elapsed_s, time.perf_counter()

    def contents(self, window: dict[str, Any]) -> Contents:
        """A checkpoint of the run as it stands; `window` is what the log has not told.

        Every process must call, since what is spread over them is gathered.
        """
        weights = whole_weights(self.model.named_parameters())
        training = self._training(window)
        if self.ema is not None:
            training["weights"] = weights
            weights = self.ema.weights()
        metrics = {**self.metrics, "minutes": self.elapsed_s / 60}
        return Contents(weights, self.settings, self.data.tokenizers, metrics, training)

    def _training(self, window: dict[str, Any]) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "position": self.position.state(),
            "data": self.data.fingerprint,
            "teacher": self.teacher,
            "standing": asdict(self.standing),
            "elapsed_s": self.elapsed_s,
            "asked_precision": self.asked.name,
            "processes": self.processes.count,
            "batch_tokens": self.batch_tokens,
            "updater": self.updater.state(),
            "plateau": self.plateau.state(),
            "monitor": self.monitor.state(),
            "window": window,
        }

    def load(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Take up a checkpoint; gives its `window`."""
        state = checkpoint.training()
        require(
            state.get("format") == FORMAT,
            f"{checkpoint.folder} was saved by another version, which this one cannot go on from; "
            "give training.init_from to begin with its weights in another run_dir",
        )
        require(
            state["teacher"] == self.teacher,
            "training.distillation.teacher is another model now than when the run began; put that "
            "back, or give another run_dir (a teacher that still trains changes: name one of its "
            "checkpoints)",
        )
        weights = checkpoint.weights()
        load_whole_weights(self.model, state["weights"] if self.ema else weights)
        if self.ema is not None:
            self.ema.load(weights)
        self._load_precision(state)
        self.updater.load_state(state["updater"])
        self.position = Position.from_state(state["position"])
        self.batch_tokens = state["batch_tokens"]
        self.standing = Standing(**state["standing"])
        self.plateau.load_state(state["plateau"])
        self.monitor.load_state(state["monitor"])
        self._earlier_s, self._started = state["elapsed_s"], None
        scores = {key: value for key, value in checkpoint.metrics.items() if key != "minutes"}
        self.metrics = scores
        self.set_rate_factor()
        if state["processes"] != self.processes.count:
            logger.info("processes were %d, now %d", state["processes"], self.processes.count)
        return dict(state["window"])

    def _load_precision(self, state: dict[str, Any]) -> None:
        """Go on in the arithmetic that the run had come to, if it was asked for the same one."""
        saved = state["updater"]["precision"]
        if state["asked_precision"] != self.asked.name:
            logger.info("precision was %s, now %s", saved, self.updater.precision.name)
        elif saved != self.updater.precision.name:
            self.use_precision(Precision[saved])

    def is_finite(self) -> bool:
        """Whether all weights of this process are numbers; any process's infinite ones count."""
        finite = all(bool(local(p.detach()).isfinite().all()) for p in self.model.parameters())
        return not self.processes.agree(float(not finite))[0]

    def use_precision(self, precision: Precision) -> None:
        """Compute in another arithmetic from the next update on."""
        device = self.updater.device
        self.updater.use(choose_precision(precision, device))
        self.updater.objective = self.make_objective(precision)

    def set_rate_factor(self) -> None:
        """Let the learning rate be what plateaus and rollbacks leave of the schedule's."""
        self.updater.rate_factor = self.plateau.factor * self.standing.rollback_factor

    @contextmanager
    def scored_model(self) -> Iterator[Transformer]:
        """The model that is validated: with the mean weights where there are some, in one piece."""
        if self.ema is not None:
            with self.ema.applied():
                yield self._in_one_piece()
        else:
            yield self._in_one_piece()

    def _in_one_piece(self) -> Transformer:
        if not self.updater.sharded:
            return self.model
        # Searches of unequal length cannot gather weights together.
        model = build_model(self.settings, self.data.tokenizers).to(self.updater.device)
        load_whole_weights(model, whole_weights(self.model.named_parameters()))
        return model
