"""Settings of the parallel text: where it comes from, how it is mixed and batched."""

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from transformer.config.cleaning import Leaks, LeakSide
from transformer.config.context import SEPARATOR, ContextConfig, language_tag
from transformer.config.corpora import STDIN, CorpusConfig, CorpusFormat, named, read_corpora
from transformer.config.languages import check_language
from transformer.config.mapping import SUBCLASSES
from transformer.errors import InputError, require

AUTO = "auto"  # of a number that is to be found out


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
    # Of several corpora: each has a share of the pairs of an epoch that is proportional to
    # weight * pairs ** (1 / temperature); 1: all pairs as often, large: all corpora as much.
    temperature: float = 1.0
    leaks: Leaks = Leaks.warn
    leaks_side: LeakSide = LeakSide.either
    context: ContextConfig = field(default_factory=ContextConfig)
    prepare_processes: int | None = None  # that clean and encode; null: one a core
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
        require(
            1 <= self.temperature <= 1e6,
            f"data.temperature={self.temperature} must lie in [1, 1000000]",
        )
        require(
            self.prepare_processes is None or self.prepare_processes >= 1,
            f"data.prepare_processes={self.prepare_processes} must be null or at least 1",
        )

    def corpora(self, split: str) -> list[CorpusConfig]:
        """The corpora of `train`, `valid` or `test`, with names and languages; none: no such split.

        InputError where two languages of a corpus are the same, or the setting cannot be read.
        """
        found = [
            replace(each, source=each.source or self.source, target=each.target or self.target)
            for each in named(self._entries(split))
        ]
        for each in found:
            require(
                bool(self.context) or each.document_column is None,
                f"document_column={each.document_column} of {each.path} has no effect without "
                "data.context; set data.context.source, or leave it out",
            )
            require(
                each.source != each.target,
                f"data.{split}: {each.path} has source and target language {each.source}",
            )
            require(
                split == "train" or each.weight == 1,
                f"data.{split}: weight={each.weight} of {each.path} is for data.train alone",
            )
        return found

    def _entries(self, split: str) -> list[CorpusConfig]:
        raise NotImplementedError

    @property
    def directions(self) -> list[tuple[str, str]]:
        """Source and target language of the training corpora, each direction once."""
        return list(dict.fromkeys(corpus.direction for corpus in self.corpora("train")))

    @property
    def tagged_languages(self) -> list[str]:
        """The target languages, where sources have to tell which is wanted; else none."""
        targets = list(dict.fromkeys(target for _, target in self.directions))
        return targets if len(targets) > 1 else []

    @property
    def tags(self) -> list[str]:
        """The pieces that are put between others and never found in text, sorted."""
        found = {language_tag(language) for language in self.tagged_languages}
        found |= {f"<{corpus.tag}>" for corpus in self.corpora("train") if corpus.tag}
        if self.context:
            found.add(SEPARATOR)
        return sorted(found)

    def tags_of(self, corpus: CorpusConfig) -> list[str]:
        """The pieces put before each source of `corpus`."""
        language = [language_tag(corpus.direction[1])] if self.tagged_languages else []
        return language + ([f"<{corpus.tag}>"] if corpus.tag else [])


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

    def _entries(self, split: str) -> list[CorpusConfig]:
        return [CorpusConfig(path=split, format=CorpusFormat.phrasebook)]


@dataclass(kw_only=True)
class FilesConfig(DataConfig):
    """Corpora in files, of one format or of several; Any, since a schema cannot say of what kinds.

    `train`, `valid` and `test` are each a path, a group {path: …, weight: …, …} (its keys are those
    of CorpusConfig), or a list of these. `train=DIR/train` stands for DIR/train.en and
    DIR/train.de; endings such as .tsv or .tmx.gz choose the format.
    """

    kind: DataKind = DataKind.files
    train: Any = ""  # a path, {path: DIR/a, weight: 2}, or a list of these, in quotes
    valid: Any = ""  # the same
    test: Any = None  # the same
    # Ending of the files with the training pairs' alignments in Pharaoh's format, as in 0-0 1-2.
    alignment: str | None = None
    format: CorpusFormat = CorpusFormat.auto  # of all that do not say their own
    # Tables: a column's name, or its number from 1 where there is no header; null: the columns
    # named source and target or by the languages, a column `translation` of both, or 1 and 2.
    source_column: str | None = None
    target_column: str | None = None
    document_column: str | None = None  # its value changes where a document ends

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.corpora("train") != [],
            "data.train is not set; give the stem of two files, as in data.train=DIR/train for "
            f"DIR/train.{self.source} and DIR/train.{self.target}",
        )
        require(
            self.corpora("valid") != [],
            "data.valid is not set; training needs validation data, as in data.valid=DIR/valid "
            f"for DIR/valid.{self.source} and DIR/valid.{self.target}",
        )
        self.corpora("test")
        require(
            all(each.path != STDIN for split in ("valid", "test") for each in self.corpora(split)),
            "standard input can be data.train alone, and of prepare alone",
        )
        known = {each.tag for each in self.corpora("train")} | {None}
        for split in ("valid", "test"):
            for each in self.corpora(split):
                require(
                    each.tag in known,
                    f"data.{split}: tag={each.tag} of {each.path} is of no corpus of data.train",
                )
        require(
            not (self.context and any(each.alignment for each in self.corpora("train"))),
            "data.context does not go with data.alignment",
        )

    def _entries(self, split: str) -> list[CorpusConfig]:
        found = []
        entries = {"train": self.train, "valid": self.valid, "test": self.test}[split]
        for each in read_corpora(f"data.{split}", entries):
            form = self.format if each.format is CorpusFormat.auto else each.format
            columns = {
                name: getattr(each, name) or getattr(self, name)
                for name in ("source_column", "target_column", "document_column")
            }
            alignment = each.alignment or (self.alignment if split == "train" else None)
            found.append(replace(each, format=form, alignment=alignment, **columns))
        return found


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
    document_column: str | None = None  # its value changes where a document ends
    streaming: bool = False  # read over the network as it comes, without a copy on the disk

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

    def _entries(self, split: str) -> list[CorpusConfig]:
        names = {"train": self.train, "valid": self.valid, "test": self.test}
        if names[split] is None:
            return []
        return [
            CorpusConfig(
                path=self.path,
                name=split,
                format=CorpusFormat.hub,
                config=self.name,
                split=names[split],
                revision=self.revision,
                streaming=self.streaming,
                source_column=self.source_column,
                target_column=self.target_column,
                document_column=self.document_column,
            )
        ]


DATA_CLASSES: dict[str, type[DataConfig]] = {
    "phrasebook": PhrasebookConfig,
    "files": FilesConfig,
    "hub": HubConfig,
}

SUBCLASSES[DataConfig] = DATA_CLASSES
