"""The files of a COMET model: hyper-parameters, and weights that Lightning wrote."""

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import xxhash
import yaml
from torch import Tensor

from transformer.errors import InputError, require
from transformer.metrics.comet.design import Design, read_design

CHECKPOINT = Path("checkpoints", "model.ckpt")
DESCRIPTION = "hparams.yaml"
# Parts that no score of a sentence is from: constants, the tags of words, losses, measures.
UNREAD = (
    "encoder.model.pooler.",
    "encoder.model.embeddings.position_ids",
    "encoder.model.embeddings.token_type_ids",
    "layerwise_attention.dropout_mask",
    "layerwise_attention.dropout_fill",
    "hidden2tag.",
    "sentloss.",
    "wordloss.",
    "train_",
    "val_",
)
DAMAGE = (
    pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError, LookupError,
    AttributeError, TypeError, zipfile.BadZipFile,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A model as it lies on the disk."""

    name: str
    root: Path  # holds hparams.yaml
    file: Path
    design: Design
    weights: dict[str, Tensor]

    def digest(self) -> str:
        """Eight hexadecimal digits of the names and values of all weights, however stored."""
        state = xxhash.xxh3_64()
        for name in sorted(self.weights):
            value = self.weights[name]
            state.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            state.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return state.hexdigest()[:8]


def read_checkpoint(model: str) -> Checkpoint:
    """The checkpoint in the folder, or of the .ckpt file, `model`.

    InputError where a file is missing or damaged, or needs objects that could run code.
    """
    root, file = _locate(model)
    described = _read_description(root / DESCRIPTION)
    content = _unpickled(file)
    stored = content.get("hyper_parameters", {})
    weights = content.get("state_dict")
    if not isinstance(weights, Mapping) or not isinstance(stored, Mapping):
        raise InputError(f"{file} holds no weights of a COMET model: it has no state_dict")
    strangers = [name for name, value in weights.items() if not isinstance(value, Tensor)]
    require(not strangers, f"{file}: {', '.join(map(str, strangers[:3]))} is no tensor of weights")
    return Checkpoint(
        name=_name(root),
        root=root,
        file=file,
        design=read_design(str(root / DESCRIPTION), described, stored),
        weights={name: value for name, value in weights.items() if not name.startswith(UNREAD)},
    )


def _locate(model: str) -> tuple[Path, Path]:
    """The folder of hparams.yaml and the file of the weights.

    Links stay as they are: in the hub's cache they lead to files without folders or names.
    """
    path = Path(model).expanduser().absolute()
    file = path / CHECKPOINT if path.is_dir() else path
    require(
        file.is_file(),
        f"metrics.comet.model={model}: there is no file {file}; give the folder with {DESCRIPTION} "
        f"and {CHECKPOINT}, or the .ckpt file",
    )
    roots = [path] if path.is_dir() else [file.parent.parent, file.parent]
    for root in roots:
        if (root / DESCRIPTION).is_file():
            return root, file
    places = " or ".join(str(root) for root in roots)
    raise InputError(
        f"metrics.comet.model={model}: {DESCRIPTION}, which says what the model is, is not in "
        f"{places}"
    )


def _name(root: Path) -> str:
    """The folder's name; in the hub's cache, models--OWNER--NAME/snapshots/COMMIT, NAME."""
    if root.parent.name == "snapshots":
        return root.parent.parent.name.rpartition("--")[2]
    return root.name


def _read_description(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file} cannot be read as YAML: {reason}") from error
    if not isinstance(content, dict):
        raise InputError(f"{file} must hold the model's hyper-parameters, one on each line")
    return content


def _unpickled(file: Path) -> dict[str, Any]:
    """What torch.load reads of `file` where nothing in it may run code."""
    try:
        is_zip = zipfile.is_zipfile(file)
        unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(file) if is_zip else []
        if not unsafe:
            # Mapped, so that the state of an optimizer is never brought into memory.
            content = torch.load(file, map_location="cpu", weights_only=True, mmap=is_zip)
    except DAMAGE as error:
        raise InputError(
            f"{file} is damaged, or no checkpoint of COMET; copy or download it again"
        ) from error
    require(
        not unsafe,
        f"{file} needs {', '.join(sorted(unsafe))} of Python, which could run code; where you "
        "trust it, rewrite it: c = torch.load(FILE, weights_only=False), then "
        "torch.save({'state_dict': c['state_dict'], 'hyper_parameters': "
        "dict(c['hyper_parameters'])}, FILE)",
    )
    if not isinstance(content, dict):
        raise InputError(f"{file} holds no weights of a COMET model: it has no state_dict")
    return content
