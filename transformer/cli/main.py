"""The console command: finds the command, composes its settings, runs it."""

import argparse
import difflib
import errno
import io
import logging
import os
import select
import sys
from typing import NoReturn

from transformer import __version__
from transformer.cli import average, evaluate, prepare, train, translate
from transformer.cli.command import Command, emit
from transformer.errors import InputError, require

COMMANDS: dict[str, Command] = {
    module.COMMAND.name: module.COMMAND for module in (prepare, train, translate, evaluate, average)
}

INTERRUPTED = 130  # 128 + SIGINT, as a shell would say
BROKEN_PIPE = 141  # 128 + SIGPIPE
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def entry_point() -> NoReturn:
    """Run the command line of this process."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name need not be valid text.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main())


def main(argv: list[str] | None = None) -> int:
    """The exit status of the command line `argv`: 0, or 1 after one line on standard error."""
    try:
        _run(sys.argv[1:] if argv is None else argv)
    except InputError as error:
        _complain(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        _complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        if not _reader_has_gone():
            raise
        # What is still buffered has no reader; without this, Python says so when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        if error.errno not in FULL:
            raise
        file = f" {error.filename}" if error.filename else ""
        _complain(f"error: cannot write{file}: {error.strerror}")
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
    from transformer.cli.sweep import single, sweep

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
        compose = sweep if arguments.multirun else single
        runs = compose(composer, arguments.overrides)
        _log_to_stderr()
        for settings in runs:
            command.run(settings)


def _log_to_stderr() -> None:
    logging.basicConfig(
        stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", force=True
    )
    logging.getLogger("transformer").setLevel(logging.INFO)


def _complain(text: str) -> None:
    print(text.replace("\r", " ").replace("\n", " "), file=sys.stderr)


def _reader_has_gone() -> bool:
    """Whether standard output is a pipe that nobody reads any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
