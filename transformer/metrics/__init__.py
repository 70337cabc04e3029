"""Scores of translations against references, as sacreBLEU computes them."""

from transformer.metrics.corpus import Score, bleu, chrf, require_metrics, score_corpus
from transformer.metrics.pairwise import pairwise
from transformer.metrics.sentences import score_sentences
from transformer.metrics.significance import Paired, compare
from transformer.metrics.tokenizer import primary_language, require_tokenizer, tokenizer_of

__all__ = [
    "Paired",
    "Score",
    "bleu",
    "chrf",
    "compare",
    "pairwise",
    "primary_language",
    "require_metrics",
    "require_tokenizer",
    "score_corpus",
    "score_sentences",
    "tokenizer_of",
]
