"""Scores of parts of a test set, from statistics that are taken once."""

from collections.abc import Sequence
from dataclasses import replace

from transformer.config import MetricsConfig
from transformer.metrics import Score
from transformer.metrics.corpus import metric_of, require_aligned, stripped


def score_groups(
    translations: Sequence[str],
    references: Sequence[Sequence[str]],
    groups: Sequence[Sequence[int]],
    language: str,
    config: MetricsConfig,
) -> list[list[Score]]:
    """For each group of rows what `score_corpus` gives of these, without intervals and COMET.

    A trained model is too slow to be asked again, and sets so small have wide intervals.
    """
    require_aligned(translations, references)
    lines, streams = stripped(translations), [stripped(stream) for stream in references]
    config = replace(config, resamples=0)
    found: list[list[Score]] = [[] for _ in groups]
    for name in config.names:
        if name == "comet":
            continue
        metric = metric_of(name, streams, language, config, None)
        statistics = metric._extract_corpus_statistics(lines, None)
        signature = str(metric.get_signature())
        for scores, rows in zip(found, groups, strict=True):
            result = metric._aggregate_and_compute([statistics[row] for row in rows])
            scores.append(Score(result.name, float(result.score), signature))
    return found
