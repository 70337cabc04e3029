"""A tiny corpus whose target spells the source in other letters, and settings to train on it."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)

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
)
from transformer.model import Transformer
from transformer.text.batching import Batch, pad
from transformer.text.tokenizer import BOS_ID, EOS_ID, PAD_ID
from transformer.training.stream import Position, UpdateBatches, Work
from transformer.training.update import padded_size

LETTERS = str.maketrans("abcdef", "uvwxyz")
VOCAB_SIZE = 30


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.xx, train.yy (40 pairs), valid.xx, valid.yy (6) and a cache."""
    folder = tmp_path_factory.mktemp("corpus")
    draw = random.Random(0)
    lines = ["".join(draw.choices("abcdef ", k=draw.randint(3, 12))).strip() for _ in range(80)]
    lines = list(dict.fromkeys(line for line in lines if line))[:46]
    for split, part in (("train", lines[:40]), ("valid", lines[40:])):
        for side, texts in (("xx", part), ("yy", [line.translate(LETTERS) for line in part])):
            text = "".join(line + "\n" for line in texts)
            (folder / f"{split}.{side}").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def settings(corpus: Path, tmp_path: Path) -> TrainSettings:
    """A run of 6 updates in tmp_path/run, with a validation after each third."""
    data = FilesConfig(
        source="xx",
        target="yy",
        train=str(corpus / "train"),
        valid=str(corpus / "valid"),
        batch_tokens=100,
        cache_dir=str(corpus / "cache"),
    )
    return TrainSettings(
        data=data,
        tokenizer=TokenizerConfig(kind=TokenizerKind.char, vocab_size=18, byte_fallback=False),
        model=ModelConfig(
            encoder_layers=1,
            decoder_layers=1,
            d_model=32,
            d_feed_forward=64,
            n_heads=2,
            attention_dropout=0.1,
            feed_forward_dropout=0.1,
        ),
        optim=OptimConfig(lr=2e-3, warmup=4, schedule=Schedule.inverse_sqrt),
        training=TrainingConfig(
            max_updates=6,
            validate_every=3,
            checkpoint_every=3,
            log_every=1,
            keep_last=10,
            metric=Metric.loss,
            attention_samples=0,
        ),
        run_dir=str(tmp_path / "run"),
        device="cpu",
        precision=Precision.fp32,
        threads=1,
    )


@pytest.fixture
def change() -> Callable[..., TrainSettings]:
    """The settings with other values, given by dotted key with `__` for the dot."""

    def changed(settings: TrainSettings, **values: Any) -> TrainSettings:
        for key, value in values.items():
            group, _, name = key.rpartition("__")
            if group:
                value = replace(getattr(settings, group), **{name: value})  # noqa: PLW2901
            settings = replace(settings, **{group or name: value})
        return settings

    return changed


@pytest.fixture
def build_model() -> Callable[..., Transformer]:
    """Builds a model with a joint vocabulary, the same each time."""

    def build(
        dtype: torch.dtype = torch.float64, vocab_size: int = VOCAB_SIZE, **values: Any
    ) -> Transformer:
        config = {
            "encoder_layers": 1,
            "decoder_layers": 1,
            "d_model": 16,
            "d_feed_forward": 24,
            "n_heads": 2,
            "dropout": 0.0,
            "embedding_dropout": 0.0,
            **values,
        }
        torch.manual_seed(11)
        model = Transformer(
            ModelConfig(**config),
            source_vocab_size=vocab_size,
            target_vocab_size=vocab_size,
            pad_id=PAD_ID,
        )
        return model.to(dtype)

    return build


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """Makes a batch of pairs of ids, padded to `extra` more than the longest."""

    def make(pairs: Sequence[tuple[list[int], list[int]]], extra: int = 0) -> Batch:
        S = max(len(source) for source, _ in pairs) + 1 + extra
        T = max(len(target) for _, target in pairs) + 1 + extra
        labels = pad([[*target, EOS_ID] for _, target in pairs], T)
        return Batch(
            source=pad([[*source, EOS_ID] for source, _ in pairs], S),
            target=pad([[BOS_ID, *target] for _, target in pairs], T),
            labels=labels,
            label_positions=(labels.flatten() != PAD_ID).nonzero().squeeze(1),
            n_source_tokens=sum(len(source) + 1 for source, _ in pairs),
            n_target_tokens=sum(len(target) + 1 for _, target in pairs),
        )

    return make


@pytest.fixture
def as_update() -> Callable[..., UpdateBatches]:
    """Makes the update number `number` of some batches."""

    def make(batches: Sequence[Batch], number: int = 1) -> UpdateBatches:
        return UpdateBatches(
            [Work(batch, np.arange(len(batch.source)), seed) for seed, batch in enumerate(batches)],
            n_source_tokens=sum(batch.n_source_tokens for batch in batches),
            n_target_tokens=sum(batch.n_target_tokens for batch in batches),
            n_padded_tokens=sum(padded_size(batch) for batch in batches),
            position=Position(number),
            epochs=0.0,
        )

    return make


@pytest.fixture
def id_pairs() -> list[tuple[list[int], list[int]]]:
    """Seven pairs of ids with unequal lengths."""
    draw = random.Random(4)

    def ids(n: int) -> list[int]:
        return [draw.randrange(4, VOCAB_SIZE) for _ in range(n)]

    return [(ids(draw.randint(1, 8)), ids(n)) for n in (1, 9, 2, 6, 3, 12, 4)]


@pytest.fixture
def events() -> Callable[[TrainSettings], Any]:
    """Reads what TensorBoard would show of a run."""

    def read(settings: TrainSettings) -> Any:
        folder = Path(settings.run_dir) / "tensorboard"
        # By the time of their end: files of one second and process have names in no order.
        files = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)
        for i, file in enumerate(files):
            file.rename(folder / f"events.out.tfevents.{i:03d}")
        found = EventAccumulator(str(folder))
        found.Reload()
        return found

    return read


@pytest.fixture
def logged(
    events: Callable[[TrainSettings], Any],
) -> Callable[[TrainSettings, str], list[tuple[int, float]]]:
    """Reads the updates and values of one of TensorBoard's curves."""
    return lambda settings, tag: [(e.step, e.value) for e in events(settings).Scalars(tag)]
