"""What the command line knows of each command."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from transformer.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command: its settings, and the function that runs it with them.

    The first line of the docstring of `settings` is "transformer NAME: what it does".
    """

    settings: type[Any]
    run: Callable[[Any], None]
    examples: tuple[str, ...]
    sweeps: bool = False  # takes --multirun

    @property
    def _headline(self) -> tuple[str, str]:
        name, _, summary = (self.settings.__doc__ or "").splitlines()[0].partition(": ")
        return name.removeprefix("transformer "), summary.rstrip(".")

    @property
    def name(self) -> str:
        """The word after `transformer`; also the name of the file in `configs/`."""
        return self._headline[0]

    @property
    def summary(self) -> str:
        """What it does, without a full stop."""
        return self._headline[1]


def emit(text: str) -> None:
    """Write `text` and a line end to standard output; InputError where that is impossible."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"standard output cannot be written: {error.strerror}") from error
    except UnicodeEncodeError as error:
        name = sys.stdout.encoding
        raise InputError(
            f"standard output cannot be written as {name}; set PYTHONUTF8=1"
        ) from error
