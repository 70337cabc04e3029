"""What translations are scored with, and how scores are compared."""

from dataclasses import dataclass, field
from enum import Enum

from transformer.config.mapping import shown
from transformer.errors import require

METRICS = ("bleu", "chrf", "chrf++", "ter", "comet")


class Smoothing(Enum):
    """What BLEU puts in place of an n-gram order without matches (Chen and Cherry, 2014)."""

    none = "none"
    floor = "floor"
    add_k = "add-k"
    exp = "exp"


@dataclass(kw_only=True)
class BleuConfig:
    """BLEU (Papineni et al., 2002)."""

    # sacreBLEU's name of a tokenizer, as in 13a, intl, char, none; null: that of the language.
    tokenize: str | None = None
    lowercase: bool = False
    smooth_method: Smoothing = Smoothing.exp
    smooth_value: float | None = None  # of floor and add_k; null: 0.1 and 1
    effective_order: bool = False  # leave out orders that no hypothesis is long enough for

    def __post_init__(self) -> None:
        require(
            self.smooth_value is None or self.smooth_method in {Smoothing.floor, Smoothing.add_k},
            f"metrics.bleu.smooth_value={self.smooth_value} goes with smooth_method=floor or add_k",
        )
        require(
            self.smooth_value is None or 0 < self.smooth_value < 1e6,
            f"metrics.bleu.smooth_value={self.smooth_value} must be above 0",
        )


@dataclass(kw_only=True)
class ChrfConfig:
    """ChrF (Popović, 2015); as chrf++ with n-grams of up to two words (Popović, 2017)."""

    char_order: int = 6
    beta: int = 2  # weight of recall
    lowercase: bool = False
    whitespace: bool = False  # count it among the characters
    epsilon_smoothing: bool = False  # as NLTK and Moses do

    def __post_init__(self) -> None:
        for name in ("char_order", "beta"):
            value = getattr(self, name)
            require(value >= 1, f"metrics.chrf.{name}={value} must be at least 1")


@dataclass(kw_only=True)
class TerConfig:
    """TER (Snover et al., 2006)."""

    normalized: bool | None = None  # null: for languages without spaces
    asian_support: bool | None = None  # null: for languages without spaces
    no_punctuation: bool = False
    case_sensitive: bool = False


@dataclass(kw_only=True)
class CometConfig:
    """COMET (Rei et al., 2020): a trained model's estimate, for which there must be sources."""

    model: str | None = None  # folder or file of a checkpoint on this machine
    batch_size: int = 32  # sentences

    def __post_init__(self) -> None:
        require(
            self.batch_size >= 1, f"metrics.comet.batch_size={self.batch_size} must be at least 1"
        )


@dataclass(kw_only=True)
class MetricsConfig:
    """Which scores, computed how."""

    names: list[str] = field(default_factory=lambda: ["bleu", "chrf", "ter"])
    resamples: int = 1000  # of the bootstrap that intervals of 95 % are from; 0: none
    seed: int = 12345  # of bootstrap and randomisation; this one is sacreBLEU's
    bleu: BleuConfig = field(default_factory=BleuConfig)
    chrf: ChrfConfig = field(default_factory=ChrfConfig)
    ter: TerConfig = field(default_factory=TerConfig)
    comet: CometConfig = field(default_factory=CometConfig)

    def __post_init__(self) -> None:
        unknown = [name for name in self.names if name not in METRICS]
        require(
            bool(self.names) and not unknown,
            f"metrics.names={shown(self.names)} must be some of {', '.join(METRICS)}",
        )
        require(
            len(set(self.names)) == len(self.names),
            f"metrics.names={shown(self.names)} names one of them twice",
        )
        require(self.resamples >= 0, f"metrics.resamples={self.resamples} must be at least 0")
        require(0 <= self.seed < 2**32, f"metrics.seed={self.seed} must lie in [0, 2**32)")
        require(
            "comet" not in self.names or self.comet.model is not None,
            "metrics.names names comet; give a model, as in metrics.comet.model=DIR",
        )


class SignificanceTest(Enum):
    """How chance is told from difference between two systems."""

    none = "none"
    bootstrap = "bootstrap"  # paired (Koehn, 2004)
    randomisation = "randomisation"  # paired and approximate (Riezler and Maxwell, 2005)
    both = "both"


@dataclass(kw_only=True)
class SignificanceConfig:
    """The comparison of systems with a baseline."""

    test: SignificanceTest = SignificanceTest.bootstrap
    samples: int | None = None  # null: sacreBLEU's 1,000 of the bootstrap, 10,000 of the other
    level: float = 0.05  # of p, below which a difference is called significant

    def __post_init__(self) -> None:
        require(
            self.samples is None or self.samples >= 1,
            f"significance.samples={self.samples} must be null or at least 1",
        )
        require(0 < self.level < 1, f"significance.level={self.level} must lie between 0 and 1")
