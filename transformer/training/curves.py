"""TensorBoard's file of a run."""

import errno
import io
import logging
import math
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import (  # type: ignore[import-untyped]
    Event,
    SessionLog,
)
from tensorboard.summary.writer.record_writer import (  # type: ignore[import-untyped]
    RecordWriter,
)
from torch.utils.tensorboard.summary import scalar, text

logger = logging.getLogger(__name__)


class Curves:
    """Writes what TensorBoard shows, at once and without a thread.

    Where that fails, one warning says so, and nothing more is written.
    """

    def __init__(self, folder: Path, update: int) -> None:
        self.folder = folder
        self.file: io.FileIO | None = None
        # TensorBoard reads the files in the order of their names.
        seconds, nanoseconds = divmod(time.time_ns(), 10**9)
        stem = f"events.out.tfevents.{seconds}.{nanoseconds:09d}.{socket.gethostname()}"
        try:
            self.file = (folder / stem).open("wb", buffering=0)
        except OSError as error:
            self._give_up(error)
        self._add(Event(wall_time=time.time(), file_version="brain.Event:2"))
        # Points after `update` are of a run that was cut off: they will be made again.
        start = SessionLog(status=SessionLog.START)
        self._add(Event(wall_time=time.time(), step=update + 1, session_log=start))

    def add_scalars(self, values: Mapping[str, float], update: int) -> None:
        """Add a point to each curve, but for values that are not finite."""
        for name, value in values.items():
            if math.isfinite(value):
                self._add_summary(scalar(name, value), update)  # type: ignore[no-untyped-call]

    def add_text(self, name: str, lines: str, update: int) -> None:
        """Add text in Markdown."""
        self._add_summary(text(name, lines), update)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """End the file."""
        if self.file is not None:
            file, self.file = self.file, None
            file.close()

    def _add_summary(self, summary: Any, update: int) -> None:
        self._add(Event(wall_time=time.time(), step=update, summary=summary))

    def _add(self, event: Any) -> None:
        if self.file is None:
            return
        record = io.BytesIO()
        RecordWriter(record).write(event.SerializeToString())
        try:
            _write(self.file, record.getvalue())
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        logger.warning(
            "TensorBoard's curves are no longer written: %s: %s",
            *(self.folder, error.strerror or error),
        )
        self.close()


def _write(file: io.FileIO, data: bytes) -> None:
    """Write all of `data`, or raise OSError."""
    n_written = file.write(data)
    # A disk that becomes full takes the first part without a word.
    if n_written < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
