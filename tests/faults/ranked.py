"""Run as a program by torchrun: `transformer` in a process that comes to harm.

HARM_RANK is the rank that does, at update HARM_UPDATE of its first start, after it
has made HARM_FILE: HARM_HARM=kill kills it, hang stops it, memory lets it have memory for
HARM_TOKENS from the beginning.
"""

import os
import signal
from pathlib import Path
from typing import Any

from tests.faults.test_memory import fitting
from transformer.cli.main import entry_point
from transformer.training import start
from transformer.training.update import Updater


def die_at(number: int, sent: signal.Signals) -> None:
    update = Updater.update

    def updated(self: Updater, batches: Any, flags: Any) -> Any:
        if batches.position.update == number:
            Path(os.environ["HARM_FILE"]).touch()
            os.kill(os.getpid(), sent)
        return update(self, batches, flags)

    Updater.update = updated  # type: ignore[method-assign,assignment]


def come_to_harm(harm: str) -> None:
    if harm == "memory":
        build = start.build_objective  # type: ignore[attr-defined]
        most = int(os.environ["HARM_TOKENS"])
        start.build_objective = lambda *args: fitting(build(*args), most)  # type: ignore[attr-defined]
    elif os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        sent = {"kill": signal.SIGKILL, "hang": signal.SIGSTOP}[harm]
        die_at(int(os.environ["HARM_UPDATE"]), sent)


if __name__ == "__main__":
    if os.environ.get("HARM_RANK") == os.environ["RANK"]:
        come_to_harm(os.environ["HARM_HARM"])
    entry_point()
