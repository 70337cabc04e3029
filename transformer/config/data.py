"""Settings of the parallel text: where it comes from, how it is cleaned and batched."""

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from transformer.errors import InputError, require

# An unquoted `no` in YAML is a boolean, which a text field then holds as one of these.
YAML_BOOLEANS = {"True", "False"}

AUTO = "auto"  # of a number that is to be found out


# A language, and what may follow: script, country, variant.
LANGUAGE_CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*")


def check_language(key: str, code: str) -> None:
    """Raise InputError unless `code` looks like the code of a language."""
    require(code != "", f"{key} is not set; give a language code, as in {key}=de")
    require(
        code not in YAML_BOOLEANS,
        f"{key}={code} is no language code; YAML reads an unquoted no or yes as a boolean, so "
        "quote it",
    )
    require(
        LANGUAGE_CODE.fullmatch(code) is not None,
        f"{key}={code} is no language code; use one such as de, zh or pt-BR",
    )


def text_or_list(key: str, value: Any) -> list[str]:
    """`value` as a list; InputError, naming its `key`, where it is no text nor a list of it."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InputError(f"{key}={value!r} must be text or a list of it")
    return texts


class DataKind(Enum):
    """Where parallel text comes from: the `data=` group of the command line."""

    phrasebook = "phrasebook"
    files = "files"
    hub = "hub"


@dataclass(kw_only=True)
class CleaningConfig:
    """What is dropped from the training pairs; validation and test pairs are never touched."""

    empty: bool = True  # drop pairs of which a side is blank
    duplicates: bool = True  # drop pairs that occurred before, both sides equal
    max_pieces: int = 256  # longest side, in subword pieces
    max_ratio: float = 6.0  # longer side over shorter side, in pieces

    def __post_init__(self) -> None:
        require(
            self.max_pieces >= 1,
            f"data.cleaning.max_pieces={self.max_pieces} must be at least 1",
        )
        require(
            self.max_ratio >= 1,
            f"data.cleaning.max_ratio={self.max_ratio} must be at least 1",
        )


@dataclass(kw_only=True)
class DataConfig:
    """What all kinds of parallel text share.

    `batch_tokens` is Any, since a settings schema cannot say "whole number or auto".
    """

    kind: DataKind
    source: str = ""  # language code of the text to translate from
    target: str = ""
    # Padded tokens of a batch on its longer side; a longer sentence stands alone. auto: the most
    # that the GPU's memory holds, 4096 on the CPU.
    batch_tokens: Any = 4096
    workers: int = 0  # processes that make batches ahead of need; 0: none, the run does so itself
    # Updates whose batches a thread makes ahead of need; 0: none. null: 4 on a GPU, else 0.
    prefetch: int | None = None
    cleaning: CleaningConfig = field(default_factory=CleaningConfig)
    cache_dir: str | None = None  # encoded corpora; null: the user's cache folder

    def __post_init__(self) -> None:
        for name in ("source", "target"):
            check_language(f"data.{name}", getattr(self, name))
        require(
            self.source != self.target,
            f"data.source={self.source} and data.target={self.target} are the same language; "
            "a translation model needs two",
        )
        require(
            self.batch_tokens == AUTO
            or (type(self.batch_tokens) is int and self.batch_tokens >= 1),
            f"data.batch_tokens={self.batch_tokens} must be {AUTO} or a whole number in digits, at "
            "least 1",
        )
        require(
            self.workers >= 0,
            f"data.workers={self.workers} must be at least 0",
        )
        require(
            self.prefetch is None or self.prefetch >= 0,
            f"data.prefetch={self.prefetch} must be null or at least 0",
        )


@dataclass(kw_only=True)
class PhrasebookConfig(DataConfig):
    """The embedded corpus: sentence pairs drawn from a grammar, no file and no network."""

    kind: DataKind = DataKind.phrasebook
    source: str = "en"
    target: str = "de"
    train_size: int = 50_000  # sentence pairs
    valid_size: int = 500
    test_size: int = 1_000
    seed: int = 1  # of the draw, apart from the seed of the training

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("train_size", "valid_size", "test_size"):
            size = getattr(self, name)
            require(1 <= size <= 100_000_000, f"data.{name}={size} must lie in [1, 100000000]")


@dataclass(kw_only=True)
class FilesConfig(DataConfig):
    """Aligned text files by stem: `train=DIR/train` reads DIR/train.en and DIR/train.de."""

    kind: DataKind = DataKind.files
    # Any, since a settings schema cannot say "text or list of text".
    train: Any = ""  # a stem, or a list of stems: [DIR/a,DIR/b]
    valid: str = ""
    test: str | None = None
    # Ending of the files with the training pairs' alignments in Pharaoh's format, as in 0-0 1-2.
    alignment: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        stems = self.train_stems
        require(
            stems != [] and all(stems),
            "data.train is not set; give the stem of two files, as in data.train=DIR/train for "
            f"DIR/train.{self.source} and DIR/train.{self.target}",
        )
        require(
            self.valid != "",
            "data.valid is not set; training needs validation data, as in data.valid=DIR/valid "
            f"for DIR/valid.{self.source} and DIR/valid.{self.target}",
        )

    @property
    def train_stems(self) -> list[str]:
        """The stems of `train`, in order; InputError where it is neither text nor a list of it."""
        return text_or_list("data.train", self.train)


@dataclass(kw_only=True)
class HubConfig(DataConfig):
    """A set of the `datasets` library: a name on the hub, or a folder on disk."""

    kind: DataKind = DataKind.hub
    path: str = ""  # hub name or local folder
    name: str | None = None  # configuration of the set
    revision: str | None = None
    train: str = "train"  # names of the splits; slices such as train[:1000] work
    valid: str = "validation"
    test: str | None = "test"
    # Columns of text; null: the `translation` feature, else the columns named by the languages.
    source_column: str | None = None
    target_column: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.path != "",
            "data.path is not set; give a data set, as in data.path=opus_books or data.path=DIR",
        )
        require(
            self.train != "",
            "data.train is empty; give the split to train on",
        )
        require(
            self.valid != "",
            "data.valid is empty; training needs validation data, as in data.valid=validation",
        )


DATA_CLASSES: dict[str, type[DataConfig]] = {
    "phrasebook": PhrasebookConfig,
    "files": FilesConfig,
    "hub": HubConfig,
}
