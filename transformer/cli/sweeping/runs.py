"""The runs of a sweep under way, and the table that they leave."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from transformer.cli.command import emit
from transformer.cli.compose import Composer
from transformer.cli.console import shortage
from transformer.cli.overrides import key_of
from transformer.cli.sweeping.sweep import SWEEPER, Sweep, sweep
from transformer.config import TrainSettings
from transformer.errors import InputError, Stopped, require
from transformer.signals import immediate

if TYPE_CHECKING:
    from transformer.cli.sweeping.board import Board
    from transformer.cli.sweeping.launch import Launcher
    from transformer.cli.sweeping.study import Study

logger = logging.getLogger(__name__)

BETWEEN = "between two runs of the sweep"


def plan(composer: Composer, texts: Sequence[str]) -> "Sweep | Study":
    """What the overrides `texts` of `train --multirun` ask for; InputError for what is wrong."""
    chosen = [text.partition("=")[2] for text in texts if key_of(text) == SWEEPER]
    name = chosen[-1] if chosen else "basic"
    require(
        name in {"basic", "optuna"},
        f"{SWEEPER}={name}: there is no such sweeper; there are basic, optuna",
    )
    if name == "optuna":
        # It imports torch, which takes seconds, in which a signal may come.
        with immediate("before the first run"):
            from transformer.cli.sweeping.study import build_study

            return build_study(composer, texts)
    for text in texts:
        belongs = key_of(text) != SWEEPER and text.startswith(("hydra.sweeper.", f"{SWEEPER}/"))
        require(not belongs, f"{text} goes with {SWEEPER}=optuna")
    return sweep(composer, texts)


def run_sweep(
    sweep: Sweep, run: Callable[[Any], object], launcher: "Launcher | None" = None
) -> None:
    """Make the runs, here or as jobs, and leave their table; InputError where some failed."""
    with immediate(BETWEEN):
        board = board_of(sweep)
    settings = [each.settings for each in sweep.runs]
    with _shown(board):
        if launcher is not None:
            from transformer.cli.sweeping.launch import launch

            launch(launcher, run, settings, lambda failures: _tell(board, failures))
        else:
            with immediate(BETWEEN):
                _run_each(settings, run, board)
    failed = [f"{name}: {why}" for name, why in board.failures.items()]
    require(not failed, f"{len(failed)} of {len(settings)} runs failed; {'; '.join(failed)}")


def run_study(study: "Study") -> None:
    """Make the trials that are left, and leave the table of all; InputError where none came off."""
    from transformer.cli.sweeping.board import Board
    from transformer.cli.train import achieve

    board = Board(study.folder, study.metric)
    with _shown(board), immediate(BETWEEN):
        study.run(achieve, board)
    n, failures = len(board.lines), board.failures
    require(
        len(failures) < n, f"all {n} trials failed; {'; '.join(dict.fromkeys(failures.values()))}"
    )


def board_of(sweep: Sweep) -> "Board":
    """The table of a sweep's runs as their folders tell of them."""
    from transformer.cli.sweeping.board import Board, Line

    lines = [
        Line(each.settings.run_dir, each.values, each.settings.training) for each in sweep.runs
    ]
    return Board(sweep.folder, lines[0].training.metric, lines)


def _run_each(runs: Sequence[TrainSettings], run: Callable[[Any], object], board: "Board") -> None:
    """Make one run after the other; the table keeps why one failed, and the others go on."""
    for settings in runs:
        try:
            run(settings)
        except (InputError, RuntimeError) as error:
            why = failure(error)
            if why is None:
                raise
            logger.warning("%s failed: %s", settings.run_dir, why)
            board.failures[settings.run_dir] = why
        finally:
            board.write()


def _tell(board: "Board", failures: Mapping[str, str]) -> None:
    board.failures.update(failures)
    board.write()


@contextmanager
def _shown(board: "Board") -> Iterator[None]:
    """Prints the table at the end, also where a mistake or a signal is the end."""
    try:
        yield
    except (InputError, Stopped):
        if board.has_news():
            emit(f"\n{board.table().render('table')}")
        raise
    emit(f"\n{board.table().render('table')}")


def failure(error: InputError | RuntimeError) -> str | None:
    """Why a run failed, if that is no reason for the runs after it to fail."""
    return str(error) if isinstance(error, InputError) else shortage(error)
