"""From settings to a run under way."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from transformer.checkpoint import Checkpoint, build_model
from transformer.config import (
    AUTO,
    ENDING,
    DataConfig,
    Precision,
    Resume,
    TokenizerConfig,
    TrainSettings,
)
from transformer.device import (
    choose_device,
    choose_precision,
    count_compiled,
    keep_freed_memory,
    require_compiler,
    set_deterministic,
    set_threads,
)
from transformer.metrics import require_tokenizer
from transformer.signals import Signals, watched
from transformer.text.dataset import PreparedData, prepare_data
from transformer.training.differences import changes
from transformer.training.display import log_to, remembered
from transformer.training.distributed import Processes, joined
from transformer.training.faults import Monitor, Reports
from transformer.training.initialise import initialise
from transformer.training.memory import find_batch_tokens
from transformer.training.objective import Objective
from transformer.training.objectives import (
    build_objective,
    digest_of,
    find_teacher,
    forget_teacher,
)
from transformer.training.optimizer import freeze
from transformer.training.outcome import save_outcome
from transformer.training.run import RunFolder
from transformer.training.schedule import build_schedule
from transformer.training.sharding import shard
from transformer.training.state import RunState
from transformer.training.stream import UpdateStream
from transformer.training.trainer import Trainer, TrainingResult, Watch
from transformer.training.update import Updater
from transformer.training.validation import Validator

logger = logging.getLogger(__name__)


def train(settings: TrainSettings, watch: Watch | None = None) -> TrainingResult:
    """Train in `settings.run_dir`, or go on where the run there stopped.

    `watch`, of a run in one process, may end it early. Raises Stopped where a signal asks for the
    end; the run can then be gone on with.
    """
    if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0":
        # What torchrun starts again goes on, also where it began by training.resume=never.
        training = replace(settings.training, resume=Resume.auto)
        settings = replace(settings, training=training)
    set_threads(settings.threads)
    with watched() as signals, joined(settings.training.parallel, settings.device) as processes:
        assert watch is None or processes.count == 1, "the processes would have to agree"
        device = choose_device(processes.device(settings.device))
        precision = choose_precision(settings.precision, device)
        set_deterministic(settings.deterministic)
        for language in languages_of_sets(settings.data):
            require_tokenizer(language)
        folder = RunFolder(settings)
        if processes.is_first:
            folder.check()
        data = prepare_data(settings.data, pieces_of(folder), settings.cleaning)
        data = data.sampled(settings.tokenizer, settings.seed)
        place = Place(device, precision, processes, signals)
        with opened(folder, data, processes) as checkpoint:
            # What is wrong with the settings shows here, before anything on the disk changes.
            state = build_state(settings, folder, data, place, begins=checkpoint is None)
            with begun(folder, data, processes):
                trainer = build_trainer(state, folder, place, checkpoint, watch)
                try:
                    result = trainer.run()
                finally:
                    forget_teacher()
                    if settings.training.compile:
                        logger.info("graphs compiled: %d", count_compiled())
                if processes.is_first:
                    save_outcome(result)
                return result


def languages_of_sets(data: DataConfig) -> list[str]:
    """The target languages of the validation and test sets."""
    corpora = [corpus for split in ("valid", "test") for corpus in data.corpora(split)]
    return list(dict.fromkeys(corpus.direction[1] for corpus in corpora))


@dataclass(frozen=True)
class Place:
    """Where a run is computed."""

    device: torch.device
    precision: Precision
    processes: Processes
    signals: Signals


def pieces_of(folder: RunFolder) -> TokenizerConfig:
    """The settings of the tokenizer, with the place that its pieces are taken from, if any.

    Weights to begin with come with their pieces. A run that goes on takes its own, so that it does
    not depend on another folder.
    """
    training, config = folder.settings.training, folder.settings.tokenizer
    if config.init_from is None and not training.new_vocabulary:
        config = replace(config, init_from=training.init_from)
    if config.init_from is None or folder.settings_before() is None:
        return config
    return replace(config, init_from=str(folder.path / "tokenizer"), extra_pieces=0)


@contextmanager
def opened(folder: RunFolder, data: PreparedData, processes: Processes) -> Iterator[Path | None]:
    """The checkpoint to go on from, in a folder that is locked; None: the run begins."""
    if not processes.is_first:
        yield processes.from_first(None)
        return
    with folder.locked(), remembered():
        never = folder.settings.training.resume is Resume.never
        checkpoint = None if never else folder.last()
        folder.check()  # again: another process may have trained here, or `last` found more
        before = folder.settings_before()
        if checkpoint is not None and before is not None:
            folder.check_data(checkpoint.training()["data"], data.fingerprint)
            for change in changes(before, folder.settings):
                logger.info("%s", change)
        yield processes.from_first(None if checkpoint is None else checkpoint.folder)


@contextmanager
def begun(folder: RunFolder, data: PreparedData, processes: Processes) -> Iterator[None]:
    """Makes the folder that of this run, and writes its log."""
    if not processes.is_first:
        yield
        return
    if folder.settings.training.resume is Resume.never:
        folder.move_aside()
    folder.create(data.tokenizers)
    folder.save_data(data)
    with log_to(folder.log):
        yield


def build_trainer(
    state: RunState,
    folder: RunFolder,
    place: Place,
    checkpoint: Path | None,
    watch: Watch | None = None,
) -> Trainer:
    """A trainer that stands where `checkpoint` does, or at the beginning."""
    settings, data = state.settings, state.data
    window = None
    if checkpoint is None:
        logger.info("training from the beginning in %s", folder.path)
    else:
        window = state.load(Checkpoint(checkpoint))
        logger.info("going on after update %d of %s", state.position.update, folder.path)
    found = state.batch_tokens if settings.data.batch_tokens == AUTO else None
    batch_tokens = found or find_batch_tokens(settings, data, state.updater, place.processes)
    state.batch_tokens = batch_tokens if settings.data.batch_tokens == AUTO else None
    stream = UpdateStream(
        data,
        settings,
        batch_tokens,
        on_gpu=place.device.type == "cuda",
        processes=place.processes,
    )
    validator = Validator(data, settings, batch_tokens, place.device, place.processes)
    describe(state, stream)
    return Trainer(state, stream, validator, folder, place.signals, window, watch)


def build_state(
    settings: TrainSettings, folder: RunFolder, data: PreparedData, place: Place, *, begins: bool
) -> RunState:
    """The model with all that changes and watches it; fresh, or for a checkpoint to be loaded."""
    if place.device.type == "cpu":
        keep_freed_memory()
    if settings.training.compile:
        require_compiler(place.device)
    torch.manual_seed(settings.seed)
    model = build_model(settings, data.tokenizers)
    if begins and settings.training.init_from is not None:
        initialise(model, settings, data.tokenizers)
    sharded = settings.training.parallel.shard
    if not sharded:
        model.to(place.device)
    if settings.training.compile:
        model.compile_layers()
    if settings.training.gradient_checkpointing:
        model.checkpoint_layers()
    if settings.training.freeze:
        freeze(model, settings.training.freeze)
    if sharded:
        shard(model, place.device, place.processes.count)
    # Of a run, the best checkpoint may become another: all go by what the first process finds.
    teacher = place.processes.from_first(find_teacher(settings))

    def make_objective(precision: Precision) -> Objective:
        return build_objective(taught_by(settings, teacher), data, place.device, precision)

    updater = Updater(
        model,
        make_objective(place.precision),
        settings.optim,
        build_schedule(settings.optim, settings.training.max_updates),
        place.precision,
        processes=place.processes,
        sharded=sharded,
    )
    faults = folder.path / "faults"
    reports = Reports(faults, data, place.processes, lambda: updater.scale.enabled)
    monitor = Monitor(settings.training.faults, reports.write)
    digest = None if teacher is None else digest_of(teacher)
    return RunState(settings, data, updater, monitor, place.processes, make_objective, digest)


def taught_by(settings: TrainSettings, teacher: Path | None) -> TrainSettings:
    """`settings` with the teacher's own folder in place of its run's."""
    if teacher is None:
        return settings
    distillation = replace(settings.training.distillation, teacher=str(teacher))
    return replace(settings, training=replace(settings.training, distillation=distillation))


def describe(state: RunState, stream: UpdateStream) -> None:
    """Log what is about to be trained on what."""
    updater, data = state.updater, state.data
    n_parameters = sum(parameter.numel() for parameter in state.model.parameters())
    n_batches, padding = stream.estimate()
    logger.info(
        "%s parameters on %s in %s, %d process%s; %s training pairs, %s validation pairs, "
        "vocabulary %d; %d batches an epoch, %.1f %% padding%s",
        *(f"{n_parameters:,}", updater.device, updater.precision.name),
        *(state.processes.count, "es" if state.processes.count > 1 else ""),
        *(f"{len(data.train):,}", f"{sum(len(each.encoded) for each in data.valid):,}"),
        *(state.model.output.out_features, n_batches),
        100 * padding,
        ", left out by training.packing=true" if state.settings.training.packing else "",
    )
    config, optim = state.settings.training, state.settings.optim
    if data.train.aligned and not config.alignment.weight:
        logger.warning("data.alignment has no effect at training.alignment.weight=0")
    sooner = [
        name
        for name in ("max_epochs", "max_minutes", "patience")
        if getattr(config, name) is not None
    ]
    if optim.schedule in ENDING and sooner:
        logger.warning(
            "optim.schedule=%s falls towards training.max_updates=%d, wherever training.%s ends it",
            *(optim.schedule.name, config.max_updates, " or training.".join(sooner)),
        )
