"""Settings of the search for a translation."""

import math
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import TypeVar

from transformer.errors import require

E = TypeVar("E", bound=Enum)


def member(kind: type[E], key: str, value: E | str) -> E:
    """`value`, or the member of `kind` with that name; InputError where there is none."""
    if isinstance(value, kind):
        return value
    names = kind.__members__
    require(value in names, f"{key}={value} must be one of {', '.join(names)}")
    return kind[str(value)]


class SearchMethod(Enum):
    """How hypotheses are found: the most probable ones, or drawn at random."""

    beam = "beam"
    sampling = "sampling"


class LengthNormalization(Enum):
    """How hypotheses of different lengths compete; T counts tokens with EOS.

    The log-probability is divided by ((5 + T) / 6) ** length_penalty with `wu` (Wu et al., 2016,
    equation 14), by T ** length_penalty with `plain`; with `reward`, length_penalty * T is added
    (He et al., 2016); with `none` it stays as it is.
    """

    wu = "wu"
    plain = "plain"
    reward = "reward"
    none = "none"


class Utility(Enum):
    """What minimum-Bayes-risk decoding takes the expectation of, sentence by sentence."""

    chrf = "chrf"
    bleu = "bleu"


@dataclass(kw_only=True)
class SamplingConfig:
    """What is drawn from: the model's distribution at `temperature`, then cut down by each limit.

    A limit that is null cuts nothing. The most probable token always stays.
    """

    temperature: float = 1.0  # the logits are divided by it
    top_k: int | None = None  # the most probable tokens, so many (Fan et al., 2018)
    # The fewest most probable tokens whose probabilities sum to this (Holtzman et al., 2020).
    top_p: float | None = None
    min_p: float | None = None  # least share of the highest probability (Nguyen et al., 2025)
    epsilon: float | None = None  # least probability (Hewitt et al., 2022)
    n: int | None = None  # samples of a sentence that MBR chooses from; null: n_best
    seed: int = 1

    def __post_init__(self) -> None:
        require(
            0 < self.temperature <= 100,
            f"search.sampling.temperature={self.temperature} must lie in (0, 100]",
        )
        for name in ("top_k", "n"):
            value = getattr(self, name)
            require(
                value is None or value >= 1,
                f"search.sampling.{name}={value} must be null or at least 1",
            )
        for name in ("top_p", "min_p", "epsilon"):
            value = getattr(self, name)
            require(
                value is None or 0 < value <= 1,
                f"search.sampling.{name}={value} must be null or lie in (0, 1]",
            )
        require(0 <= self.seed < 2**63, f"search.sampling.seed={self.seed} must lie in [0, 2**63)")


@dataclass(kw_only=True)
class AttentionConfig:
    """The cross-attention that alignments and the coverage penalty are read from."""

    # Of the decoder, counted from 1, or from the last with a minus. null: the one that guided
    # alignment taught, else the last but one, where the model has two.
    layer: int | None = None
    heads: list[int] = field(default_factory=list)  # counted from 1, averaged; none given: all

    def __post_init__(self) -> None:
        require(self.layer != 0, "search.attention.layer=0: layers are counted from 1")
        require(
            all(head >= 1 for head in self.heads) and len({*self.heads}) == len(self.heads),
            f"search.attention.heads={self.heads}: heads are counted from 1, each named once",
        )


@dataclass(kw_only=True)
class SearchConfig:
    """Beam search, where beam_size=1 is greedy search, or sampling."""

    method: SearchMethod = SearchMethod.beam
    beam_size: int = 5
    n_best: int = 1  # hypotheses a sentence: best first; of samples, as they were drawn
    normalization: LengthNormalization = LengthNormalization.wu
    length_penalty: float = 1.0  # exponent of the normalisation, or reward of a token
    # A sentence ends with patience * beam_size finished hypotheses, and n_best at least (Kasai et
    # al., 2022); null: when no other can win any more, which takes longer.
    patience: float | None = None
    # Weight of the coverage penalty, by which finished hypotheses compete (Wu et al., 2016,
    # equation 14); 0: none.
    coverage_penalty: float = 0.0
    # Groups of a beam that shun each other's tokens (Vijayakumar et al., 2016, Hamming distance).
    groups: int = 1
    diversity: float = 0.5  # log-probability that each earlier group with the same token costs
    # A sentence of S source pieces gets at most max_length_ratio * S + max_length_offset pieces,
    # EOS counted, and at least min_length_ratio * S, and no fewer than min_length, without EOS.
    max_length_ratio: float = 1.5
    max_length_offset: int = 30
    max_length: int | None = None  # pieces, EOS counted, whatever the source
    min_length_ratio: float = 0.0
    min_length: int = 0
    # Pieces: no sequence of so many occurs twice, but by a piece of a phrase that must occur.
    no_repeat_ngram: int | None = None
    allow_unknown: bool = True  # the piece for what the vocabulary lacks may be written
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    # Minimum Bayes risk: of the beam or the samples, what is most like the others; null: none.
    mbr: Utility | None = None
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    batch_tokens: int = 16_384  # padded source pieces of a batch, times the beam

    def __post_init__(self) -> None:
        self.method = member(SearchMethod, "search.method", self.method)
        self.normalization = member(LengthNormalization, "search.normalization", self.normalization)
        if self.mbr is not None:
            self.mbr = member(Utility, "search.mbr", self.mbr)
        for name in ("beam_size", "n_best", "groups", "batch_tokens", "max_length_offset"):
            value = getattr(self, name)
            require(value >= 1, f"search.{name}={value} must be at least 1")
        for name, limit in (
            ("length_penalty", 10),
            ("coverage_penalty", 10),
            ("diversity", 1000),
            ("max_length_ratio", 100),
            ("min_length_ratio", 100),
            ("min_length", math.inf),
        ):
            value = getattr(self, name)
            require(0 <= value <= limit, f"search.{name}={value} must lie in [0, {limit}]")
        require(
            self.patience is None or 0 < self.patience <= 100,
            f"search.patience={self.patience} must be null or lie in (0, 100]",
        )
        for name, least in (("max_length", 2), ("no_repeat_ngram", 1)):
            value = getattr(self, name)
            require(
                value is None or value >= least,
                f"search.{name}={value} must be null or at least {least}",
            )
        require(
            self.max_length is None or self.min_length < self.max_length,
            f"search.min_length={self.min_length} leaves no room for EOS below "
            f"search.max_length={self.max_length}",
        )
        self._check_beam()
        self._check_sampling()

    @property
    def width(self) -> int:
        """Hypotheses of a sentence that grow beside each other."""
        if self.method is SearchMethod.sampling:
            return self.sampling.n or self.n_best
        return self.beam_size

    def _check_beam(self) -> None:
        require(
            self.beam_size % self.groups == 0,
            f"search.beam_size={self.beam_size} is not divisible by search.groups={self.groups}",
        )
        require(
            self.method is SearchMethod.sampling or self.n_best <= self.beam_size,
            f"search.n_best={self.n_best} is larger than search.beam_size={self.beam_size}",
        )

    def _check_sampling(self) -> None:
        n = self.sampling.n
        require(
            self.mbr is None or self.width > 1,
            f"search.mbr={self.mbr and self.mbr.name} chooses among several outputs; set "
            "search.beam_size, or search.sampling.n with samples",
        )
        if self.method is not SearchMethod.sampling:
            changed = [
                f"search.sampling.{each.name}={getattr(self.sampling, each.name)}"
                for each in fields(self.sampling)
                if getattr(self.sampling, each.name) != each.default
            ]
            require(not changed, f"{', '.join(changed)} goes with search.method=sampling")
            return
        require(self.groups == 1, f"search.groups={self.groups} goes with search.method=beam")
        require(
            self.patience is None, f"search.patience={self.patience} goes with search.method=beam"
        )
        require(
            self.coverage_penalty == 0,
            f"search.coverage_penalty={self.coverage_penalty} goes with search.method=beam",
        )
        require(
            n is None or self.mbr is not None,
            f"search.sampling.n={n} goes with search.mbr=chrf or bleu; else set search.n_best",
        )
        require(
            n is None or n >= self.n_best,
            f"search.sampling.n={n} is smaller than search.n_best={self.n_best}",
        )
