"""`train --multirun hydra/launcher=…`: each run as a job that submitit hands to Slurm."""

import difflib
import importlib.util
import logging
import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.errors import HydraException

from transformer.cli.compose import Composer
from transformer.cli.console import complain, log_to_stderr
from transformer.cli.overrides import key_of, parse, quote
from transformer.cli.sweeping.sweep import LAUNCHER, is_of_launcher
from transformer.config import Resume
from transformer.errors import InputError, Stopped, require

logger = logging.getLogger(__name__)

# The namespace before what lies in it: looking up the second imports the first.
_PACKAGES = ("submitit", "hydra_plugins", "hydra_plugins.hydra_submitit_launcher")
CLUSTERS = {"submitit_local": "local", "submitit_slurm": "slurm"}


@dataclass(frozen=True)
class Job:
    """One run, as submitit starts it in each task of a job."""

    run: Callable[[Any], object]
    settings: Any  # of the run; its `run_dir` names the job to the user

    def __call__(self) -> int:
        """The exit status: 0, or EX_TEMPFAIL where a signal ended the run."""
        _become_ranks()
        log_to_stderr()
        with _resubmission() as resubmit:
            try:
                self.run(self.settings)
            except Stopped as stopped:
                complain(str(stopped))
                resubmit()
                return os.EX_TEMPFAIL
        return 0

    def checkpoint(self) -> Any:
        """What submitit puts into the queue again: the same run, which goes on where it stopped."""
        from submitit.helpers import DelayedSubmission

        training = replace(self.settings.training, resume=Resume.auto)
        return DelayedSubmission(replace(self, settings=replace(self.settings, training=training)))


def _become_ranks() -> None:
    """Tell several tasks of one job of each other, as torchrun would."""
    from submitit import JobEnvironment
    from submitit.helpers import TorchDistributedEnvironment

    if JobEnvironment().num_tasks > 1:
        # Every task sees all GPUs of its machine and takes that of its LOCAL_RANK.
        TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)


@contextmanager
def _resubmission() -> Iterator[Callable[[], None]]:
    """Lets SIGUSR2, with which submitit announces the end of a job, end the run as SIGUSR1 does.

    Submitit would end the process at once. The function returned does so after the run has saved:
    it puts the job into the queue again if SIGUSR2 came, and returns where it may not.
    """
    from submitit.core.utils import UncompletedJobError

    submitit_handler: Any = signal.getsignal(signal.SIGUSR2)
    came = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        if callable(signal.getsignal(signal.SIGUSR1)):
            signal.raise_signal(signal.SIGUSR1)
        else:  # the run has nothing to save yet
            submitit_handler(number, frame)

    def resubmit() -> None:
        if came:
            try:
                submitit_handler(signal.SIGUSR2, None)
            except UncompletedJobError as error:
                complain(str(error))

    signal.signal(signal.SIGUSR2, handle)
    try:
        yield resubmit
    finally:
        signal.signal(signal.SIGUSR2, submitit_handler)


@dataclass(frozen=True)
class Launcher:
    """The cluster that jobs are handed to, and what each asks of it."""

    cluster: str
    parameters: Mapping[str, Any]

    def submit(self, jobs: Sequence[Job]) -> list[Any]:
        """Submitit's own objects for `jobs`; InputError where the cluster does not take them."""
        import submitit
        from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

        shared = {field.name for field in fields(BaseQueueConf)}
        named = {
            name if name in shared else f"{self.cluster}_{name}": value
            for name, value in self.parameters.items()
        }
        retries = named.pop("slurm_max_num_timeout", 0)
        try:
            executor = submitit.AutoExecutor(
                named.pop("submitit_folder"), self.cluster, slurm_max_num_timeout=retries
            )
            executor.update_parameters(**named)
            return list(executor.submit_array(jobs))
        except (RuntimeError, ValueError, OSError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{LAUNCHER}: the jobs cannot be submitted: {reason}") from error


def build_launcher(
    composer: Composer, texts: Sequence[str], runs: Sequence[Any]
) -> Launcher | None:
    """The launcher that the overrides `texts` choose for `runs`; None: this process runs them."""
    own = [text for text in texts if is_of_launcher(text)]
    for override in parse(own, composer.cls):
        line = override.input_line
        require(not override.is_sweep_override(), f"{line}: the launcher is one for all runs")
    options = [text for text in own if key_of(text) == LAUNCHER]
    name = options[-1].partition("=")[2] if options else "basic"
    require(
        name in (*CLUSTERS, "basic"),
        f"{LAUNCHER}={name}: there is no such launcher; there are basic, {', '.join(CLUSTERS)}",
    )
    rest = [text for text in own if text not in options]
    if name == "basic":
        require(not rest, f"{''.join(rest[:1])} goes with {LAUNCHER}=submitit_slurm")
        return None
    require(
        all(map(importlib.util.find_spec, _PACKAGES)),
        f"{LAUNCHER}={name} needs submitit; pip install 'transformer-mt[slurm]'",
    )
    return Launcher(CLUSTERS[name], _parameters(composer, name, rest, runs))


def _parameters(
    composer: Composer, name: str, texts: Sequence[str], runs: Sequence[Any]
) -> dict[str, Any]:
    """What each job asks of the cluster, by the plugin's names; InputError for what it lacks."""
    root = os.path.commonpath([Path(settings.run_dir).absolute().parent for settings in runs])
    base = [
        f"{LAUNCHER}={name}",
        f"hydra.sweep.dir={quote(root)}",
        "hydra.launcher.name=transformer",
    ]
    known = [f"hydra.launcher.{key}" for key in composer.launcher(base)]
    for text in texts:
        key = key_of(text)
        nearest = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
        require(key in known, f"there is no setting {key}; {hint}")
    try:
        # `++` since a mapping among them takes any key.
        return composer.launcher([*base, *(f"++{text}" for text in texts)])
    except HydraException as error:
        cause = str(error.__cause__ or error)
        where = re.search(r"full_key: (\S+)", cause)
        raise InputError(f"{where[1] if where else LAUNCHER}: {cause.splitlines()[0]}") from error


def launch(
    launcher: Launcher,
    run: Callable[[Any], object],
    runs: Sequence[Any],
    tell: Callable[[Mapping[str, str]], None],
) -> None:
    """Submit a job for each of `runs` and wait for all of them.

    After each, `tell` is told why which have failed, by run_dir. Raises InputError where one
    failed, else Stopped where one was stopped. The jobs go on where this process ends.
    """
    jobs = launcher.submit([Job(run, settings) for settings in runs])
    for settings, job in zip(runs, jobs, strict=True):
        logger.info("%s is job %s; its log: %s", settings.run_dir, job.job_id, job.paths.stderr)
    failures: dict[str, str] = {}
    n_stopped = 0
    for settings, job in zip(runs, jobs, strict=True):
        outcome = _outcome(settings.run_dir, job)
        if isinstance(outcome, str):
            failures[settings.run_dir] = outcome
        elif outcome:
            n_stopped += 1
        tell(failures)
    failed = [f"{name}: {why}" for name, why in failures.items()]
    require(not failed, f"{len(failed)} of {len(runs)} jobs failed; {'; '.join(failed)}")
    if n_stopped:
        raise Stopped(f"{n_stopped} of {len(runs)} jobs stopped early; run again to go on")


def _outcome(name: str, job: Any) -> int | str:
    """The exit status of a job when it has ended, or why it failed."""
    from submitit.core.utils import UncompletedJobError

    try:
        status = int(max(job.results()))
    except UncompletedJobError as error:
        reason = re.search(r"InputError: (.*)", str(error))
        return reason[1] if reason else f"see {job.paths.stderr}"
    logger.info("%s: job %s %s", name, job.job_id, "stopped early" if status else "is done")
    return status
