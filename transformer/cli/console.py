"""What a process writes to the terminal, alone or as one of several."""

import errno
import logging
import os
import sys

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def is_first() -> bool:
    """Whether this process is the only one, or the first of several that torchrun started."""
    return _rank() == 0


def is_one_of_several() -> bool:
    """Whether torchrun started other processes together with this one."""
    return os.environ.get("WORLD_SIZE", "1") != "1"


def log_to_stderr() -> None:
    """Send the log to standard error; of the processes but the first only what is a warning."""
    logging.basicConfig(
        stream=sys.stderr,
        format=f"%(asctime)s {_prefix()}%(message)s",
        datefmt="%H:%M:%S",
        force=True,
    )
    logging.getLogger("transformer").setLevel(logging.INFO if is_first() else logging.WARNING)


def complain(text: str) -> None:
    """Write `text` as one line to standard error."""
    print(_prefix() + text.replace("\r", " ").replace("\n", " "), file=sys.stderr, flush=True)


def shortage(error: OSError | RuntimeError) -> str | None:
    """What the machine has too little of, if that is what `error` says."""
    if isinstance(error, OSError):
        file = f" {error.filename}" if error.filename else ""
        return f"cannot write{file}: {error.strerror}" if error.errno in FULL else None
    # By name: torch, whose error it is, need not be imported.
    is_memory = type(error).__name__ == "OutOfMemoryError"
    return f"out of GPU memory: {str(error).splitlines()[0]}" if is_memory else None


def _prefix() -> str:
    return "" if is_first() else f"rank {_rank()}: "


def _rank() -> int:
    rank = os.environ.get("RANK", "0")
    return int(rank) if rank.isdecimal() else 0
