"""The training loop."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformer.checkpoint import Checkpoint, list_checkpoints
from transformer.config import FaultAction
from transformer.device import lower_precision
from transformer.errors import InputError
from transformer.signals import Signals
from transformer.training.energy import Energy, find_counter
from transformer.training.limits import reached, share_done
from transformer.training.run import RunFolder
from transformer.training.state import RunState
from transformer.training.stream import UpdateBatches, UpdateStream
from transformer.training.tracking import SilentTracker, Tracker
from transformer.training.validation import Validation, Validator, is_better
from transformer.training.writer import CheckpointWriter

logger = logging.getLogger(__name__)

ROLLBACK_FACTOR = 0.5  # of the learning rate, at each rollback

# After each validation that is due it is told the updates done and the value of training.metric;
# what it gives back, if anything, is why the run ends here.
Watch = Callable[[int, float], str | None]


@dataclass(frozen=True)
class TrainingResult:
    """What a finished training leaves."""

    run_dir: Path
    update: int  # updates done
    best: float  # value of training.metric
    reason: str  # why it ended
    pruned: bool = False  # whether its Watch ended it


class Trainer:
    """Moves a run on, update by update, and does what is due at each."""

    def __init__(
        self,
        state: RunState,
        stream: UpdateStream,
        validator: Validator,
        folder: RunFolder,
        signals: Signals,
        window: dict[str, Any] | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.state = state
        self.stream = stream
        self.validator = validator
        self.folder = folder
        self.signals = signals
        self.config = state.settings.training
        self.processes = state.processes
        self.writer = CheckpointWriter(folder, self.config.faults.on_write_error)
        self.tracker: Tracker | SilentTracker = SilentTracker()
        self.window = window  # what earlier processes have not told; None: there were none
        self.watch = watch
        self.pruned: str | None = None  # why `watch` ends the run
        self.saved = window is not None  # whether the state has been given to the writer as it is
        self.now_s = state.elapsed_s  # of training, at the latest update, as all processes have it
        self.agreed: list[float] = []  # flags that came with the latest update, if not used yet
        self.saved_s = self.now_s  # when the state was last given to the writer

    @property
    def number(self) -> int:
        """Updates done."""
        return self.state.position.update

    def run(self) -> TrainingResult:
        """Train until a limit is reached; Stopped where a signal comes first."""
        reason = self._reached(self.state.elapsed_s)
        try:
            if reason is not None and self.state.metrics:
                logger.info("the run in %s is finished: %s", self.folder.path, reason)
            else:
                self._track()
                with self.signals.deferred(), self._telling_what_is_kept():
                    reason = self._loop()
                    while not self._finish():
                        reason = self._loop()
                    logger.info("training ends: %s", reason)
                    (signal,) = self.processes.agree(float(self.signals.received or 0))
                    if signal:
                        self.signals.raise_stopped("at the end of training, before the test")
        finally:
            self.tracker.close()
            self._close_writer()
        pruned = reason == self.pruned
        return TrainingResult(self.folder.path, self.number, self._best(), reason, pruned)

    def _close_writer(self) -> None:
        """Let the last write end; what has gone wrong before is not hidden by its failure."""
        error = sys.exception()
        if isinstance(error, KeyboardInterrupt):
            return  # at once
        try:
            self.writer.close(must_succeed=False)
        except InputError as failure:
            if error is None:
                raise
            logger.warning("%s", failure)

    def _track(self) -> None:
        """Tell of the updates from here on, and of those in the window."""
        self.tracker.close()
        if self.processes.is_first:
            self.tracker = Tracker(
                self.folder.tensorboard,
                self.number,
                self.config.log_every,
                settings=self.state.settings,
                elapsed_s=lambda: self.state.elapsed_s,
                energy=Energy(find_counter(self.state.updater.device)),
            )
            if self.window is not None:
                self.tracker.load_state(self.window)
            if self.state.standing.best is not None:
                self.tracker.best = self._shown(self.state.standing.best)

    @contextmanager
    def _telling_what_is_kept(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            logger.info("interrupted after update %d; %s", self.number, self._kept())
            raise

    def _loop(self) -> str:
        self.state.start_clock(self.state.elapsed_s)
        reason = self._settle()
        if self.number == 0:
            reason = None  # however short the time, there is something to validate at its end
        while reason is None:
            for update in self.stream.updates(self.state.position):
                self._advance(update)
                reason = self._settle()
                if reason is not None or self.state.position is not update.position:
                    break  # in the second case the run was rolled back
        return reason

    def _advance(self, update: UpdateBatches) -> None:
        """Make an update, and tell of it."""
        state = self.state
        result = state.updater.update(update, self._flags)
        if self.processes.count > 1:
            self.agreed = result.agreed
        if state.ema is not None:
            state.ema.update(update.position.update)
        state.position, state.metrics, self.saved = update.position, {}, False
        state.monitor.add(update, result)
        done = share_done(self.config, self.number, update.epochs, state.elapsed_s)
        self.tracker.update(update, result, done)
        trouble = state.monitor.check()
        if trouble is not None:
            self._recover(trouble.text, lasting=trouble.lasting)

    def _settle(self) -> str | None:
        """Do what is due after an update and has not been done; why training ends, if it does."""
        self.now_s, signal = self.agreed or self.processes.agree(*self._flags())
        self.agreed = []
        with self.tracker.paused():
            if self._reached(self.now_s) is not None:
                self.tracker.finish()  # before the last checkpoint, after which nothing is told
            if signal:
                self._stop()
            if self.number and self._is_due(self.config.validate_every) and not self.state.metrics:
                self._validate()
            minutes = self.config.checkpoint_minutes
            late = minutes is not None and self.now_s - self.saved_s >= 60 * minutes
            if self.number and (self._is_due(self.config.checkpoint_every) or late):
                self._save()
            self._ask_watch()
            self.writer.poll()
        return self._reached(self.now_s) or self.pruned

    def _ask_watch(self) -> None:
        """Tell `watch` of the validation after the current update, also of one before a resume."""
        if self.watch and self.state.metrics and self._is_due(self.config.validate_every):
            self.pruned = self.watch(self.number, self.state.metrics[self.config.metric.name])

    def _flags(self) -> tuple[float, float]:
        """What all processes have to agree on: the time, and the signal that came."""
        return self.state.elapsed_s, float(self.signals.received or 0)

    def _is_due(self, every: int) -> bool:
        return self.number % every == 0

    def _reached(self, elapsed_s: float) -> str | None:
        return reached(self.config, self.state.position, elapsed_s, self.state.standing.stale)

    def _stop(self) -> None:
        """Save and end, since a signal asks for it."""
        if self.number:
            self._save()
        self.writer.close(must_succeed=True)
        self.signals.raise_stopped(f"after update {self.number}; {self._kept()}")

    def _finish(self) -> bool:
        """Validate and save the last update, unless that has just been done.

        False where the validation rolled the run back, so that it has to go on.
        """
        self.tracker.finish()
        last = self.state.position
        if not self.state.metrics:
            self._validate(due=False)
        if self.state.position is not last:
            return False
        self._save()
        self.writer.close(must_succeed=True)
        return True

    def _validate(self, *, due: bool = True) -> None:
        """Score the model; only what is `due` has a say in how training goes on.

        So a run that is extended is the same as one that never ended in between.
        """
        try:
            found = self._score()
        except FloatingPointError as error:
            self._recover(f"{error}, at update {self.number}", lasting=True)
            return
        if found is None:
            self._stop()
            return
        state, standing = self.state, self.state.standing
        state.metrics, self.saved = found.metrics(), False
        value = state.metrics[self.config.metric.name]
        better = standing.best is None or is_better(self.config.metric, value, standing.best)
        if due:
            standing.best = value if better else standing.best
            standing.stale = 0 if better else standing.stale + 1
            state.plateau.validated(standing.stale)
            state.set_rate_factor()
        best = self._shown(self._best())
        self.tracker.validation(self.number, found, self._samples(found), best, due=due)
        if self.processes.is_first:
            for each in self.validator.sets:
                name = f"valid.{each.name}" if found.parts else "valid"
                name = f"{name}.{self.number:08d}.{each.language}"
                self.folder.save_translations(name, found.sets[each.name].translations)
        if better or self.config.keep_best > 1:
            self._save()

    def _score(self) -> Validation | None:
        """What the validation finds; None where a signal does not let it."""
        with self.state.scored_model() as model:
            return self.validator.validate(
                model, self.state.updater.precision, lambda: self.signals.received is not None
            )

    def _best(self) -> float:
        """The best value of training.metric, that of the current update included."""
        best, metrics = self.state.standing.best, self.state.metrics
        value: float = metrics[self.config.metric.name]
        return value if best is None or is_better(self.config.metric, value, best) else best

    def _shown(self, best: float) -> str:
        return f"{self.config.metric.name} {best:.2f}"

    def _samples(self, found: Validation) -> dict[str, list[str]]:
        """Translations to show, by set."""
        return {
            each.name: each.samples(found.sets[each.name].translations, self.config.n_samples)
            for each in self.validator.sets
        }

    def _save(self) -> None:
        if self.saved:
            return
        contents = self.state.contents(self.tracker.state())
        if self.processes.is_first:
            self.writer.save(self.number, contents)
        self.saved = True
        self.saved_s = self.now_s

    def _kept(self) -> str:
        """What is left of the run if it ends here, in words."""
        found = list_checkpoints(self.folder.checkpoints)
        if not found:
            return "no checkpoint was saved yet (training.checkpoint_every)"
        return f"the newest checkpoint is that of update {int(found[-1].name)}"

    def _recover(self, trouble: str, *, lasting: bool) -> None:
        """Do what training.faults.action says; InputError where nothing is left to do.

        What is `lasting` has come into the weights, which no other arithmetic mends.
        """
        action = self.config.faults.action
        if action is FaultAction.rollback:
            self._roll_back(trouble)
        elif action is FaultAction.precision and not lasting and self.state.is_finite():
            self._lower_precision(trouble)
        else:
            raise InputError(self._diagnosis(trouble))

    def _lower_precision(self, trouble: str) -> None:
        updater = self.state.updater
        lower = lower_precision(updater.precision, updater.device)
        if lower is None:
            raise InputError(self._diagnosis(trouble))
        logger.warning("%s; going on in %s, not %s", trouble, lower.name, updater.precision.name)
        self.state.use_precision(lower)
        self.state.monitor.forgive()

    def _roll_back(self, trouble: str) -> None:
        standing = self.state.standing
        factor, n = standing.rollback_factor * ROLLBACK_FACTOR, standing.n_rollbacks + 1
        self.writer.wait()
        found = self._last_good() if self.processes.is_first else None
        path = self.processes.from_first(found)
        if path is None or n > self.config.faults.max_rollbacks:
            raise InputError(self._diagnosis(trouble))
        elapsed_s = self.state.elapsed_s
        self.window = self.state.load(Checkpoint(path))
        self.saved, self.saved_s = True, self.now_s
        self.state.start_clock(elapsed_s)
        self.state.standing.rollback_factor, self.state.standing.n_rollbacks = factor, n
        self.state.set_rate_factor()
        logger.warning(
            "%s; going on from update %d at %g times the learning rate (rollback %d)",
            *(trouble, self.number, factor, n),
        )
        if self.processes.is_first:
            self.folder.discard_after(self.number)
        self._track()

    def _last_good(self) -> Path | None:
        """The newest checkpoint from before the trouble."""
        for checkpoint in self.folder.whole_checkpoints():
            if checkpoint.training()["monitor"]["calm"]:
                return checkpoint.folder
        return None

    def _diagnosis(self, trouble: str) -> str:
        settings, updater = self.state.settings, self.state.updater
        rolls_back = self.config.faults.action is FaultAction.rollback
        advice = "" if rolls_back else ", or set training.faults.action=rollback"
        return (
            f"{trouble}, in {updater.precision.name} at a learning rate of "
            f"{updater.rate_factor * updater.schedule(max(1, self.number)):.1e}: lower optim.lr="
            f"{settings.optim.lr:g} or raise optim.warmup={settings.optim.warmup} in another "
            f"run_dir{advice}; {self._kept()}"
        )
