"""Systems in processes of their own, which take turns, and the command line's words for them."""

import json
import os
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from measuring import SCRIPTS

from transformer.errors import InputError, require

T = TypeVar("T")


def chosen(text: str, baselines: Collection[str]) -> list[str]:
    """Those of `baselines` that `--baselines` names, each once."""
    names = {"all": list(baselines), "none": []}.get(text, text.split(","))
    unknown = [name for name in names if name not in baselines]
    require(
        not unknown,
        f"--baselines={text}: there is no {', '.join(unknown)}; give all, none, or some of "
        f"{','.join(baselines)}",
    )
    return list(dict.fromkeys(names))


def pythons_of(texts: Sequence[str], baselines: Collection[str]) -> dict[str, str]:
    """The interpreter of each baseline that `--python` names."""
    found = dict(text.partition("=")[::2] for text in texts)
    for name, path in found.items():
        require(
            name in baselines and Path(path).is_file(),
            f"--python {name}={path} is not NAME=INTERPRETER with a name of "
            f"{','.join(baselines)} and a file",
        )
    return found


def rotated(items: Sequence[T], number: int) -> list[T]:
    """The order of `items` in the round `number`: each round begins with another one."""
    first = number % len(items)
    return [*items[first:], *items[:first]]


def tuning() -> dict[str, str]:
    """Variables of the environment that give others what the project gives itself on the CPU.

    glibc keeps freed memory for the next tensors, as `keep_freed_memory` has it; and torch takes
    the library for products in fp32 that the project has chosen in this process.
    """
    return {
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": "2147483647",
        "FP32_PRODUCTS": torch.get_float32_matmul_precision(),
    }


class LeftOutError(Exception):
    """A contender cannot take part, for the reason that it gives in one line."""


class Contender:
    """A system in a process of its own, which works only when it is told.

    Both sides send one JSON object a line. When the process has warmed up, it says what there is
    to say of its start; `serving.serve` is its side of the conversation.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, variables: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        path = os.pathsep.join([str(SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        changes = {"PYTHONPATH": path, "CONTENDER_STARTED": repr(time.time())}
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | changes | dict(variables or {}),
                text=True,
                encoding="utf-8",
            )
        except OSError as error:
            raise InputError(
                f"{name} cannot be started: {command[0]}: {error.strerror}; name a program "
                "that runs"
            ) from error
        self.start = self._read()

    def turn(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What the process measured at what `request` asked for."""
        return self._ask(request)

    def close(self) -> dict[str, Any]:
        """Its final words: peak memory, versions. The process ends."""
        words = self._ask({"close": True})
        self._process.communicate()
        return words

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.communicate()

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(dict(request)) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # what it died of shows in `_read`
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.communicate()
            raise InputError(
                f"{self.name} ended with status {self._process.returncode}; what it died of "
                "stands above"
            )
        found = cast(dict[str, Any], json.loads(line))
        if "left_out" in found:
            self._process.communicate()
            raise LeftOutError(f"{self.name} is left out: {found['left_out']}")
        return found
