"""Checkpoints on disk: saved whole or not at all, verified when read, free of pickle."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from transformer.config import AverageSettings, TrainSettings, load_settings, save_settings
from transformer.errors import InputError, require
from transformer.model import Transformer
from transformer.text.tokenizer import PAD_ID, Tokenizers

FORMAT = 1
WEIGHTS = "model.safetensors"
SETTINGS = "config.yaml"
METRICS = "metrics.json"
TRAINING = "training.pt"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Contents:
    """What a checkpoint holds."""

    weights: Mapping[str, Tensor]
    settings: TrainSettings
    tokenizers: Tokenizers
    metrics: Mapping[str, Any]
    # What resuming needs: tensors, numbers, text and containers of them; None: it is left out.
    training: Mapping[str, Any] | None


def save_checkpoint(folder: Path, contents: Contents) -> None:
    """Write a checkpoint to `folder`, which appears complete or not at all."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        shutil.rmtree(aside, ignore_errors=True)  # of a killed process with our number
        aside.mkdir(parents=True)
        _write(aside, contents)
        _flush(aside)
        _put(aside, folder)
        _flush_file(folder.parent)
    except OSError as error:
        raise InputError(f"cannot write the checkpoint {folder}: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _put(aside: Path, folder: Path) -> None:
    """Let `aside` take the place of `folder`, or raise and leave what is there."""
    older = aside.with_name(f"{aside.name}.old")
    shutil.rmtree(older, ignore_errors=True)
    if folder.exists():
        folder.replace(older)
    try:
        aside.replace(folder)
    except OSError:
        if older.exists():
            older.replace(folder)
        raise
    shutil.rmtree(older, ignore_errors=True)


def _write(folder: Path, contents: Contents) -> None:
    safetensors.torch.save_file(dict(contents.weights), folder / WEIGHTS)
    save_settings(contents.settings, folder / SETTINGS)
    contents.tokenizers.save(folder)
    metrics = json.dumps(dict(contents.metrics), indent=2)
    (folder / METRICS).write_text(metrics, encoding="utf-8")
    # safetensors lets nobody but the owner read; who may is for the umask to say.
    (folder / WEIGHTS).chmod((folder / METRICS).stat().st_mode)
    if contents.training is not None:
        torch.save(dict(contents.training), folder / TRAINING)
    _write_manifest(folder)


def link_checkpoint(name: str, folder: Path) -> None:
    """Let the link `name` beside `folder` point to it, replacing an older one in one step."""
    aside = folder.with_name(f".{name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    aside.symlink_to(folder.name)
    aside.replace(folder.with_name(name))


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in `folder` (a run's `checkpoints`), oldest first."""
    if not folder.is_dir():
        return []
    return sorted(
        path.parent for path in folder.glob(f"*/{MANIFEST}") if path.parent.name.isdigit()
    )


def keep_checkpoints(folder: Path, kept: Iterable[Path]) -> None:
    """Delete the checkpoints in `folder` that are not `kept`, and what killed saves left."""
    names = {path.name for path in kept}
    for path in list_checkpoints(folder):
        if path.name not in names:
            # Under the new name, a deletion that is cut short leaves no half checkpoint.
            path.replace(path.with_name(f".{path.name}.0"))
    for path in folder.glob(".[0-9]*.[0-9]*"):
        shutil.rmtree(path)


def read_metrics(folder: Path) -> dict[str, Any]:
    """The validation scores of the checkpoint in `folder`; empty if it was not validated."""
    try:
        metrics: dict[str, Any] = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / METRICS} cannot be read: {error}") from error
    return metrics


def find_checkpoint(path: str | Path) -> Path:
    """The checkpoint that `path` names: itself, or the best (else the last) of a run's folder.

    InputError where there is none.
    """
    path = Path(path)
    require(path.exists(), f"checkpoint={path} does not exist")
    require(path.is_dir(), f"checkpoint={path} is a file; give a run's or a checkpoint's folder")
    if (path / MANIFEST).is_file():
        return path
    for name in ("best", "last"):
        if (path / "checkpoints" / name / MANIFEST).is_file():
            return (path / "checkpoints" / name).resolve()
    raise InputError(
        f"checkpoint={path} holds no checkpoint: neither {MANIFEST} nor checkpoints/best; "
        "give a run's folder or a checkpoint's own"
    )


class Checkpoint:
    """A verified checkpoint; InputError if a file is missing or was altered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _verify(folder)
        self.settings = load_settings(TrainSettings, folder / SETTINGS)
        self.tokenizers = Tokenizers.load(folder)
        self.metrics = read_metrics(folder)

    def weights(self) -> dict[str, Tensor]:
        """The weights by parameter name, on the CPU."""
        try:
            return safetensors.torch.load_file(self.folder / WEIGHTS)
        except (OSError, SafetensorError) as error:
            raise InputError(f"{self.folder / WEIGHTS} cannot be read: {error}") from error

    def model(self, device: torch.device) -> Transformer:
        """The model with its weights, in evaluation mode."""
        model = Transformer(
            self.settings.model,
            source_vocab_size=self.tokenizers.source.vocab_size,
            target_vocab_size=self.tokenizers.target.vocab_size,
            pad_id=PAD_ID,
        )
        load_weights(model, self.weights())
        return model.to(device).eval()

    def training(self) -> dict[str, Any]:
        """What resuming needs; InputError where the checkpoint was saved without it."""
        file = self.folder / TRAINING
        require(file.is_file(), f"{self.folder} has no {TRAINING}; training cannot go on from it")
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        return state


def model_weights(model: Transformer) -> dict[str, Tensor]:
    """The weights to save, a tied one once, detached but not copied."""
    return {name: weight.detach() for name, weight in model.named_parameters()}


def load_weights(model: Transformer, weights: Mapping[str, Tensor]) -> None:
    """Copy `weights` into `model`; InputError where names or shapes differ."""
    parameters = dict(model.named_parameters())
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    expected = {name: tuple(weight.shape) for name, weight in parameters.items()}
    different = sorted(
        name for name in {*shapes, *expected} if shapes.get(name) != expected.get(name)
    )
    require(
        not different,
        f"the weights do not fit the model: {', '.join(different[:3])} "
        f"({len(different)} of {len(expected)} differ)",
    )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])


def average(settings: AverageSettings) -> Path:
    """Write a checkpoint with the mean of the weights of a run's last checkpoints.

    Vaswani et al., 2017, section 6.1. InputError where the run holds fewer than asked for.
    """
    found = list_checkpoints(Path(settings.checkpoint) / "checkpoints")
    if not found:
        folder = find_checkpoint(settings.checkpoint)
        raise InputError(f"checkpoint={folder} is a single checkpoint; give a run's folder")
    require(
        len(found) >= settings.last,
        f"last={settings.last}, but checkpoint={settings.checkpoint} holds {len(found)} "
        f"checkpoints; give last={len(found)}, or train longer, with a smaller "
        "training.checkpoint_every or a larger training.keep_last",
    )
    output = Path(settings.output)
    require(not output.exists(), f"output={output} exists already; give a new folder")
    checkpoints = [Checkpoint(folder) for folder in found[-settings.last :]]
    contents = Contents(
        weights=mean_weights(checkpoint.weights() for checkpoint in checkpoints),
        settings=checkpoints[-1].settings,
        tokenizers=checkpoints[-1].tokenizers,
        metrics={"averaged": [checkpoint.folder.name for checkpoint in checkpoints]},
        training=None,
    )
    save_checkpoint(output, contents)
    return output


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


def _write_manifest(folder: Path) -> None:
    files = {
        path.name: {"size": path.stat().st_size, "sha256": _sha256(path)}
        for path in sorted(folder.iterdir())
    }
    text = json.dumps({"format": FORMAT, "files": files}, indent=2)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def _verify(folder: Path) -> None:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        version = manifest["format"]
        files = {name: (file["size"], file["sha256"]) for name, file in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / MANIFEST} is damaged: {error!r}") from error
    require(
        version == FORMAT,
        f"{folder} is a checkpoint of format {version}; this version reads format {FORMAT}",
    )
    for name in (WEIGHTS, SETTINGS, METRICS):
        require(name in files, f"{folder / MANIFEST} is damaged: it does not list {name}")
    for name, (size, digest) in files.items():
        _verify_file(folder / name, size, digest)


def _verify_file(file: Path, expected_size: int, digest: str) -> None:
    if file.name == TRAINING and not file.exists():
        return  # A checkpoint is handed on without it.
    require(file.is_file(), f"{file} is missing; the checkpoint is incomplete")
    size = file.stat().st_size
    require(
        size == expected_size,
        f"{file} has {size} bytes instead of {expected_size}; the checkpoint is damaged",
    )
    require(
        _sha256(file) == digest,
        f"{file} was altered since it was saved (SHA-256 differs); the checkpoint is damaged",
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _flush(folder: Path) -> None:
    for path in [*folder.iterdir(), folder]:
        _flush_file(path)


def _flush_file(path: Path) -> None:
    """Have the disk hold a file's content, or a folder's entries."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
