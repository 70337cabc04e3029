"""The mean of the weights of several checkpoints."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from transformer.checkpoint.folder import best_first, find_checkpoint, list_checkpoints
from transformer.checkpoint.load import Checkpoint
from transformer.checkpoint.save import SETTINGS, Contents, save_checkpoint
from transformer.config import AverageSettings, TrainSettings, load_settings
from transformer.errors import InputError, require

LAST = 5  # Vaswani et al., 2017, section 6.1


def average(settings: AverageSettings) -> Path:
    """Write a checkpoint with the mean of the weights of a run's last or best checkpoints.

    Vaswani et al., 2017, section 6.1. InputError where the run holds fewer than asked for.
    """
    chosen = _choose(settings)
    output = Path(settings.output)
    require(not output.exists(), f"output={output} exists already; give a new folder")
    checkpoints = [Checkpoint(folder) for folder in chosen]
    contents = Contents(
        weights=mean_weights(checkpoint.weights() for checkpoint in checkpoints),
        settings=checkpoints[-1].settings,
        tokenizers=checkpoints[-1].tokenizers,
        metrics={"averaged": [checkpoint.folder.name for checkpoint in checkpoints]},
        training=None,
    )
    save_checkpoint(output, contents)
    return output


def _choose(settings: AverageSettings) -> list[Path]:
    """The checkpoints to average, oldest first."""
    found = list_checkpoints(Path(settings.checkpoint) / "checkpoints")
    if not found:
        folder = find_checkpoint(settings.checkpoint)
        raise InputError(f"checkpoint={folder} is a single checkpoint; give a run's folder")
    if settings.best is None:
        n = LAST if settings.last is None else settings.last
        _require_enough(settings, "last", n, len(found))
        return found[-n:]
    metric = load_settings(TrainSettings, found[-1] / SETTINGS).training.metric
    validated = best_first(found, metric)
    _require_enough(settings, "best", settings.best, len(validated))
    return sorted(validated[: settings.best])


def _require_enough(settings: AverageSettings, key: str, n: int, n_found: int) -> None:
    kind, every = ("checkpoints", "checkpoint_every")
    if key == "best":
        kind, every = ("validated checkpoints", "validate_every")
    smaller = f"give {key}={n_found}, or " if n_found else ""
    require(
        n_found >= n,
        f"{key}={n}, but checkpoint={settings.checkpoint} holds {n_found} {kind}; "
        f"{smaller}train longer, with a smaller training.{every} or a larger "
        f"training.keep_{key}",
    )


def mean_weights(models: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several models' weights, summed in float64."""
    total: dict[str, Tensor] = {}
    n_models = 0
    dtypes: dict[str, torch.dtype] = {}
    for weights in models:
        n_models += 1
        for name, weight in weights.items():
            dtypes[name] = weight.dtype
            total[name] = total.get(name, torch.zeros(())) + weight.double()
    return {name: (weight / n_models).to(dtypes[name]) for name, weight in total.items()}
