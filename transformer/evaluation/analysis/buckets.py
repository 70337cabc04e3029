"""Scores of sentences that are alike: in length, or in how many of their words are rare."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformer.config import MetricsConfig
from transformer.evaluation.analysis.groups import score_groups
from transformer.evaluation.analysis.lines import Lines, ratio
from transformer.evaluation.analysis.training import TrainingText
from transformer.metrics import Score

RARE = 5  # times in training below which a word is rare

_LENGTHS = (("0", 1), ("1-9", 10), ("10-19", 20), ("20-29", 30), ("30-49", 50), ("50+", None))
# Shares in percent, the second number not included.
_SHARES = (("0 %", 0), ("under 10 %", 10), ("10-20 %", 20), ("20-30 %", 30), ("30 % +", None))

Part = tuple[str, list[int]]  # a label, and its rows


@dataclass(frozen=True)
class Bucket:
    """Some sentences of a test set, and what they score."""

    label: str
    n: int  # sentences
    scores: list[Score]
    length_ratio: float | None  # words of translations to references; None where these have none

    def summary(self) -> dict[str, Any]:
        """What is known, for JSON."""
        return {
            "label": self.label,
            "sentences": self.n,
            "scores": [
                {"name": each.name, "value": each.value, "signature": each.signature}
                for each in self.scores
            ],
            "length_ratio": self.length_ratio,
        }


def buckets_of(
    lines: Lines, training: TrainingText | None, language: str, config: MetricsConfig
) -> tuple[list[Bucket], list[Bucket] | None]:
    """Scores by length, and by the share of a source's words that are rare or unseen in training.

    Length is that of the source; of the first reference where there is no source. The others are
    None where the training text or the sources are not known.
    """
    kinds = [_by_length(lines)]
    if training is not None and lines.source_words is not None:
        kinds.append(_by_rarity(lines.source_words, training))
    parts = [part for kind in kinds for part in kind]
    groups = [rows for _, rows in parts]
    scores = score_groups(lines.translations, lines.references, groups, language, config)
    found = [
        Bucket(label, len(rows), each, _length_ratio(lines, rows))
        for (label, rows), each in zip(parts, scores, strict=True)
    ]
    n = len(kinds[0])
    return found[:n], found[n:] if len(kinds) > 1 else None


def _by_length(lines: Lines) -> list[Part]:
    found = lines.source_words
    if found is None:
        found = [each[0] for each in lines.reference_words]
    limits = [limit for _, limit in _LENGTHS if limit is not None]
    numbers = [bisect_right(limits, len(each)) for each in found]
    return _parts([label for label, _ in _LENGTHS], numbers)


def _by_rarity(sources: Sequence[Sequence[str]], training: TrainingText) -> list[Part]:
    shares = [rare_share(words, training) for words in sources]
    # A share of 0 has a bucket of its own; others belong where they are below the limit.
    limits = [limit / 100 for _, limit in _SHARES[1:] if limit is not None]
    numbers = [bisect_right(limits, share) + 1 if share else 0 for share in shares]
    return _parts([label for label, _ in _SHARES], numbers)


def rare_share(words: Sequence[str], training: TrainingText) -> float:
    """The share of words seen fewer than RARE times in training; 0 where there is none."""
    n_rare = sum(training.counts[word] < RARE for word in words)
    return n_rare / len(words) if words else 0.0


def _parts(labels: Sequence[str], numbers: Sequence[int]) -> list[Part]:
    """Those of `labels` that are the number of some row, with their rows."""
    rows: list[list[int]] = [[] for _ in labels]
    for row, number in enumerate(numbers):
        rows[number].append(row)
    return [(label, each) for label, each in zip(labels, rows, strict=True) if each]


def _length_ratio(lines: Lines, rows: Sequence[int]) -> float | None:
    n_words = sum(len(lines.translation_words[row]) for row in rows)
    return ratio(n_words, sum(lines.reference_lengths[row] for row in rows))
