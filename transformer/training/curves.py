"""TensorBoard's file of a run."""

import errno
import io
import logging
import math
import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import (  # type: ignore[import-untyped]
    Event,
    SessionLog,
)
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from tensorboard.plugins.hparams import metadata  # type: ignore[import-untyped]
from tensorboard.plugins.hparams.api_pb2 import STATUS_SUCCESS  # type: ignore[import-untyped]
from tensorboard.plugins.hparams.plugin_data_pb2 import (  # type: ignore[import-untyped]
    HParamsPluginData,
    SessionEndInfo,
    SessionStartInfo,
)
from tensorboard.summary.writer.record_writer import (  # type: ignore[import-untyped]
    RecordWriter,
)
from torch.utils.tensorboard.summary import scalar, text

from transformer.config import TrainSettings, flatten, shown, to_mapping
from transformer.training.differences import FREE

logger = logging.getLogger(__name__)

Hyperparameter = str | bool | int | float
# What the tab HParams shows: these, of the groups but for what may change while a run goes on.
COUNTING = (
    *("seed", "precision", "data.batch_tokens", "training.max_updates", "training.accumulate"),
)
GROUPS = ("model.", "optim.", "training.", "tokenizer.")


class Curves:
    """Writes what TensorBoard shows, at once and without a thread.

    Where that fails, one warning says so, and nothing more is written.
    """

    def __init__(self, folder: Path, update: int | None) -> None:
        """Begin a file of points after `update`, or, with None, of what is said of a whole run."""
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
        if update is not None:
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

    def add_image(self, name: str, png: bytes, update: int) -> None:
        """Add a picture."""
        width, height = struct.unpack(">II", png[16:24])  # of the header, which is always first
        # Of the four, TensorBoard reads the bytes alone; colourspace 4 is RGBA.
        image = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=png)
        self._add_summary(Summary(value=[Summary.Value(tag=name, image=image)]), update)

    def add_hyperparameters(self, values: Mapping[str, Hyperparameter]) -> None:
        """Say with what a run was trained, for the tab HParams; of several, the first counts."""
        info = SessionStartInfo(start_time_secs=time.time())
        for name, value in values.items():
            kind = "string_value" if isinstance(value, str) else "number_value"
            kind = "bool_value" if isinstance(value, bool) else kind
            setattr(info.hparams[name], kind, value)
        data = HParamsPluginData(session_start_info=info)
        self._add_hparams(metadata.SESSION_START_INFO_TAG, data)

    def add_end(self) -> None:
        """Say, for the tab HParams, that a run is complete."""
        info = SessionEndInfo(status=STATUS_SUCCESS, end_time_secs=time.time())
        self._add_hparams(metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=info))

    def _add_hparams(self, tag: str, data: Any) -> None:
        value = Summary.Value(
            tag=tag,
            metadata=metadata.create_summary_metadata(data),
            tensor=metadata.NULL_TENSOR,
        )
        self._add_summary(Summary(value=[value]), 0)

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


def hyperparameters(settings: TrainSettings) -> dict[str, Hyperparameter]:
    """The settings by which a run's result may differ from another's, by dotted key."""
    flat = flatten(to_mapping(settings))
    return {
        key: value if isinstance(value, Hyperparameter) else shown(value)
        for key, value in flat.items()
        if key in COUNTING or (key.startswith(GROUPS) and not key.startswith(FREE))
    }


def add_final_metrics(folder: Path, metrics: Mapping[str, float]) -> None:
    """Add what a run is worth, by name, to the curves in `folder`, after its training.

    The tab HParams shows them as final/NAME beside the run's hyper-parameters.
    """
    curves = Curves(folder, None)
    curves.add_scalars({f"final/{name}": value for name, value in metrics.items()}, 0)
    curves.add_end()
    curves.close()


def _write(file: io.FileIO, data: bytes) -> None:
    """Write all of `data`, or raise OSError."""
    n_written = file.write(data)
    # A disk that becomes full takes the first part without a word.
    if n_written < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
