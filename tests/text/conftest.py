"""A small corpus on disk and its settings."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from transformer.config import FilesConfig, TokenizerConfig, TokenizerKind

# A shared machine stalls now and then; a slow test is for pytest's own timeout.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

Pairs = list[tuple[str, str]]


def write_lines(file: Path, lines: list[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="")


@pytest.fixture(scope="session")
def pairs() -> Pairs:
    """300 distinct pairs of made-up words; the target is longer."""
    draw = random.Random(0)
    source = ["ba", "koro", "mi", "sunta", "tel", "vo", "zirka", "lum"]
    target = ["das", "kleine", "mit", "sonne", "teilen", "vor", "zirkel", "lampe"]
    rows = [[draw.randrange(8) for _ in range(draw.randint(4, 9))] for _ in range(300)]
    words = [(i, *row) for i, row in enumerate(rows)]
    return [
        (
            " ".join([f"{i}", *(source[j] for j in row)]),
            " ".join([f"{i}", *(target[j] for j in row)]),
        )
        for i, *row in words
    ]


@pytest.fixture(scope="session")
def char_config() -> TokenizerConfig:
    """The quickest to train."""
    return TokenizerConfig(kind=TokenizerKind.char, vocab_size=400)


@pytest.fixture
def files_config(tmp_path: Path) -> Callable[..., FilesConfig]:
    """Writes splits to DIR/split.xx and DIR/split.yy, and gives the settings that read them."""

    def write(**splits: Pairs) -> FilesConfig:
        for split, pairs in splits.items():
            write_lines(tmp_path / f"{split}.xx", [source for source, _ in pairs])
            write_lines(tmp_path / f"{split}.yy", [target for _, target in pairs])
        return FilesConfig(
            source="xx",
            target="yy",
            train=str(tmp_path / "train"),
            valid=str(tmp_path / "valid"),
            test=str(tmp_path / "test") if "test" in splits else None,
            cache_dir=str(tmp_path / "cache"),
        )

    return write
