"""Writing a checkpoint so that a kill at any moment leaves it complete or absent."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from transformer.config import TrainSettings, save_settings
from transformer.errors import InputError
from transformer.text.tokenizer import Tokenizers

FORMAT = 2
WEIGHTS = "model.safetensors"
SETTINGS = "config.yaml"
METRICS = "metrics.json"
TRAINING = "training.pt"
MANIFEST = "manifest.json"

# Of a folder that was moved out of the place where a new one is to stand.
OLDER = ".old"


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
    """Write a checkpoint to `folder`, which appears complete or not at all.

    InputError where that fails; what was there stays, and nothing else is left.
    """
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        shutil.rmtree(aside, ignore_errors=True)  # of a killed process with our number
        aside.mkdir(parents=True)
        _write(aside, contents)
        _flush(aside)
        _put(aside, folder)
        _flush_file(folder.parent)
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot write the checkpoint {folder}: {reason(error)}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def reason(error: Exception) -> str:
    """Why a file cannot be read or written, in one line, without the file's name."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if found := re.search(r"I/O error: (.*?) \(os error", text):  # of safetensors
        text = found[1]
    return " ".join(text.split())


def _put(aside: Path, folder: Path) -> None:
    """Let `aside` take the place of `folder`, or raise and leave what is there.

    Between the two renames `folder` is absent; `recover` then brings the older one back.
    """
    older = aside.with_name(f"{aside.name}{OLDER}")
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


def recover(parent: Path) -> None:
    """Put back the checkpoints in `parent` that a killed process was about to replace."""
    for older in sorted(parent.glob(f".[0-9]*.[0-9]*{OLDER}")):
        folder = parent / older.name.split(".")[1]
        if not folder.exists():
            older.replace(folder)


def _write(folder: Path, contents: Contents) -> None:
    safetensors.torch.save_file(dict(contents.weights), folder / WEIGHTS)
    save_settings(contents.settings, folder / SETTINGS)
    contents.tokenizers.save(folder)
    metrics = json.dumps(dict(contents.metrics), indent=2)
    (folder / METRICS).write_text(metrics, encoding="utf-8")
    # safetensors lets nobody but the owner read; who may is for the umask to say.
    (folder / WEIGHTS).chmod((folder / METRICS).stat().st_mode)
    if contents.training is not None:
        _write_training(folder / TRAINING, contents.training)
    _write_manifest(folder)


def _write_training(file: Path, training: Mapping[str, Any]) -> None:
    """Write `training`; OSError where the disk fails, which torch tells as RuntimeError."""
    try:
        with file.open("wb") as stream:
            torch.save(dict(training), stream)
    except RuntimeError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__context__
        if cause is None:
            raise
        raise OSError(cause.errno, cause.strerror, str(file)) from error


def _write_manifest(folder: Path) -> None:
    files = {
        path.name: {"size": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(folder.iterdir())
    }
    text = json.dumps({"format": FORMAT, "files": files}, indent=2)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def sha256(file: Path) -> str:
    """The digest of a file's content in hexadecimal."""
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
