"""The side of a contender that works: it answers requests, one JSON object a line.

It needs the standard library alone, so that systems run in environments of their own.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def products(precision: str) -> str:
    """How much torch may round the factors of fp32 products where a system computes so."""
    return "high" if precision == "tf32" else os.environ.get("FP32_PRODUCTS", "highest")


def serve(begin: Callable[[], tuple[dict[str, Any], Answer, Callable[[], dict[str, Any]]]]) -> None:
    """Begin, say what there is to say of the start, then answer until the other side closes.

    `begin` gives what to say first, the answer to a request, and the final words. It raises
    LeftOut where the contender cannot take part. What else is printed goes to the error output.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(words: dict[str, Any]) -> None:
        answers.write(json.dumps(words) + "\n")
        answers.flush()

    try:
        first, answer, final = begin()
    except LeftOut as error:
        say({"left_out": " ".join(str(error).split())})
        return
    say(first)
    for line in sys.stdin:
        request = json.loads(line)
        if "close" in request:
            say(final())
            return
        say(answer(request))


class LeftOut(Exception):  # noqa: N818
    """Why a contender cannot take part, and what would help."""


def seconds_since_start() -> float:
    """Seconds since the process was asked for, its imports among them."""
    return time.time() - float(os.environ["CONTENDER_STARTED"])


def peak_resident() -> int:
    """The most bytes of this process that were in memory at once."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        found = next(line for line in lines if line.startswith("VmHWM:"))
        return int(found.split()[1]) * 1024
    except (OSError, StopIteration):
        # Elsewhere than on Linux, where this would count what started the process too.
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
