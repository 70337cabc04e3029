"""Whether one system is better than another, or lucky."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sacrebleu.metrics.base import Metric
from sacrebleu.significance import PairedTest, _compute_p_value, estimate_ci

from transformer.config import MetricsConfig, SignificanceConfig, SignificanceTest
from transformer.errors import require
from transformer.metrics.corpus import (
    Score,
    metric_of,
    require_aligned,
    score_of,
    statistics_of,
    stripped,
)
from transformer.metrics.resampling import Statistics, bootstrap, shuffled_differences

_BOTH = SignificanceTest.both


@dataclass(frozen=True)
class Paired:
    """A system's score, and how likely chance alone would set it so far from the baseline's.

    `p` is by test, "bootstrap" (Koehn, 2004) or "randomisation" (Riezler and Maxwell, 2005), from
    1 / (samples + 1) to 1; that of the baseline is empty.

    SacreBLEU gives a system whose lines are the baseline's the least p of all, because it counts
    the samples whose difference exceeds that of the scores, and 0 does not exceed 0. So a small p
    says something only where the scores differ.
    """

    score: Score
    p: dict[str, float] = field(default_factory=dict)


def compare(
    systems: Mapping[str, Sequence[str]],
    baseline: str,
    references: Sequence[Sequence[str]],
    language: str,
    config: MetricsConfig,
    significance: SignificanceConfig,
    sources: Sequence[str] | None = None,
) -> dict[str, list[Paired]]:
    """The scores of `systems` by name, each tested against `baseline`, as `sacrebleu --paired-…`.

    Each system has a list over `config.names`. With the bootstrap, means and margins are of its
    samples; without, they are those of `score_corpus`. InputError as of that, naming the system,
    and where the baseline is none of the systems.
    """
    require(
        baseline in systems,
        f"baseline={baseline} is none of the systems, which are {', '.join(systems)}",
    )
    for system, hypotheses in systems.items():
        require_aligned(hypotheses, references, sources, system)
    lines = {system: stripped(hypotheses) for system, hypotheses in systems.items()}
    streams = [stripped(stream) for stream in references]
    found: dict[str, list[Paired]] = {system: [] for system in systems}
    for name in config.names:
        metric = metric_of(name, streams, language, config, sources)
        # TER takes minutes, and the tests need the same as the scores.
        statistics = {system: statistics_of(metric, each) for system, each in lines.items()}
        by_system = _compare(metric, statistics, baseline, config, significance)
        for system, paired in by_system.items():
            found[system].append(paired)
    return found


def _compare(
    metric: Metric,
    systems: Mapping[str, Statistics],
    baseline: str,
    config: MetricsConfig,
    significance: SignificanceConfig,
) -> dict[str, Paired]:
    """The systems by one metric."""
    draws = significance.test in {SignificanceTest.bootstrap, _BOTH}
    shuffles = significance.test in {SignificanceTest.randomisation, _BOTH}
    seed, resamples = config.seed, 0 if draws else config.resamples
    found = {
        name: Paired(score_of(metric, each, resamples, seed)) for name, each in systems.items()
    }
    signature = metric.get_signature()
    if draws or shuffles:
        signature.update("seed", seed)
    if draws:
        n = _samples("bs", significance)
        signature.update("bs", n)
        drawn = {name: bootstrap(metric, each, n, seed) for name, each in systems.items()}
        found = _drawn(found, drawn, baseline)
    if shuffles:
        n = _samples("ar", significance)
        signature.update("ar", n)
        for name in systems.keys() - {baseline}:
            apart = shuffled_differences(metric, systems[baseline], systems[name], n, seed)
            p = _compute_p_value(apart, _difference(found, name, baseline))
            found[name].p["randomisation"] = p
    text = str(signature)
    return {
        name: Paired(replace(each.score, signature=text), each.p) for name, each in found.items()
    }


def _samples(kind: str, significance: SignificanceConfig) -> int:
    return significance.samples or PairedTest._DEFAULT_SAMPLES[kind]


def _drawn(
    found: Mapping[str, Paired], drawn: Mapping[str, Sequence[Any]], baseline: str
) -> dict[str, Paired]:
    """The systems with intervals of the scores `drawn`, and p of the paired bootstrap.

    All are drawn from one seed, so that the n-th sample of each is of the same lines.
    """
    scores = {name: np.array(each) for name, each in drawn.items()}
    intervals = {name: estimate_ci(each) for name, each in scores.items()}
    with_p = {}
    for name, paired in found.items():
        mean, margin = intervals[name]
        p = {}
        if name != baseline:
            apart = np.abs(scores[name] - scores[baseline])
            difference = _difference(found, name, baseline)
            p["bootstrap"] = _compute_p_value(apart - apart.mean(), difference)
        with_p[name] = Paired(replace(paired.score, mean=float(mean), margin=float(margin)), p)
    return with_p


def _difference(found: Mapping[str, Paired], name: str, baseline: str) -> float:
    return abs(found[baseline].score.value - found[name].score.value)
