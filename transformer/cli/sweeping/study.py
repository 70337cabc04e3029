"""`train --multirun hydra/sweeper=optuna`: settings that a study suggests, one run a trial."""

import importlib.util
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from transformer.cli.compose import Composer
from transformer.cli.overrides import key_of, parse
from transformer.cli.settings import settings_of
from transformer.cli.sweeping.board import Board, Line
from transformer.cli.sweeping.runs import failure
from transformer.cli.sweeping.space import Dimension, dimension
from transformer.cli.sweeping.sweep import (
    SWEEPER,
    check_once,
    is_of_launcher,
    is_of_sweeper,
    typed,
)
from transformer.cli.sweeping.trials import Trials, build_pruner, open_study
from transformer.config import (
    Direction,
    Metric,
    Sampler,
    StudyConfig,
    TrainSettings,
    from_mapping,
    to_mapping,
)
from transformer.errors import InputError, require
from transformer.training import TrainingResult, Watch
from transformer.training.differences import differences

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

logger = logging.getLogger(__name__)

Achieve = Callable[[TrainSettings, Watch], TrainingResult]


@dataclass(frozen=True)
class Study:
    """What a study varies, what it leaves as it is, and how it goes about it."""

    composer: Composer
    fixed: Sequence[str]  # overrides of every trial
    space: Sequence[Dimension]
    config: StudyConfig
    base: TrainSettings  # with the first value of each dimension, or the last

    @property
    def folder(self) -> Path:
        """The folder of the study, in which each trial has its own, by number."""
        return Path(self.base.run_dir)

    @property
    def metric(self) -> Metric:
        return self.base.training.metric

    def run(self, achieve: Achieve, board: Board) -> None:
        """Make the trials that are left, an interrupted one first; `board` gets all of them."""
        with self._locked():
            training = self.base.training
            last = training.max_updates
            pruner = build_pruner(self.config, min(training.validate_every, last), last)
            study = open_study(self.config, self.folder, direction_of(self.metric).name, pruner)
            self._check_same(study)
            trials = Trials(study, self.config, self.space)
            for earlier in trials.known():
                self._note(board, earlier)
            while (trial := trials.next()) is not None:
                self._try(trial, achieve, board, trials)
            board.write()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keeps other processes from the study, whose folder is made where it is missing."""
        where = f"run_dir={self.folder}"
        require(
            not (self.folder / "config.yaml").exists(), f"{where} holds a run; give a new folder"
        )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".study.lock")
            lock.acquire(timeout=0)
        except OSError as error:  # of which Timeout is one
            why = "another process sweeps in it"
            if not isinstance(error, Timeout):
                why = f"it cannot be written: {error.strerror}"
            raise InputError(f"{where}: {why}") from error
        try:
            yield
        finally:
            lock.release()

    def _check_same(self, study: Any) -> None:
        """InputError where the study began elsewhere or otherwise, else remember how."""
        folder = str(self.folder.absolute())
        space = [repr(each) for each in self.space]
        before = study.user_attrs.get("settings")
        if before is None:
            study.set_user_attr("folder", folder)
            study.set_user_attr("space", space)
            study.set_user_attr("settings", to_mapping(self.base))
            return
        # The folder is locked, not the storage; a study beside its trials may be moved with them.
        require(
            self.config.storage is None or study.user_attrs["folder"] == folder,
            f"hydra.sweeper.study_name={study.study_name} is a study in run_dir="
            f"{study.user_attrs['folder']}; give another name, or that run_dir",
        )
        where = f"run_dir={self.folder} holds a study"
        require(
            study.user_attrs["space"] == space,
            f"{where} that varies other settings or values; set them back, or give another run_dir",
        )
        different = differences(from_mapping(TrainSettings, before), self.base)
        require(
            not different,
            f"{where} of other settings ({'; '.join(different)}); set them back, or give another "
            "run_dir",
        )

    def _note(self, board: Board, trial: "FrozenTrial") -> str:
        """The folder of `trial`, which the table gets a line for, unless it has one."""
        run_dir = str(self.folder / f"{trial.number:03d}")
        if all(line.run_dir != run_dir for line in board.lines):
            drawn = {each.key: each for each in self.space}
            values = {
                key: typed(drawn[key].text(value))
                for key, value in trial.params.items()
                if key in drawn
            }
            board.lines.append(Line(run_dir, values, self.base.training))
        if "failed" in trial.user_attrs:
            board.failures[run_dir] = trial.user_attrs["failed"]
        return run_dir

    def _try(self, trial: "Trial", achieve: Achieve, board: Board, trials: Trials) -> None:
        """Train with what `trial` suggests, and tell the study what came of it."""
        from optuna.trial import TrialState

        drawn = [f"{each.key}={each.text(each.suggest(trial))}" for each in self.space]
        frozen = trials.known()[trial.number]
        run_dir = self._note(board, frozen)
        logger.info("trial %d (%d in all): %s", trial.number, trials.total, " ".join(drawn))
        try:
            board.write()
            settings = self.composer.settings([*self.fixed, *drawn])
            settings.run_dir = run_dir
            result = achieve(settings, self._watch(trial, frozen))
            require(not math.isnan(result.best), f"the best {self.metric.name} is nan")
        except (InputError, RuntimeError) as error:
            why = failure(error)
            if why is None:
                raise
            logger.warning("%s failed: %s", run_dir, why)
            trial.set_user_attr("failed", why)
            board.failures[run_dir] = why
            trials.study.tell(trial, state=TrialState.FAIL)
        else:
            if result.pruned:
                trials.study.tell(trial, state=TrialState.PRUNED)
            else:
                trials.study.tell(trial, result.best)
        finally:
            board.write()

    def _watch(self, trial: "Trial", frozen: "FrozenTrial") -> Watch:
        """Reports each validation to the study, once, and ends the run where the pruner says so."""
        reported = set(frozen.intermediate_values)
        decided: str | None = frozen.user_attrs.get("pruned")

        def watch(update: int, value: float) -> str | None:
            if decided is not None:
                return decided
            if update not in reported:
                trial.report(value, update)
                reported.add(update)
            if not trial.should_prune():
                return None
            why = (
                f"pruned by hydra.sweeper.pruner={self.config.pruner.name} at "
                f"{self.metric.name} {value:.2f}"
            )
            # Some pruners keep track of what they were asked, so they are not asked again.
            trial.set_user_attr("pruned", why)
            return why

        return watch


def build_study(composer: Composer, texts: Sequence[str]) -> Study:
    """The study that the overrides `texts` describe; InputError for what is wrong in them."""
    for text in texts:
        require(
            not is_of_launcher(text),
            f"{text}: with {SWEEPER}=optuna, trials go one after the other in this process",
        )
    require(
        importlib.util.find_spec("optuna") is not None,
        f"{SWEEPER}=optuna needs optuna; pip install 'transformer-mt[sweep]'",
    )
    config = _config([text for text in texts if is_of_sweeper(text)])
    overrides = parse([text for text in texts if not is_of_sweeper(text)], composer.cls)
    known = settings_of(composer.cls)
    space = []
    for each in (each for each in overrides if each.is_sweep_override()):
        line = each.input_line or ""
        require(
            key_of(line) not in {"run_dir", "training.metric"},
            f"{line}: a study has one {key_of(line)}",
        )
        space.append(dimension(each, known.get(key_of(line))))
    check_once(overrides)
    fixed = [each.input_line or "" for each in overrides if not each.is_sweep_override()]
    base = _base(composer, fixed, space)
    _check(config, space, base)
    return Study(composer, fixed, space, config, base)


def _config(texts: Sequence[str]) -> StudyConfig:
    """The settings of the study itself."""
    prefix = "hydra.sweeper."
    for text in texts:
        key = key_of(text)
        hint = f"{prefix}{key.rpartition('/')[2]}=NAME"
        require(not key.startswith(f"{SWEEPER}/"), f"{text}: write {hint}")
    texts = [text for text in texts if key_of(text) != SWEEPER]
    values = {}
    for override in parse(texts, StudyConfig, prefix):
        line = override.input_line or ""
        require(not override.is_sweep_override(), f"{line}: the study is one for all trials")
        value = override.value()
        values[key_of(line).removeprefix(prefix)] = getattr(value, "text", value)
    return from_mapping(StudyConfig, values, "hydra.sweeper")


def _base(composer: Composer, fixed: Sequence[str], space: Sequence[Dimension]) -> Any:
    """Settings of the study; InputError where neither the first nor the last values make any."""
    errors = []
    for end in (0, 1):
        try:
            return composer.settings([*fixed, *(f"{each.key}={each.ends[end]}" for each in space)])
        except InputError as error:
            errors.append(error)
    raise errors[0]


def _check(config: StudyConfig, space: Sequence[Dimension], base: TrainSettings) -> None:
    """InputError where the settings of the study do not go with each other or with the runs'."""
    example = "as in optim.lr=tag(log,interval(1e-4,1e-2))"
    require(bool(space), f"{SWEEPER}=optuna: no setting varies; give one several values, {example}")
    for each in space:
        require(
            config.sampler is not Sampler.grid or bool(each.texts),
            f"{each.key}: hydra.sweeper.sampler=grid takes choice(…) and range(…), no interval",
        )
    metric = base.training.metric
    asked = config.direction
    require(
        asked in {None, direction_of(metric)},
        f"hydra.sweeper.direction={asked.name if asked else None} goes against "
        f"training.metric={metric.name}, to {direction_of(metric).name}; leave it out",
    )
    n, last = config.n_updates_before_pruning, base.training.max_updates
    require(
        n < last,
        f"hydra.sweeper.n_updates_before_pruning={n} leaves nothing to prune at "
        f"training.max_updates={last}",
    )


def direction_of(metric: Metric) -> Direction:
    """What a study does with `metric`."""
    return Direction.minimize if metric is Metric.loss else Direction.maximize
