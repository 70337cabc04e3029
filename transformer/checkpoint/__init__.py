"""Checkpoints on disk: saved whole or not at all, verified when read, free of pickle."""

from transformer.checkpoint.averaging import average, mean_weights
from transformer.checkpoint.folder import (
    best_first,
    find_checkpoint,
    keep_checkpoints,
    link_checkpoint,
    list_checkpoints,
    read_metrics,
)
from transformer.checkpoint.load import (
    Checkpoint,
    DamagedError,
    build_model,
    load_weights,
    model_weights,
    require_fitting,
)
from transformer.checkpoint.save import (
    FORMAT,
    MANIFEST,
    METRICS,
    SETTINGS,
    TRAINING,
    WEIGHTS,
    Contents,
    save_checkpoint,
)

__all__ = [
    "FORMAT",
    "MANIFEST",
    "METRICS",
    "SETTINGS",
    "TRAINING",
    "WEIGHTS",
    "Checkpoint",
    "Contents",
    "DamagedError",
    "average",
    "best_first",
    "build_model",
    "find_checkpoint",
    "keep_checkpoints",
    "link_checkpoint",
    "list_checkpoints",
    "load_weights",
    "mean_weights",
    "model_weights",
    "read_metrics",
    "require_fitting",
    "save_checkpoint",
]
