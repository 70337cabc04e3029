"""Scores of translations against references, as sacreBLEU computes them."""

from transformer.metrics.corpus import Score, bleu, chrf, score_corpus
from transformer.metrics.pairwise import pairwise
from transformer.metrics.tokenizer import require_tokenizer, tokenizer_of

__all__ = [
    "Score",
    "bleu",
    "chrf",
    "pairwise",
    "require_tokenizer",
    "score_corpus",
    "tokenizer_of",
]
