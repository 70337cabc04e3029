"""The training loop."""

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from transformer.checkpoint import Contents, list_checkpoints, load_weights, model_weights
from transformer.config import Precision, TrainSettings
from transformer.device import choose_device, choose_precision, set_threads
from transformer.errors import require
from transformer.metrics import require_tokenizer
from transformer.model import Transformer
from transformer.text.dataset import PreparedData, prepare_data
from transformer.text.tokenizer import PAD_ID
from transformer.training.limits import reached, share_done
from transformer.training.run import RunFolder
from transformer.training.schedule import build_schedule
from transformer.training.stream import Position, UpdateStream
from transformer.training.tracking import Tracker, log_to
from transformer.training.update import Updater
from transformer.training.validation import Validation, Validator, is_better

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """What a finished training leaves."""

    run_dir: Path
    update: int  # updates done
    best: float  # value of training.metric
    reason: str  # why it ended


def train(settings: TrainSettings) -> TrainingResult:
    """Train in `settings.run_dir`, or go on where the run there stopped."""
    set_threads(settings.threads)
    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    folder = RunFolder(settings)
    folder.check()
    require_tokenizer(settings.data.target)
    data = prepare_data(settings.data, settings.tokenizer)
    with folder.locked():
        checkpoint = folder.last()
        if checkpoint is not None:
            folder.check_data(checkpoint.training()["data"], data.fingerprint)
        folder.create(data.tokenizers)
        return _train(settings, folder, data, device, precision)


def _train(
    settings: TrainSettings,
    folder: RunFolder,
    data: PreparedData,
    device: torch.device,
    precision: Precision,
) -> TrainingResult:
    with log_to(folder.log):
        torch.manual_seed(settings.seed)
        model = Transformer(
            settings.model,
            source_vocab_size=data.tokenizers.source.vocab_size,
            target_vocab_size=data.tokenizers.target.vocab_size,
            pad_id=PAD_ID,
        ).to(device)
        updater = Updater(
            model,
            settings.optim,
            build_schedule(settings.optim, settings.training.max_updates),
            precision,
            settings.training.label_smoothing,
        )
        trainer = Trainer(settings, folder, data, updater)
        trainer.resume()
        trainer.describe()
        return trainer.run()


class Trainer:
    """A run under way: where it stands, and what it does at each stage."""

    def __init__(
        self, settings: TrainSettings, folder: RunFolder, data: PreparedData, updater: Updater
    ) -> None:
        self.settings = settings
        self.config = settings.training
        self.folder = folder
        self.data = data
        self.updater = updater
        self.model = updater.model
        self.stream = UpdateStream(data.train, settings, on_gpu=updater.device.type == "cuda")
        self.validator = Validator(data, settings, updater.device, updater.precision)
        self.position = Position()
        self.best: float | None = None
        self.stale = 0  # validations since the best
        self.earlier_s = 0.0  # seconds of training before this process
        self.started: float | None = None  # when this process began to update
        self.nll = torch.zeros(())  # of the latest update, summed
        self.metrics: dict[str, Any] = {}  # of the validation after the current update
        self.saved = False  # whether the current update is in a checkpoint

    @property
    def elapsed_s(self) -> float:
        """Seconds of training so far, validation included, by earlier processes too."""
        if self.started is None:
            return self.earlier_s
        return self.earlier_s + time.perf_counter() - self.started

    def run(self) -> TrainingResult:
        """Train until a limit is reached."""
        reason = self._reached()
        if reason is not None and self.metrics:
            logger.info("the run in %s is finished: %s", self.folder.path, reason)
        else:
            tracker = Tracker(self.folder.tensorboard, self.position.update, self.config.log_every)
            try:
                reason = reason or self._loop(tracker)
                self._finish(tracker)
            except KeyboardInterrupt:
                logger.info("interrupted after update %d; %s", self.position.update, self._kept())
                raise
            finally:
                tracker.close()
            logger.info("training ends: %s", reason)
        assert self.best is not None
        return TrainingResult(self.folder.path, self.position.update, self.best, reason)

    def _loop(self, tracker: Tracker) -> str:
        self.started = time.perf_counter()
        for update in self.stream.updates(self.position):
            result = self.updater.update(update.batches, update.position.update)
            self.position = update.position
            self.metrics, self.saved, self.nll = {}, False, result.nll
            number = self.position.update
            done = share_done(self.config, number, update.epochs, self.elapsed_s)
            tracker.update(number, update.batches, result, done)
            if number % self.config.log_every == 0:
                self._check_finite()
            with tracker.paused():
                if number % self.config.validate_every == 0:
                    self._validate(tracker)
                if number % self.config.checkpoint_every == 0:
                    self._save()
            reason = self._reached()
            if reason is not None:
                return reason
        raise AssertionError("the stream of updates has no end")

    def _reached(self) -> str | None:
        return reached(self.config, self.position, self.elapsed_s, self.stale)

    def _finish(self, tracker: Tracker) -> None:
        """Validate and save the last update, unless that has just been done."""
        if not self.metrics:
            self._validate(tracker)
        if not self.saved:
            self._save()

    def _check_finite(self) -> None:
        """Raise InputError where the training has diverged; fp16 skips such updates itself."""
        if self.updater.precision is not Precision.fp16:
            require(
                math.isfinite(float(self.nll)),
                f"the loss is {float(self.nll)} at update {self.position.update}: lower "
                f"optim.lr={self.settings.optim.lr:g} or raise optim.warmup="
                f"{self.settings.optim.warmup}, in another run_dir",
            )

    def _validate(self, tracker: Tracker) -> None:
        self._check_finite()
        found = self.validator.validate(self.model)
        self.metrics, self.saved = found.metrics(), False
        value = self.metrics[self.config.metric.name]
        if self.best is None or is_better(self.config.metric, value, self.best):
            self.best, self.stale = value, 0
        else:
            self.stale += 1
        number = self.position.update
        best = f"{self.config.metric.name} {self.best:.2f}"
        tracker.validation(number, found, self._samples(found), best)
        name = f"valid.{number:08d}.{self.settings.data.target}"
        self.folder.save_translations(name, found.translations)
        if self.stale == 0 or self.config.keep_best > 1:
            self._save()

    def _samples(self, found: Validation) -> list[str]:
        triples = zip(
            self.validator.sources, found.translations, self.validator.references, strict=True
        )
        return [
            f"source: {source}\n\ntranslation: {translation}\n\nreference: {reference}\n\n---"
            for source, translation, reference in list(triples)[: self.config.n_samples]
        ]

    def _save(self) -> None:
        if self.saved:
            return
        self._check_finite()
        contents = Contents(
            weights=model_weights(self.model),
            settings=self.settings,
            tokenizers=self.data.tokenizers,
            metrics=self.metrics,
            training=self._state(),
        )
        self.folder.save(self.position.update, contents)
        self.saved = True

    def _kept(self) -> str:
        """What is left of the run if it ends here, in words."""
        found = list_checkpoints(self.folder.checkpoints)
        if not found:
            return "no checkpoint was saved yet (training.checkpoint_every)"
        return f"the newest checkpoint is that of update {int(found[-1].name)}"

    def _state(self) -> dict[str, Any]:
        """What a fresh process needs to go on as if the run had never stopped."""
        generators = {"cpu": torch.get_rng_state()}
        if self.updater.device.type == "cuda":
            generators["cuda"] = torch.cuda.get_rng_state(self.updater.device)
        return {
            "position": self.position.state(),
            "data": self.data.fingerprint,
            "best": self.best,
            "stale": self.stale,
            "elapsed_s": self.elapsed_s,
            "updater": self.updater.state(),
            "generators": generators,
        }

    def resume(self) -> None:
        """Take up the newest checkpoint of the folder, where there is one."""
        checkpoint = self.folder.last()
        if checkpoint is None:
            logger.info("training from the beginning in %s", self.folder.path)
            return
        state = checkpoint.training()
        load_weights(self.model, checkpoint.weights())
        self.updater.load_state(state["updater"])
        self.position = Position(**state["position"])
        self.best, self.stale = state["best"], state["stale"]
        self.earlier_s = state["elapsed_s"]
        self.metrics, self.saved = checkpoint.metrics, True
        torch.set_rng_state(state["generators"]["cpu"])
        if "cuda" in state["generators"] and self.updater.device.type == "cuda":
            torch.cuda.set_rng_state(state["generators"]["cuda"], self.updater.device)
        logger.info("going on after update %d of %s", self.position.update, self.folder.path)

    def describe(self) -> None:
        """Log what is about to be trained on what."""
        n_parameters = sum(parameter.numel() for parameter in self.model.parameters())
        logger.info(
            "%s parameters on %s in %s; %s training pairs, %s validation pairs, vocabulary %d; "
            "%d batches an epoch, %.1f %% padding",
            *(f"{n_parameters:,}", self.updater.device, self.updater.precision.name),
            *(f"{len(self.data.train):,}", f"{len(self.data.valid):,}"),
            *(self.model.output.out_features, len(self.stream.plan(0))),
            100 * self.stream.padding_share(),
        )
