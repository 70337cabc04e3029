"""The console command: finds the command, composes its settings, runs it."""

import argparse
import difflib
import io
import os
import select
import sys
from typing import TYPE_CHECKING, NoReturn

from transformer import __version__
from transformer.cli import (
    attention,
    average,
    evaluate,
    prepare,
    report,
    score,
    shortlist,
    train,
    translate,
)
from transformer.cli.command import Command, emit
from transformer.cli.console import (
    complain,
    is_first,
    is_one_of_several,
    log_to_stderr,
    shortage,
)
from transformer.errors import InputError, Stopped, require

if TYPE_CHECKING:
    from transformer.cli.compose import Composer

COMMANDS: dict[str, Command] = {
    module.COMMAND.name: module.COMMAND
    for module in (
        *(prepare, train, translate, score, evaluate),
        *(report, attention, average, shortlist),
    )
}

STOPPED = os.EX_TEMPFAIL  # 75 of sysexits.h: run me again
INTERRUPTED = 130  # 128 + SIGINT, as a shell would say
BROKEN_PIPE = 141  # 128 + SIGPIPE


def entry_point() -> NoReturn:
    """Run the command line of this process."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name need not be valid text.
        sys.stdout.reconfigure(errors="backslashreplace")
    status = main()
    if status in (INTERRUPTED, STOPPED):
        # At once: without waiting for a checkpoint that is being written, which harms none, and
        # before another signal can change the status.
        sys.stdout.flush()
        os._exit(status)
    sys.exit(status)


def main(argv: list[str] | None = None) -> int:
    """The exit status of the command line `argv`: 0, or another after one line on standard error.

    Of several processes each names its own mistakes; only the first says that it was stopped.
    """
    try:
        _run(sys.argv[1:] if argv is None else argv)
    except InputError as error:
        complain(f"error: {error}")
        return 1
    except Stopped as stopped:
        if is_first():
            complain(str(stopped))
        return STOPPED
    except KeyboardInterrupt:
        if is_first():
            complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        if not _reader_has_gone():
            raise
        # What is still buffered has no reader; without this, Python says so when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (OSError, RuntimeError) as error:
        reason = shortage(error)
        if reason is None:
            raise
        complain(f"error: {reason}")
        return 1
    return 0


def _run(argv: list[str]) -> None:
    arguments = parser().parse_intermixed_args(argv)
    if arguments.version:
        emit(f"transformer {__version__}")
    elif arguments.command is None:
        require(arguments.help, "no command is given; transformer --help lists them")
        emit(_overview())
    else:
        _run_command(_command(arguments.command), arguments)


def _overview() -> str:
    lines = [f"  {command.name:<10} {command.summary}" for command in COMMANDS.values()]
    return "\n".join(
        [
            "usage: transformer COMMAND [KEY=VALUE ...]",
            "",
            "Trains Transformers for machine translation, and translates with them.",
            "",
            "commands:",
            *lines,
            "",
            "transformer COMMAND --help lists the settings of a command;",
            "transformer --version prints the version.",
        ]
    )


def parser() -> argparse.ArgumentParser:
    """The parser of the options; overrides are left to Hydra."""
    parser = _Parser(prog="transformer", add_help=False, allow_abbrev=False)
    parser.add_argument("command", nargs="?")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--cfg", choices=["job"])
    parser.add_argument("--config-dir", metavar="DIR")
    parser.add_argument("-m", "--multirun", action="store_true")
    return parser


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; options are --help, --cfg job, --config-dir DIR, --multirun")


def _command(name: str) -> Command:
    if name in COMMANDS:
        return COMMANDS[name]
    nearest = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(COMMANDS)}"
    raise InputError(f"there is no command {name}; {hint}")


def _run_command(command: Command, arguments: argparse.Namespace) -> None:
    # Hydra is imported no sooner than it is needed: `transformer --help` is quick.
    from transformer.cli.compose import Composer
    from transformer.cli.help import details
    from transformer.cli.sweeping.sweep import single

    composer = Composer(command.name, command.settings, arguments.config_dir)
    if arguments.help:
        emit(details(command, composer, arguments.overrides))
    elif arguments.cfg:
        require(not arguments.multirun, "--cfg job shows one run; leave out --multirun")
        emit(composer.compose(arguments.overrides).yaml)
    else:
        require(
            command.sweeps or not arguments.multirun,
            f"--multirun belongs to train, not to {command.name}",
        )
        if arguments.multirun:
            _sweep(command, composer, arguments.overrides)
        else:
            (settings,) = single(composer, arguments.overrides)
            log_to_stderr()
            command.run(settings)


def _sweep(command: Command, composer: "Composer", overrides: list[str]) -> None:
    """One run after the other in this process, or each as a job of its own, and their table."""
    from transformer.cli.sweeping.runs import plan, run_study, run_sweep
    from transformer.cli.sweeping.sweep import Sweep

    require(
        not is_one_of_several(),
        "--multirun belongs to one process; start torchrun once for each run, or let "
        "hydra/launcher=submitit_slurm start the processes of each",
    )
    planned = plan(composer, overrides)
    if not isinstance(planned, Sweep):
        log_to_stderr()
        run_study(planned)
        return
    from transformer.cli.sweeping.launch import build_launcher

    launcher = build_launcher(composer, overrides, [each.settings for each in planned.runs])
    log_to_stderr()
    run_sweep(planned, command.run, launcher)


def _reader_has_gone() -> bool:
    """Whether standard output is a pipe that nobody reads any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
