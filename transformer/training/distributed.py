"""Several processes that train one model, as torchrun starts them."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from transformer.config import ParallelConfig
from transformer.errors import InputError, require

T = TypeVar("T")
# By torchrun, to each process.
TOLD = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Processes:
    """The processes of a run, as one of them sees them; every method is for all to call alike.

    InputError where another one has ended or does not answer.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0  # among those of this machine
    control: Any = None  # the group for messages between CPUs
    bucket_mb: float = ParallelConfig.bucket_mb

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """The device of this process where the settings say `name`: each takes its own GPU."""
        if self.count == 1 or name == "cpu" or not torch.cuda.is_available():
            return name
        return f"cuda:{self.local_rank}"

    def agree(self, *flags: float) -> list[float]:
        """The largest value of each flag over all processes."""
        if self.count == 1:
            return list(flags)
        found = torch.tensor(flags, dtype=torch.float64)
        with answering():
            dist.all_reduce(found, dist.ReduceOp.MAX, group=self.control)
        return found.tolist()

    def gather(self, items: Sequence[T]) -> list[T]:
        """All items in order, where this process holds items[rank::count]."""
        if self.count == 1:
            return list(items)
        shares: list[list[T]] = [[] for _ in range(self.count)]
        with answering():
            dist.all_gather_object(shares, list(items), group=self.control)
        n = sum(map(len, shares))
        return [shares[i % self.count][i // self.count] for i in range(n)]

    def from_first(self, value: T) -> T:
        """The value that the first process gave."""
        if self.count == 1:
            return value
        values = [value]
        with answering():
            dist.broadcast_object_list(values, src=0, group=self.control)
        return values[0]

    def begin_sum(self, tensor: Tensor) -> Callable[[], None]:
        """Begin to replace `tensor` by its sum over all processes; gives what waits for it.

        It is not to be touched in between. On a GPU only what is computed later waits, not the
        host.
        """
        with answering():
            message = dist.all_reduce(tensor, async_op=True)

        def wait() -> None:
            with answering():
                message.wait()

        return wait

    def sum_(self, tensor: Tensor) -> None:
        """Replace `tensor` by its sum over all processes."""
        if self.count > 1:
            self.begin_sum(tensor)()


@contextmanager
def answering() -> Iterator[None]:
    """Turns the failure of a message into InputError."""
    try:
        yield
    except (dist.DistError, RuntimeError) as error:
        if type(error) is not RuntimeError and not isinstance(error, dist.DistError):
            raise  # out of memory, say, which says nothing of the others
        # Without the place in the library's source, and without its advice.
        reason = re.sub(r"\[/\S*\] ", "", str(error)).strip().split(". ")[0]
        raise InputError(
            f"another process of this run has ended or does not answer ({reason[:120]}); its own "
            "message, if it has one, says why; run again to go on from the last checkpoint"
        ) from error


def meeting_point(timeout: timedelta) -> Any:
    """Where processes leave their addresses for each other.

    torchrun keeps one store over its restarts, in which the addresses of processes that have died
    are still to be found; so each start has names of its own.
    """
    store, *_ = next(rendezvous("env://", timeout=timeout))
    start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return dist.PrefixStore(f"start {start}", store)  # type: ignore[attr-defined]


@contextmanager
def joined(config: ParallelConfig, device: str) -> Iterator[Processes]:
    """The processes that torchrun started together with this one; only this one without torchrun.

    InputError where they cannot be reached, or the setting `device` is not for several.
    """
    told = {name: os.environ.get(name) for name in TOLD}
    missing = [name for name, value in told.items() if value is None]
    if (told["WORLD_SIZE"] or "1") == "1":
        require(
            not config.shard,
            "training.parallel.shard=true needs several processes; start them with torchrun",
        )
        yield Processes()
        return
    require(
        not missing,
        f"WORLD_SIZE={told['WORLD_SIZE']} is set, but not {' and '.join(missing)}; start several "
        "processes with torchrun",
    )
    rank, count, local_rank = (int(told[name] or 0) for name in TOLD[:3])
    require(
        device in ("auto", "cpu", "cuda"),
        f"device={device} with several processes: each takes its own GPU; use device=cuda",
    )
    on_gpu = device != "cpu" and torch.cuda.is_available()
    timeout = timedelta(minutes=config.timeout_minutes)
    with answering():
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
            store=meeting_point(timeout),
            rank=rank,
            world_size=count,
            timeout=timeout,
        )
        control = dist.new_group(backend="gloo", timeout=timeout)
    try:
        yield Processes(rank, count, local_rank, control, config.bucket_mb)
    except BaseException:
        if on_gpu:
            abandon_messages()
        raise
    finally:
        dist.destroy_process_group()


def abandon_messages() -> None:
    """Give up the sums that GPUs wait for: others may never send their share of them."""
    everyone = dist.group.WORLD
    assert everyone is not None
    with suppress(RuntimeError):
        everyone.abort()
