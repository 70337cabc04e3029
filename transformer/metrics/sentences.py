"""Scores of single sentences."""

from collections.abc import Sequence
from dataclasses import replace

from transformer.config import MetricsConfig
from transformer.metrics.corpus import metric_of, require_aligned, stripped


def score_sentences(
    name: str,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    language: str,
    config: MetricsConfig,
    sources: Sequence[str] | None = None,
) -> list[float]:
    """The score of each line by the metric `name`, as `sacrebleu --sentence-level` gives it.

    BLEU leaves out the orders that a line is too short for, whatever the settings say. InputError
    as of `score_corpus`.
    """
    require_aligned(hypotheses, references, sources)
    config = replace(config, bleu=replace(config.bleu, effective_order=True))
    streams = [stripped(stream) for stream in references]
    metric = metric_of(name, streams, language, config, sources)
    # The statistics of all lines at once: COMET's model reads them in batches.
    statistics = metric._extract_corpus_statistics(stripped(hypotheses), None)
    return [float(metric._aggregate_and_compute([line]).score) for line in statistics]
