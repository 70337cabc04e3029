"""Corpora on disk, and small chunks."""

from pathlib import Path

import numpy as np
import pytest

from transformer.config import FilesConfig
from transformer.text.dataset import PreparedData
from transformer.text.encoded import EncodedSplit
from transformer.text.preparing import build
from transformer.text.tokenizer import EOS_ID, PAD_ID, Tokenizer

Pairs = list[tuple[str, str]]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 40 rows, so that a few hundred pairs make several."""
    monkeypatch.setattr(build, "ROWS", 40)


def write(stem: Path, pairs: Pairs, languages: tuple[str, str] = ("xx", "yy")) -> str:
    """The stem of the two files that hold the pairs."""
    for language, lines in zip(languages, zip(*pairs, strict=True), strict=True):
        text = "".join(f"{line}\n" for line in lines)
        stem.with_name(f"{stem.name}.{language}").write_text(text, encoding="utf-8")
    return str(stem)


def files(folder: Path, train: object, valid: object, **others: object) -> FilesConfig:
    settings: dict[str, object] = {
        "source": "xx",
        "target": "yy",
        "cache_dir": str(folder / "cache"),
        "prepare_processes": 1,
    }
    return FilesConfig(**{**settings, "train": train, "valid": valid, **others})  # type: ignore[arg-type]


def shown(split: EncodedSplit, data: PreparedData) -> Pairs:
    """The pairs with their control pieces, words parted by spaces."""
    batch = split.batch(np.arange(len(split)))
    sides = (data.tokenizers.source, batch.source), (data.tokenizers.target, batch.labels)
    source, target = ([text(side, row) for row in ids.tolist()] for side, ids in sides)
    return list(zip(source, target, strict=True))


def text(tokenizer: Tokenizer, ids: list[int]) -> str:
    pieces = tokenizer.pieces([id_ for id_ in ids if id_ not in (PAD_ID, EOS_ID)])
    return "".join(pieces).replace("\u2581", " ").strip()
