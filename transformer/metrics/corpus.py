"""BLEU, chrF and TER of a corpus."""

from collections.abc import Sequence
from dataclasses import dataclass

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from transformer.errors import require
from transformer.metrics.tokenizer import primary_language, tokenized_bleu


@dataclass(frozen=True)
class Score:
    """A metric's value, in percent, and the signature that says how to compute it again."""

    name: str
    value: float
    signature: str


def score_corpus(
    hypotheses: Sequence[str], references: Sequence[str], language: str
) -> list[Score]:
    """BLEU, chrF and TER of raw lines in `language`.

    InputError where the counts differ, there is no line, or a tokenizer is not installed.
    """
    # TER counts words; Chinese and Japanese have no spaces, so it counts their characters.
    no_spaces = primary_language(language) in ("zh", "ja")
    metrics = (
        tokenized_bleu(language),
        CHRF(),
        TER(normalized=no_spaces, asian_support=no_spaces),
    )
    return [_score(metric, hypotheses, references) for metric in metrics]


def bleu(hypotheses: Sequence[str], references: Sequence[str], language: str) -> Score:
    """The first score of `score_corpus` alone."""
    return _score(tokenized_bleu(language), hypotheses, references)


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> Score:
    """The second score of `score_corpus` alone."""
    return _score(CHRF(), hypotheses, references)


def _score(
    metric: BLEU | CHRF | TER, hypotheses: Sequence[str], references: Sequence[str]
) -> Score:
    n, m = len(hypotheses), len(references)
    require(n == m, f"there are {n} translations but {m} references; each line needs its own")
    require(n > 0, "there is no line to score: 0 translations and 0 references")
    result = metric.corpus_score(list(hypotheses), [list(references)])
    return Score(result.name, result.score, str(metric.get_signature()))
