"""Checkpoints written in the background, while training goes on."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from transformer.checkpoint import Contents, list_checkpoints
from transformer.config import WriteErrorAction
from transformer.errors import InputError
from transformer.training.run import RunFolder

logger = logging.getLogger(__name__)


class Snapshot:
    """Copies of tensors in host memory; each one made reuses the buffers of the one before."""

    def __init__(self) -> None:
        self.buffers: dict[str, Tensor] = {}

    def take(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """`values` with all tensors copied; the copies hold until the next call."""
        older, self.buffers = self.buffers, {}
        devices: set[torch.device] = set()
        taken = {key: self._copy(value, f"/{key}", older, devices) for key, value in values.items()}
        for device in devices:
            torch.cuda.current_stream(device).synchronize()
        return taken

    def _copy(
        self, value: Any, path: str, older: dict[str, Tensor], devices: set[torch.device]
    ) -> Any:
        if isinstance(value, Tensor):
            if value.is_cuda:
                devices.add(value.device)
            self.buffers[path] = _buffer(value, older.get(path))
            return self.buffers[path].copy_(value.detach(), non_blocking=value.is_cuda)
        if isinstance(value, Mapping):
            return {k: self._copy(v, f"{path}/{k}", older, devices) for k, v in value.items()}
        if isinstance(value, list | tuple):
            items = [self._copy(v, f"{path}/{i}", older, devices) for i, v in enumerate(value)]
            return items if isinstance(value, list) else tuple(items)
        return value


def _buffer(value: Tensor, older: Tensor | None) -> Tensor:
    """Host memory for a copy of `value`: `older` where that fits."""
    if older is not None and older.shape == value.shape and older.dtype == value.dtype:
        return older
    # From memory that the system may move, a GPU's copies would be waited for one by one.
    return torch.empty(value.shape, dtype=value.dtype, pin_memory=value.is_cuda)


class CheckpointWriter:
    """Saves the checkpoints of a run in a thread, one at a time.

    The folder is the thread's between `save` and the end of the write: `wait` before others read
    or change its checkpoints.
    """

    def __init__(self, folder: RunFolder, action: WriteErrorAction) -> None:
        self.folder = folder
        self.action = action
        self.stall_s = 0.0  # for which the last `save` kept training waiting
        self._snapshot = Snapshot()
        self._thread: threading.Thread | None = None
        self._raised: BaseException | None = None  # by the thread, and not told yet
        self._failure: str | None = None  # of the last save, if it failed

    def save(self, update: int, contents: Contents) -> None:
        """Begin to save the checkpoint of `update` from a copy, and return.

        An unfinished earlier one is waited for, and its failure told as by `poll`.
        """
        started = time.perf_counter()
        self.wait()
        values = {"weights": contents.weights, "training": contents.training}
        copied = replace(contents, metrics=dict(contents.metrics), **self._snapshot.take(values))
        # No daemon: a process that ends by itself finishes its checkpoint first.
        self._thread = threading.Thread(
            target=self._write, args=(update, copied), name=f"checkpoint {update}"
        )
        self._thread.start()
        self.stall_s = time.perf_counter() - started

    def _write(self, update: int, contents: Contents) -> None:
        try:
            self.folder.save(update, contents)
        except BaseException as error:  # `poll` raises it where it is seen
            self._raised = error

    def poll(self) -> None:
        """Tell of a write that has failed since the last call; it costs nothing.

        By the action a warning or InputError.
        """
        if self._thread is None or self._thread.is_alive():
            return
        self._end()
        self._tell()

    def wait(self) -> None:
        """Let an unfinished write end, and tell of its failure as `poll` does."""
        self._end()
        self._tell()

    def close(self, *, must_succeed: bool) -> None:
        """Let an unfinished write end; InputError if `must_succeed` and the last save failed."""
        self._end()
        if must_succeed and self._failure is not None:
            raise InputError(self._failure)
        self._tell()

    def _end(self) -> None:
        if self._thread is None:
            return
        self._thread.join()
        self._thread = None
        raised = self._raised
        if raised is not None and not isinstance(raised, InputError):
            self._raised = None
            raise raised
        self._failure = None if raised is None else f"{raised}; {self._left()}"

    def _tell(self) -> None:
        raised, self._raised = self._raised, None
        if raised is None:
            return
        if self.action is WriteErrorAction.stop:
            raise InputError(self._failure or str(raised)) from raised
        logger.warning("%s; it is tried again at the next checkpoint", self._failure)

    def _left(self) -> str:
        """What there is of the run beside the failed save, in words."""
        found = list_checkpoints(self.folder.checkpoints)
        if not found:
            return "no checkpoint is left there"
        return f"the checkpoint of update {int(found[-1].name)} is whole"
