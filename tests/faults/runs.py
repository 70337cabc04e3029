"""A tiny run to do harm to, and what tells two runs apart."""

import functools
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)

from transformer.checkpoint import Checkpoint, list_checkpoints
from transformer.config import (
    FilesConfig,
    Metric,
    ModelConfig,
    OptimConfig,
    Precision,
    Schedule,
    TokenizerConfig,
    TokenizerKind,
    TrainingConfig,
    TrainSettings,
    to_mapping,
)

LETTERS = str.maketrans("abcdef", "uvwxyz")
N_UPDATES = 14
# What the clock or the machine has a say in.
NOT_COMPARED = (
    *("speed/source_tokens_per_s", "speed/target_tokens_per_s", "memory/gb"),
    *("time/minutes", "energy/kwh", "energy/watts"),
)


def write_corpus(folder: Path) -> None:
    """Write train (40 pairs), valid (6) and test (6); the target spells in other letters."""
    draw = random.Random(0)
    lines = ["".join(draw.choices("abcdef ", k=draw.randint(3, 12))).strip() for _ in range(90)]
    lines = list(dict.fromkeys(line for line in lines if line))[:52]
    parts = {"train": lines[:40], "valid": lines[40:46], "test": lines[46:]}
    folder.mkdir(parents=True, exist_ok=True)
    for split, part in parts.items():
        for side, texts in (("xx", part), ("yy", [line.translate(LETTERS) for line in part])):
            text = "".join(line + "\n" for line in texts)
            (folder / f"{split}.{side}").write_text(text, encoding="utf-8")


def make_settings(corpus: Path, run_dir: Path, cache: Path) -> TrainSettings:
    """N_UPDATES updates of two batches each, three and a half epochs, with dropout."""
    return TrainSettings(
        data=FilesConfig(
            source="xx",
            target="yy",
            train=str(corpus / "train"),
            valid=str(corpus / "valid"),
            batch_tokens=100,
            cache_dir=str(cache),
        ),
        tokenizer=TokenizerConfig(kind=TokenizerKind.char, vocab_size=18, byte_fallback=False),
        model=ModelConfig(
            encoder_layers=1,
            decoder_layers=1,
            d_model=16,
            d_feed_forward=24,
            n_heads=2,
            attention_dropout=0.1,
            feed_forward_dropout=0.1,
        ),
        optim=OptimConfig(lr=2e-3, warmup=4, schedule=Schedule.inverse_sqrt),
        training=TrainingConfig(
            max_updates=N_UPDATES,
            accumulate=2,
            validate_every=4,
            checkpoint_every=3,
            log_every=5,
            attention_samples=0,
            keep_last=3,
            metric=Metric.loss,
        ),
        run_dir=str(run_dir),
        device="cpu",
        precision=Precision.fp32,
        threads=1,
    )


def changed(settings: TrainSettings, **values: Any) -> TrainSettings:
    """The settings with other values, given by dotted key with `__` for the dot."""
    for key, value in values.items():
        settings = _changed(settings, key.split("__"), value)
    return settings


def _changed(settings: Any, path: list[str], value: Any) -> Any:
    first, *rest = path
    inner = _changed(getattr(settings, first), rest, value) if rest else value
    return replace(settings, **{first: inner})


SPELT = (
    *(f"data.{name}" for name in ("source", "target", "train", "valid", "batch_tokens")),
    *("data.cache_dir", "tokenizer.vocab_size", "tokenizer.byte_fallback"),
    *(f"model.{name}" for name in ("encoder_layers", "decoder_layers", "d_model", "n_heads")),
    *(
        "model.d_feed_forward",
        "model.attention_dropout",
        "model.feed_forward_dropout",
        "model.norm",
    ),
    *("optim.lr", "optim.warmup", "optim.schedule", "run_dir", "device", "precision", "threads"),
    "model.norm",
    *(f"training.{name}" for name in ("max_updates", "accumulate", "validate_every", "metric")),
    *(f"training.{name}" for name in ("checkpoint_every", "log_every", "keep_last")),
)


def arguments(settings: TrainSettings, *others: str) -> list[str]:
    """The command line `transformer train` for a run of `make_settings`."""
    mapping = to_mapping(settings)

    def value(key: str) -> Any:
        return functools.reduce(lambda inner, name: inner[name], key.split("."), mapping)

    spelt = [f"{key}={json.dumps(value(key)).strip(chr(34))}" for key in SPELT]
    return ["train", "data=files", "tokenizer=char", *spelt, *others]


def checkpoints(run_dir: str | Path) -> list[int]:
    """The updates of the checkpoints that are kept."""
    return [int(path.name) for path in list_checkpoints(Path(run_dir) / "checkpoints")]


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """The leaves of nested dictionaries, lists and tuples by path."""
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, item in items for k, v in flat(item, f"{path}/{key}").items()}
    return {path: value}


def same(a: Any, b: Any) -> bool:
    """Whether two leaves are equal to the last bit; NaN equals NaN."""
    if isinstance(a, torch.Tensor):
        return bool(
            isinstance(b, torch.Tensor)
            and a.dtype is b.dtype
            and a.shape == b.shape
            and a.contiguous().numpy().tobytes() == b.contiguous().numpy().tobytes()
        )
    return type(a) is type(b) and repr(a) == repr(b)


def differences(found: str | Path, expected: str | Path, *, kept: bool = True) -> list[str]:
    """What two finished runs differ in, by name: none if nobody could tell which was disturbed.

    Compared are the last checkpoint, all translations, all curves, and, where `kept`, which
    checkpoints there are.
    """
    return list(_differences(Path(found), Path(expected), kept=kept))


def _differences(found: Path, expected: Path, *, kept: bool) -> Iterator[str]:
    updates, wanted = checkpoints(found), checkpoints(expected)
    if updates[-1:] != wanted[-1:] or (kept and updates != wanted):
        yield f"checkpoints {updates} {wanted}"
        if updates[-1:] != wanted[-1:]:
            return
    a, b = (run / "checkpoints" / f"{wanted[-1]:08d}" for run in (found, expected))
    if (a / "model.safetensors").read_bytes() != (b / "model.safetensors").read_bytes():
        yield "weights"
    left, right = (_contents(Checkpoint(folder)) for folder in (a, b))
    for key in sorted(left.keys() | right.keys()):
        if key not in left or key not in right or not same(left[key], right[key]):
            yield key
    left, right = (_texts(run / "translations") for run in (found, expected))
    yield from (f"translations {name}" for name in left.keys() ^ right.keys())
    yield from (
        f"text of {name}" for name in left.keys() & right.keys() if left[name] != right[name]
    )
    left, right = curves(found), curves(expected)
    for tag in sorted(left.keys() | right.keys()):
        if left.get(tag) != right.get(tag):
            yield f"curve {tag}"


def _contents(checkpoint: Checkpoint) -> dict[str, Any]:
    """All that is in a checkpoint beside its weights, without the time that passed."""
    metrics = {f"metrics/{key}": value for key, value in checkpoint.metrics.items()}
    leaves = flat(checkpoint.training(), "training") | metrics
    return {k: v for k, v in leaves.items() if k not in {"training/elapsed_s", "metrics/minutes"}}


def _texts(folder: Path) -> dict[str, Any]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def curves(run_dir: str | Path) -> dict[str, Any]:
    """The points (update, value) that TensorBoard shows, by curve.

    A kill between a validation and its checkpoint makes the same point be written twice.
    """
    events = EventAccumulator(str(Path(run_dir) / "tensorboard"))
    events.Reload()
    return {
        tag: list(dict.fromkeys((event.step, event.value) for event in events.Scalars(tag)))
        for tag in events.Tags()["scalars"]
        if tag not in NOT_COMPARED
    }
