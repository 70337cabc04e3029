"""The settings of the commands that show what a model is worth and what it does."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from os.path import normpath
from pathlib import Path
from typing import Any

from transformer.config.data import text_or_list
from transformer.config.decoding import RequestSettings
from transformer.config.languages import check_language
from transformer.config.mapping import shown
from transformer.config.metrics import MetricsConfig, SignificanceConfig
from transformer.errors import InputError, require

# What says how to translate, or what with.
_OF_TRANSLATION = (
    *("output", "terminology", "exclude", "protect", "max_source_pieces", "shortlist"),
)


class OutputFormat(Enum):
    """How scores are printed."""

    table = "table"
    json = "json"
    markdown = "markdown"
    latex = "latex"


@dataclass(kw_only=True)
class EvaluateSettings(RequestSettings):
    """transformer evaluate: score and compare checkpoints, or what any systems wrote.

    What may be text or a list of it is Any, as `checkpoint` is.
    """

    # File to translate; null: the run's own test sets. Beside hypothesis, for the analysis.
    source: str | None = None
    hypothesis: Any = None  # file of translations instead of a checkpoint, or a list of such
    reference: Any = None  # file, or a list where each sentence has several references
    test_set: Any = None  # sacreBLEU's name, as in wmt14, or a list; instead of files
    direction: str | None = None  # of test_set, as in en-de; null: the model's
    # Systems to compare with: files of translations, runs' or checkpoints' folders.
    against: Any = None
    # The system, as it was given, that others are compared with; null: the first of `against`,
    # else of `hypothesis`.
    baseline: str | None = None
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    significance: SignificanceConfig = field(default_factory=SignificanceConfig)
    analysis: bool = False  # scores by length and rare words, and what goes wrong
    # A run whose training text is looked at for rare words and for the references themselves;
    # null: the checkpoint's own.
    trained_on: str | None = None
    output: str | None = None  # file for the checkpoint's translations; null: not kept
    format: OutputFormat = OutputFormat.table

    def __post_init__(self) -> None:
        has_checkpoint = self.checkpoint not in (None, "")
        if has_checkpoint:
            super().__post_init__()
        require(
            has_checkpoint != bool(self.hypotheses),
            "evaluate scores either checkpoint=runs/NAME or hypothesis=FILE; give one of them",
        )
        if self.target_language is not None:
            check_language("target_language", self.target_language)
        self._check_systems()
        self._check_text(has_checkpoint)
        if not has_checkpoint:
            self._check_files()

    def _check_systems(self) -> None:
        names = self.systems
        twice = _twice([normpath(name) for name in names])
        require(twice is None, f"{twice} is given twice; each system is compared once")
        require(
            self.baseline is None or self.baseline in names,
            f"baseline={self.baseline} is none of the systems, which are {', '.join(names)}",
        )

    def _check_text(self, has_checkpoint: bool) -> None:
        """Raise InputError where it is not clear what is to be translated or compared."""
        if self.direction is not None:
            require(
                bool(self.test_sets),
                f"direction={self.direction} goes with test_set=NAME",
            )
            sides = self.direction.split("-")
            require(len(sides) == 2, f"direction={self.direction} must be like en-de")
            for side in sides:
                check_language("direction", side)
        twice = _twice(self.test_sets)
        require(twice is None, f"test_set names {twice} twice; each is scored once")
        if self.test_sets:
            given = [name for name in ("source", "reference") if getattr(self, name) is not None]
            require(
                not given,
                f"{' and '.join(given)} and test_set exclude each other; give one of them",
            )
        elif has_checkpoint:
            require(
                (self.source is None) == (self.reference is None),
                "source=FILE and reference=FILE go together; without both, the run's own test "
                "split is scored",
            )

    def _check_files(self) -> None:
        """Raise InputError for what does not go with files of translations."""
        require(
            bool(self.references) != bool(self.test_sets),
            "hypothesis=FILE needs reference=FILE or test_set=NAME to compare with",
        )
        require(
            self.target_language is not None or self.direction is not None,
            "hypothesis=FILE needs target_language, as in target_language=de: it chooses the "
            "tokenizer of BLEU; with test_set=NAME give direction=en-de",
        )
        require(
            len(self.test_sets) <= 1,
            f"test_set={shown(self.test_sets)}: a file of translations is of one test set",
        )
        given = [name for name in _OF_TRANSLATION if getattr(self, name)]
        require(
            not given,
            f"{', '.join(given)} goes with checkpoint=…; with hypothesis=FILE nothing is "
            "translated",
        )

    @property
    def hypotheses(self) -> list[str]:
        """The files of `hypothesis`."""
        return _listed("hypothesis", self.hypothesis)

    @property
    def references(self) -> list[str]:
        """The files of `reference`, each a translation of all sentences."""
        return _listed("reference", self.reference)

    @property
    def test_sets(self) -> list[str]:
        """The names of `test_set`."""
        return _listed("test_set", self.test_set)

    @property
    def others(self) -> list[str]:
        """The systems of `against`."""
        return _listed("against", self.against)

    @property
    def systems(self) -> list[str]:
        """All that is scored, by name: the checkpoint (or ensemble) or hypotheses, then others."""
        own = self.hypotheses or [", ".join(self.checkpoints)]
        return [*own, *self.others]

    @property
    def compared_with(self) -> str | None:
        """The baseline among `systems`; None where there is but one."""
        if len(self.systems) == 1:
            return None
        return self.baseline or next(iter(self.others), self.systems[0])


@dataclass(kw_only=True)
class ReportSettings:
    """transformer report: a page that shows a run, and how it differs from others."""

    run_dir: str = ""  # of the run to show, which may still be training
    against: Any = None  # a run's folder to compare with, or a list
    output: str | None = None  # file; null: report.html in the run's folder
    sentences: int = 10  # the best, and the worst, that are shown
    attention: int = 3  # sentences whose attention is shown; 0: none, and no model is read
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    significance: SignificanceConfig = field(default_factory=SignificanceConfig)
    device: str = "auto"  # auto: cuda where there is a GPU, else cpu
    threads: int | None = None  # of the CPU; null: what torch chooses

    def __post_init__(self) -> None:
        require(
            self.run_dir != "", "run_dir is not set; give a run's folder, as in run_dir=runs/NAME"
        )
        for name in ("sentences", "attention"):
            value = getattr(self, name)
            require(value >= 0, f"{name}={value} must be at least 0")
        require(self.output != "", "output is empty; give a file, as in output=report.html")
        require(
            self.threads is None or self.threads >= 1,
            f"threads={self.threads} must be null or at least 1",
        )
        same = [name for name in self.others if Path(name) == Path(self.run_dir)]
        require(not same, f"against={self.run_dir} is the run itself; give another")

    @property
    def others(self) -> list[str]:
        """The runs of `against`."""
        return _listed("against", self.against)


class AttentionKind(Enum):
    """Who looks at what."""

    encoder = "encoder"  # source at source
    decoder = "decoder"  # target at what was written before
    cross = "cross"  # target at source


class Unit(Enum):
    """What stands on the axes."""

    words = "words"
    pieces = "pieces"


_PICTURE = re.compile(r"\.(png|svg|html)")


@dataclass(kw_only=True)
class AttentionSettings(RequestSettings):
    """transformer attention: pictures of where a model looks, and how far."""

    input: str | None = None  # file of source sentences; null: standard input
    target: str | None = None  # file of their translations; null: the model's own
    lines: list[int] = field(default_factory=list)  # of the input, from 1; none given: the first 10
    # FILE.html, for all sentences; FILE.png or FILE.svg, of several FILE.N.png of each line N.
    output: str = ""
    kinds: list[AttentionKind] = field(default_factory=lambda: list(AttentionKind))
    layers: list[int] = field(default_factory=list)  # from 1; none given: all
    heads: list[int] = field(default_factory=list)  # from 1; none given: all
    unit: Unit = Unit.words
    format: OutputFormat = OutputFormat.table  # of entropy and distance, on standard output

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            len(self.checkpoints) == 1,
            f"checkpoint={shown(self.checkpoints)}: attention is that of one model",
        )
        require(self.output != "", "output is not set; give a file, as in output=attention.html")
        if _PICTURE.fullmatch(Path(self.output).suffix) is None:
            raise InputError(f"output={self.output} must end with .png, .svg or .html")
        require(bool(self.kinds), "kinds=[] shows nothing; give some of encoder, decoder, cross")
        for name in ("lines", "layers", "heads"):
            numbers = getattr(self, name)
            require(
                all(number >= 1 for number in numbers) and len(set(numbers)) == len(numbers),
                f"{name}={shown(numbers)} must be different numbers from 1 on",
            )


def _twice(names: Sequence[str]) -> str | None:
    """The first that is among those before it."""
    return next((name for i, name in enumerate(names) if name in names[:i]), None)


def _listed(key: str, value: Any) -> list[str]:
    """What `key` names, in order; none where it is null."""
    found = [] if value is None else text_or_list(key, value)
    require(all(found), f"{key}={value!r} holds an empty name")
    return found
