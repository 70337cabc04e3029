"""The settings of the commands that run trained models."""

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from transformer.config.commands import Precision, require_checkpoint
from transformer.config.data import text_or_list
from transformer.config.languages import check_language
from transformer.config.mapping import shown
from transformer.config.search import SearchConfig
from transformer.config.training import Resume
from transformer.errors import require


class EnsembleMean(Enum):
    """How the distributions of several models become one."""

    geometric = "geometric"  # of probabilities, scaled to sum to 1
    arithmetic = "arithmetic"


@dataclass(kw_only=True)
class EnsembleConfig:
    """Several models with one vocabulary that translate together: checkpoint=[A,B,C]."""

    weights: list[float] = field(default_factory=list)  # one a model; none given: equal ones
    mean: EnsembleMean = EnsembleMean.geometric

    def __post_init__(self) -> None:
        require(
            all(0 <= weight < math.inf for weight in self.weights)
            and (sum(self.weights) > 0 or not self.weights),
            f"ensemble.weights={shown(self.weights)} must be at least 0, and one above it",
        )


class Protected(Enum):
    """What a translation takes over from its source as it is."""

    urls = "urls"
    emails = "emails"
    numbers = "numbers"
    tags = "tags"  # of XML and HTML
    variables = "variables"  # {name}, {0}, ${name}, %(name)s, %s


@dataclass(kw_only=True)
class DecodingSettings:
    """What every command that runs trained models takes.

    `checkpoint` is Any, since a settings schema cannot say "text or list of text".
    """

    # A run's folder (its best checkpoint) or a checkpoint's own folder; a list is an ensemble.
    checkpoint: Any = ""
    ensemble: EnsembleConfig = field(default_factory=EnsembleConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    device: str = "auto"  # auto: cuda where there is a GPU, else cpu
    precision: Precision = Precision.auto
    threads: int | None = None  # of the CPU; null: what torch chooses
    # To translate into; null: the model's only one. It chooses the tokenizer of BLEU as well.
    target_language: str | None = None

    def __post_init__(self) -> None:
        require(
            bool(self.checkpoints) and all(self.checkpoints),
            "checkpoint is not set; give a run's folder, as in checkpoint=runs/NAME",
        )
        if self.target_language is not None:
            check_language("target_language", self.target_language)
        n, m = len(self.ensemble.weights), len(self.checkpoints)
        require(n in (0, m), f"ensemble.weights has {n} weights, but checkpoint has {m} models")
        require(
            self.threads is None or self.threads >= 1,
            f"threads={self.threads} must be null or at least 1",
        )

    @property
    def checkpoints(self) -> list[str]:
        """The folders of `checkpoint`; InputError where it is neither text nor a list of it."""
        return text_or_list("checkpoint", self.checkpoint)


@dataclass(kw_only=True)
class RequestSettings(DecodingSettings):
    """What every command that translates takes."""

    terminology: str | None = None  # TSV file: a source term, a tab, the target term to be written
    exclude: list[str] = field(default_factory=list)  # words and phrases not to be written
    protect: list[Protected] = field(default_factory=list)  # written as they stand in the source
    # Longer lines, in pieces, are translated in parts; null: the longest of the training.
    max_source_pieces: int | None = None
    shortlist: str | None = None  # file of `transformer shortlist`: what a source piece may become

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.max_source_pieces is None or self.max_source_pieces >= 1,
            f"max_source_pieces={self.max_source_pieces} must be null or at least 1",
        )
        require(
            self.search.groups == 1 or not (self.terminology or self.protect),
            f"search.groups={self.search.groups} does not go with terminology and protect, whose "
            "phrases must occur",
        )
        require(
            all(phrase.strip() for phrase in self.exclude),
            f"exclude={shown(self.exclude)} holds an empty phrase",
        )


class LineFormat(Enum):
    """What a line of input or output holds."""

    text = "text"
    jsonl = "jsonl"  # a JSON object


@dataclass(kw_only=True)
class TranslateSettings(RequestSettings):
    """transformer translate: n lines in, n lines out."""

    input: str | None = None  # null: standard input
    output: str | None = None  # null: standard output
    # jsonl: {"source": …, "target_language": …, "prefix": …, "include": […], "exclude": […],
    # "context": […]}, of which only the source must be there.
    input_format: LineFormat = LineFormat.text
    output_format: LineFormat = LineFormat.text
    alignment: bool = False  # of words, in Pharaoh's format, behind a tab; in jsonl a key
    attention: bool = False  # jsonl: the matrices that alignments are read from
    resume: Resume = Resume.auto  # what becomes of the part that an interrupted command left
    processes: int = 1  # that translate beside each other; on GPUs, each has one of its own

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.processes >= 1, f"processes={self.processes} must be at least 1")
        require(
            not self.attention or self.output_format is LineFormat.jsonl,
            "attention=true goes with output_format=jsonl",
        )


@dataclass(kw_only=True)
class ScoreSettings(DecodingSettings):
    """transformer score: the score that a search would give each of given translations."""

    source: str = ""  # file
    target: str = ""  # file of translations, a line for a line of the source
    output: str | None = None  # null: standard output
    output_format: LineFormat = LineFormat.text
    alignment: bool = False  # of words, in Pharaoh's format, behind a tab; in jsonl a key
    attention: bool = False  # jsonl: the matrices that alignments are read from

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("source", "target"):
            require(getattr(self, name) != "", f"{name} is not set; give a file, as in {name}=FILE")
        require(
            not self.attention or self.output_format is LineFormat.jsonl,
            "attention=true goes with output_format=jsonl",
        )


@dataclass(kw_only=True)
class ShortlistSettings:
    """transformer shortlist: which target pieces a source piece may become, learnt from pairs."""

    checkpoint: str = ""  # a run's folder or a checkpoint's own; its training pairs are read
    output: str = ""  # file
    size: int = 50  # target pieces of a source piece
    frequent: int = 50  # most frequent target pieces, allowed in every sentence
    iterations: int = 5  # of IBM model 1 (Brown et al., 1993)

    def __post_init__(self) -> None:
        require_checkpoint(self.checkpoint)
        require(self.output != "", "output is not set; give a file, as in output=FILE")
        for name in ("size", "iterations"):
            require(getattr(self, name) >= 1, f"{name}={getattr(self, name)} must be at least 1")
        require(self.frequent >= 0, f"frequent={self.frequent} must be at least 0")
