"""BLEU, chrF, chrF++, TER and COMET of a corpus."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from sacrebleu.metrics.base import Metric, Signature
from sacrebleu.metrics.base import Score as RawScore
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from transformer.config import ChrfConfig, CometConfig, MetricsConfig, TerConfig
from transformer.errors import InputError, require
from transformer.metrics.resampling import Statistics, bootstrap
from transformer.metrics.tokenizer import primary_language, tokenized_bleu


@dataclass(frozen=True)
class Score:
    """A metric's value, in percent but for COMET, and how to compute it again.

    `mean` and `margin`, half the width of the interval of 95 %, are of the bootstrap (Koehn, 2004);
    None without one.
    """

    name: str
    value: float
    signature: str
    mean: float | None = None
    margin: float | None = None


def score_corpus(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    language: str,
    config: MetricsConfig,
    sources: Sequence[str] | None = None,
) -> list[Score]:
    """The scores that `config` names of raw lines in `language`, as of sacreBLEU's command line.

    Each of `references` holds a translation of each line; one that is empty counts as any other.
    InputError where counts differ, there is no line, a tokenizer cannot be had, or COMET has no
    sources.
    """
    require_aligned(hypotheses, references, sources)
    lines = stripped(hypotheses)
    streams = [stripped(stream) for stream in references]
    metrics = [metric_of(name, streams, language, config, sources) for name in config.names]
    return [
        score_of(metric, statistics_of(metric, lines), config.resamples, config.seed)
        for metric in metrics
    ]


def require_metrics(language: str, config: MetricsConfig, *, has_sources: bool) -> None:
    """Raise InputError where a score that `config` names cannot be computed for `language`."""
    for name in config.names:
        metric_of(name, [["."]], language, config, ["."] if has_sources else None)


def bleu(hypotheses: Sequence[str], references: Sequence[str], language: str) -> Score:
    """BLEU alone, with one stream of references and no interval."""
    require_aligned(hypotheses, [references])
    return _alone(tokenized_bleu(language, references=[references]), hypotheses)


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> Score:
    """ChrF alone, with one stream of references and no interval."""
    require_aligned(hypotheses, [references])
    return _alone(CHRF(references=[references]), hypotheses)


def _alone(metric: Metric, hypotheses: Sequence[str]) -> Score:
    return score_of(metric, statistics_of(metric, hypotheses))


def require_aligned(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    sources: Sequence[str] | None = None,
    system: str | None = None,
) -> None:
    """Raise InputError, which names the `system`, unless each line has all that it is scored by."""
    assert not any(isinstance(stream, str) for stream in references)
    n, k = len(hypotheses), len(references)
    there_are = f"there are {n} translations" if system is None else f"{system}: {n} translations"
    require(k > 0, f"{there_are} but no references; give one or several of each line")
    for i, stream in enumerate(references, 1):
        what = "references" if k == 1 else f"lines in reference {i} of {k}"
        require(len(stream) == n, f"{there_are} but {len(stream)} {what}; each line needs its own")
    require(n > 0, "there is no line to score: 0 translations and 0 references")
    require(
        sources is None or len(sources) == n,
        f"{there_are} but {len(sources or [])} sources; each line needs its own",
    )


def stripped(lines: Sequence[str]) -> tuple[str, ...]:
    """The lines as sacreBLEU's command line reads them: without white space at their ends."""
    return tuple(line.rstrip() for line in lines)


def metric_of(
    name: str,
    references: Sequence[Sequence[str]],
    language: str,
    config: MetricsConfig,
    sources: Sequence[str] | None,
) -> Metric:
    """The metric that `config` calls `name`, as an object of sacreBLEU that keeps `references`."""
    match name:
        case "bleu":
            return tokenized_bleu(language, config.bleu, references=references, quiet=True)
        case "chrf":
            return _chrf(config.chrf, 0, references)
        case "chrf++":
            return _chrf(config.chrf, 2, references)
        case "ter":
            return _ter(config.ter, language, references)
        case "comet":
            if sources is None:
                raise InputError("metrics.names names comet, which needs the sources as well")
            return _Comet(sources, references, config.comet)
    raise AssertionError(name)


def _chrf(config: ChrfConfig, word_order: int, references: Sequence[Sequence[str]]) -> CHRF:
    return CHRF(
        char_order=config.char_order,
        word_order=word_order,
        beta=config.beta,
        lowercase=config.lowercase,
        whitespace=config.whitespace,
        eps_smoothing=config.epsilon_smoothing,
        references=references,
    )


def _ter(config: TerConfig, language: str, references: Sequence[Sequence[str]]) -> TER:
    # TER counts words; Chinese and Japanese have no spaces, so it counts their characters.
    no_spaces = primary_language(language) in ("zh", "ja")
    return TER(
        normalized=no_spaces if config.normalized is None else config.normalized,
        asian_support=no_spaces if config.asian_support is None else config.asian_support,
        no_punct=config.no_punctuation,
        case_sensitive=config.case_sensitive,
        references=references,
    )


def statistics_of(metric: Metric, hypotheses: Sequence[str]) -> Statistics:
    """What `metric` counts in each line beside its references, from which scores are computed."""
    found: Statistics = metric._extract_corpus_statistics(hypotheses, None)
    return found


def score_of(metric: Metric, statistics: Statistics, resamples: int = 0, seed: int = 0) -> Score:
    """What `metric` says of statistics; as in sacreBLEU, one resample makes no interval."""
    result = metric._aggregate_and_compute(statistics)  # type: ignore[arg-type]
    mean = margin = None
    if resamples > 1:
        metric.n_bootstrap, metric.seed = resamples, str(seed)  # for the signature
        mean, margin = _interval(bootstrap(metric, statistics, resamples, seed))
    signature = str(metric.get_signature())
    return Score(result.name, float(result.score), signature, mean, margin)


def _interval(scores: Sequence[Any]) -> tuple[float, float]:
    """Mean and margin, as sacreBLEU's `Metric.corpus_score` gives them, and where it fails.

    Its samples score NumPy's numbers, but Python's where nothing matches or nothing is to be
    matched, and the mean of both kinds together is refused.
    """
    alike = len({type(score) for score in scores}) == 1
    drawn = [RawScore("", score if alike else float(score)) for score in scores]
    found = RawScore("", 0.0)
    found.estimate_ci(drawn)
    return float(found._mean), float(found._ci)


class _CometSignature(Signature):
    """How often was drawn, as sacreBLEU says it, and what COMET says of itself."""

    def __init__(self, args: dict[str, Any]) -> None:
        super().__init__(args)
        # SacreBLEU has no part in a model's estimates, so that its version says nothing.
        self.info["version"] = None
        self._model: str = args["model_signature"]

    def format(self, short: bool = False) -> str:
        return f"{super().format(short)}|{self._model}"


class _Comet(Metric):
    """COMET as a metric of sacreBLEU, so that it is resampled and tested as others are.

    The statistics of a line are its score, which is the mean of those against each of several
    references, and the number of lines, 1.
    """

    _SIGNATURE_TYPE = _CometSignature

    def __init__(
        self, sources: Sequence[str], references: Sequence[Sequence[str]], config: CometConfig
    ) -> None:
        from transformer.metrics.comet import comet_signature  # noqa: PLC0415  # imports torch

        super().__init__()  # type: ignore[no-untyped-call]
        self._sources, self._references, self._config = sources, references, config
        self.num_refs = len(references)
        self.model_signature = comet_signature(config)

    def _extract_corpus_statistics(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]] | None
    ) -> list[list[float]]:
        from transformer.metrics.comet import comet_scores  # noqa: PLC0415  # imports torch

        assert references is None  # they are kept
        scores = [
            comet_scores(self._sources, hypotheses, stream, self._config)
            for stream in self._references
        ]
        return [[fmean(line), 1.0] for line in zip(*scores, strict=True)]

    def _aggregate_and_compute(self, stats: list[list[float]]) -> RawScore:
        return self._compute_score_from_stats([sum(column) for column in zip(*stats, strict=True)])

    def _compute_score_from_stats(self, stats: list[float]) -> RawScore:
        return RawScore("COMET", stats[0] / stats[1])

    # What sacreBLEU's own way to statistics would ask, line by line.
    def _preprocess_segment(self, sent: str) -> str:
        raise NotImplementedError

    def _extract_reference_info(self, refs: Sequence[str]) -> dict[str, Any]:
        raise NotImplementedError

    def _compute_segment_statistics(
        self, hypothesis: str, ref_kwargs: dict[str, Any]
    ) -> list[float]:
        raise NotImplementedError
