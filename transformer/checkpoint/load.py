"""Reading a checkpoint back, after its digests were compared."""

import json
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from transformer.checkpoint.folder import read_metrics
from transformer.checkpoint.save import (
    FORMAT,
    MANIFEST,
    METRICS,
    SETTINGS,
    TRAINING,
    WEIGHTS,
    reason,
    sha256,
)
from transformer.config import TrainSettings, load_settings
from transformer.errors import InputError, require
from transformer.model import Transformer
from transformer.text.tokenizer import PAD_ID, Tokenizers

# What torch.load raises on a file that is none of its own, or a torn one.
_UNREADABLE = (
    *(RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError),
    *(struct.error, pickle.UnpicklingError),
)


class DamagedError(InputError):
    """A checkpoint of which a file is missing, cut short or altered."""


class Checkpoint:
    """A verified checkpoint; DamagedError if a file is missing or was altered.

    InputError where it cannot be read, or is of another version of the format.
    """

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
        model = build_model(self.settings, self.tokenizers)
        load_weights(model, self.weights())
        return model.to(device).eval()

    def training(self) -> dict[str, Any]:
        """What resuming needs, on the CPU; DamagedError where that is missing or unreadable."""
        file = self.folder / TRAINING
        if not file.is_file():
            raise DamagedError(f"{self.folder} has no {TRAINING}; training cannot go on from it")
        try:
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        except OSError as error:
            raise InputError(f"{file} cannot be read: {reason(error)}") from error
        except _UNREADABLE as error:
            # The rest of torch's message is advice to load without weights_only.
            first = (str(error).splitlines() or [repr(error)])[0]
            raise DamagedError(f"{file} is damaged: {first}") from error
        return state


def build_model(settings: TrainSettings, tokenizers: Tokenizers) -> Transformer:
    """A model with fresh weights, drawn from torch's generator."""
    return Transformer(
        settings.model,
        source_vocab_size=tokenizers.source.vocab_size,
        target_vocab_size=tokenizers.target.vocab_size,
        pad_id=PAD_ID,
    )


def model_weights(model: Transformer) -> dict[str, Tensor]:
    """The weights to save, a tied one once, detached but not copied."""
    return {name: weight.detach() for name, weight in model.named_parameters()}


def load_weights(model: Transformer, weights: Mapping[str, Tensor]) -> None:
    """Copy `weights` into `model`; InputError where names or shapes differ."""
    parameters = dict(model.named_parameters())
    require_fitting(weights, parameters)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])


def require_fitting(weights: Mapping[str, Tensor], parameters: Mapping[str, Tensor]) -> None:
    """Raise InputError where names or shapes of `weights` are not those of `parameters`."""
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


def _verify(folder: Path) -> None:
    file = folder / MANIFEST
    try:
        text = file.read_bytes()
    except FileNotFoundError as error:
        raise DamagedError(f"{file} is missing; the checkpoint is incomplete") from error
    except OSError as error:
        raise InputError(f"{file} cannot be read: {reason(error)}") from error
    try:
        manifest = json.loads(text)
        version = manifest["format"]
        files = {name: (each["size"], each["sha256"]) for name, each in manifest["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"{file} is damaged: {error!r}") from error
    require(
        version == FORMAT,
        f"{folder} is a checkpoint of format {version}; this version reads format {FORMAT}",
    )
    for name in (WEIGHTS, SETTINGS, METRICS):
        _intact(name in files, f"{file} is damaged: it does not list {name}")
    for name, (size, digest) in files.items():
        _verify_file(folder / name, size, digest)


def _verify_file(file: Path, expected_size: int, digest: str) -> None:
    if file.name == TRAINING and not file.exists():
        return  # A checkpoint is handed on without it.
    _intact(file.is_file(), f"{file} is missing; the checkpoint is incomplete")
    size = file.stat().st_size
    _intact(
        size == expected_size,
        f"{file} has {size} bytes instead of {expected_size}; the checkpoint is damaged",
    )
    try:
        same = sha256(file) == digest
    except OSError as error:
        raise InputError(f"{file} cannot be read: {reason(error)}") from error
    _intact(
        same, f"{file} was altered since it was saved (SHA-256 differs); the checkpoint is damaged"
    )


def _intact(condition: bool, message: str) -> None:
    if not condition:
        raise DamagedError(message)
