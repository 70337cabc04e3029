"""What the command line knows of each command."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


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
    """Write `text` and a line end to standard output."""
    print(text, flush=True)
