"""From settings to a run under way."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from transformer.checkpoint import Checkpoint
from transformer.config import AUTO, Precision, Resume, TrainSettings
from transformer.device import choose_device, choose_precision, set_deterministic, set_threads
from transformer.metrics import require_tokenizer
from transformer.text.dataset import PreparedData, prepare_data
from transformer.training.differences import changes
from transformer.training.distributed import Processes, joined
from transformer.training.faults import Monitor, Reports
from transformer.training.initialise import initialise
from transformer.training.memory import find_batch_tokens
from transformer.training.objectives import build_objective
from transformer.training.optimizer import freeze
from transformer.training.run import RunFolder
from transformer.training.schedule import build_schedule
from transformer.training.sharding import shard
from transformer.training.signals import Signals, watched
from transformer.training.state import RunState, build_model
from transformer.training.stream import UpdateStream
from transformer.training.tracking import log_to
from transformer.training.trainer import Trainer, TrainingResult
from transformer.training.update import Updater
from transformer.training.validation import Validator

logger = logging.getLogger(__name__)


def train(settings: TrainSettings) -> TrainingResult:
    """Train in `settings.run_dir`, or go on where the run there stopped.

    Raises Stopped where a signal asks for the end; the run can then be gone on with.
    """
    if int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")):
        # What torchrun starts again goes on, also where it began by training.resume=never.
        training = replace(settings.training, resume=Resume.auto)
        settings = replace(settings, training=training)
    set_threads(settings.threads)
    with watched() as signals, joined(settings.training.parallel, settings.device) as processes:
        device = choose_device(processes.device(settings.device))
        precision = choose_precision(settings.precision, device)
        set_deterministic(settings.deterministic)
        require_tokenizer(settings.data.target)
        folder = RunFolder(settings)
        if processes.is_first:
            folder.check()
        data = prepare_data(settings.data, settings.tokenizer)
        with opened(folder, data, processes) as checkpoint:
            place = Place(device, precision, processes, signals)
            return build_trainer(settings, folder, data, place, checkpoint).run()


@dataclass(frozen=True)
class Place:
    """Where a run is computed."""

    device: torch.device
    precision: Precision
    processes: Processes
    signals: Signals


@contextmanager
def opened(folder: RunFolder, data: PreparedData, processes: Processes) -> Iterator[Path | None]:
    """The checkpoint to go on from, in a folder that is ready and locked; None: the run begins."""
    if not processes.is_first:
        yield processes.from_first(None)
        return
    with folder.locked():
        if folder.settings.training.resume is Resume.never:
            folder.move_aside()
        with log_to(folder.log):
            checkpoint = folder.last()
            before = folder.settings_before()
            if checkpoint is not None and before is not None:
                folder.check_data(checkpoint.training()["data"], data.fingerprint)
                for change in changes(before, folder.settings):
                    logger.info("%s", change)
            folder.create(data.tokenizers)
            yield processes.from_first(None if checkpoint is None else checkpoint.folder)


def build_trainer(
    settings: TrainSettings,
    folder: RunFolder,
    data: PreparedData,
    place: Place,
    checkpoint: Path | None,
) -> Trainer:
    """A trainer that stands where `checkpoint` does, or at the beginning."""
    state = build_state(settings, folder, data, place, begins=checkpoint is None)
    window = None
    if checkpoint is None:
        logger.info("training from the beginning in %s", folder.path)
    else:
        window = state.load(Checkpoint(checkpoint))
        logger.info("going on after update %d of %s", state.position.update, folder.path)
    if settings.data.batch_tokens != AUTO or state.batch_tokens is None:
        state.batch_tokens = find_batch_tokens(settings, data, state.updater, place.processes)
    batch_tokens = state.batch_tokens
    stream = UpdateStream(
        data.train,
        settings,
        batch_tokens,
        on_gpu=place.device.type == "cuda",
        processes=place.processes,
    )
    validator = Validator(data, settings, batch_tokens, place.device, place.processes)
    describe(state, stream)
    return Trainer(state, stream, validator, folder, place.signals, window)


def build_state(
    settings: TrainSettings, folder: RunFolder, data: PreparedData, place: Place, *, begins: bool
) -> RunState:
    """The model with all that changes and watches it; fresh, or for a checkpoint to be loaded."""
    torch.manual_seed(settings.seed)
    model = build_model(settings, data.tokenizers)
    if begins and settings.training.init_from is not None:
        initialise(model, settings, data.tokenizers)
    model.to(place.device)
    if settings.training.gradient_checkpointing:
        model.checkpoint_layers()
    if settings.training.freeze:
        freeze(model, settings.training.freeze)
    sharded = settings.training.parallel.shard
    if sharded:
        shard(model, place.processes.count)
    updater = Updater(
        model,
        build_objective(settings, data, place.device, place.precision),
        settings.optim,
        build_schedule(settings.optim, settings.training.max_updates),
        place.precision,
        processes=place.processes,
        sharded=sharded,
    )
    faults = folder.path / "faults"
    reports = Reports(faults, data, place.processes, lambda: updater.scale.enabled)
    monitor = Monitor(settings.training.faults, reports.write)
    return RunState(settings, data, updater, monitor, place.processes)


def describe(state: RunState, stream: UpdateStream) -> None:
    """Log what is about to be trained on what."""
    updater, data = state.updater, state.data
    n_parameters = sum(parameter.numel() for parameter in state.model.parameters())
    logger.info(
        "%s parameters on %s in %s, %d process%s; %s training pairs, %s validation pairs, "
        "vocabulary %d; %d batches an epoch, %.1f %% padding",
        *(f"{n_parameters:,}", updater.device, updater.precision.name),
        *(state.processes.count, "es" if state.processes.count > 1 else ""),
        *(f"{len(data.train):,}", f"{len(data.valid):,}"),
        *(state.model.output.out_features, len(stream.plan(0))),
        100 * stream.padding_share(),
    )
