"""Sentence-level chrF and BLEU of many texts against each other."""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from transformer.config import Utility
from transformer.metrics.tokenizer import tokenized_bleu

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


def pairwise(utility: Utility, texts: Sequence[str], language: str) -> Floats:
    """SacreBLEU's sentence score, 0 to 100, of each text against each, [n, n].

    Rows are hypotheses, columns references; BLEU has its exponential smoothing, its effective
    order and the tokenizer of `language`. InputError where that is not installed.
    """
    if not texts:
        return np.zeros((0, 0))
    match utility:
        case Utility.chrf:
            return _chrf(texts)
        case Utility.bleu:
            return _bleu(texts, language)


def _chrf(texts: Sequence[str]) -> Floats:
    """Popović, 2015, over the orders of which both texts have n-grams."""
    metric, n = CHRF(), len(texts)
    characters = ["".join(text.split()).encode("utf-32-le", "surrogatepass") for text in texts]
    sequences = [np.frombuffer(text, dtype=np.uint32).astype(np.int64) for text in characters]
    precision, recall, n_orders = np.zeros((3, n, n))
    for totals, matches in _matches(sequences, metric.char_order):
        both = np.outer(totals, totals) > 0
        n_orders += both
        precision += np.divide(matches, totals[:, None], where=both, out=np.zeros((n, n)))
        recall += np.divide(matches, totals[None, :], where=both, out=np.zeros((n, n)))
    factor = metric.beta**2
    # Means over the orders: their number cancels but for one factor.
    below = (factor * precision + recall) * n_orders
    scores = 100 * (1 + factor) * precision * recall
    return np.divide(scores, below, where=below > 0, out=np.zeros((n, n)))


def _bleu(texts: Sequence[str], language: str) -> Floats:
    """Papineni et al., 2002; smoothed by method 3 of Chen and Cherry, 2014."""
    metric, n = _tokenized_bleu(language), len(texts)
    words: dict[str, int] = {}
    sequences = [
        np.array([words.setdefault(word, len(words)) for word in line.split()], dtype=np.int64)
        for line in (metric.tokenizer(text.rstrip()) for text in texts)
    ]
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.float64)
    logarithms, halved, any_match = np.zeros((n, n)), np.ones((n, n)), np.zeros((n, n), dtype=bool)
    for totals, matches in _matches(sequences, metric.max_ngram_order):
        missing = matches == 0
        halved = np.where(missing, halved / 2, halved)
        any_match |= ~missing
        correct = np.where(missing, halved, matches)
        there = np.broadcast_to(totals[:, None] > 0, (n, n))
        shares = np.divide(correct, totals[:, None], where=there, out=np.ones((n, n)))
        logarithms += np.log(shares)
    orders = np.minimum(lengths, metric.max_ngram_order).clip(min=1)[:, None]
    brevity = np.minimum(0, 1 - lengths[None, :] / lengths.clip(min=1)[:, None])
    return np.where(any_match, 100 * np.exp(brevity + logarithms / orders), 0.0)


@cache
def _tokenized_bleu(language: str) -> BLEU:
    return tokenized_bleu(language)


def _matches(sequences: Sequence[Ids], max_order: int) -> Iterator[tuple[Floats, Floats]]:
    """For n-grams of each order: how many each sequence has [n], and each two share [n, n].

    What two share is the sum over n-grams of the lesser count. So the n-th occurrence of an n-gram
    in a sequence is a feature of its own, which a sequence has or has not, and the sums are
    products of these vectors.
    """
    n = len(sequences)
    lengths = np.array([len(sequence) for sequence in sequences])
    tokens = np.unique(np.concatenate(sequences), return_inverse=True)[1].astype(np.int64)
    owners = np.repeat(np.arange(n), lengths)
    ends = np.cumsum(lengths)[owners]
    grams, starts = tokens, np.arange(len(tokens))
    for order in range(1, max_order + 1):
        if order > 1:
            inside = starts + order <= ends[starts]
            grams, starts = grams[inside], starts[inside]
            pairs = grams * len(tokens) + tokens[starts + order - 1]
            grams = np.unique(pairs, return_inverse=True)[1].astype(np.int64)
        totals = np.maximum(lengths - order + 1, 0).astype(np.float64)
        features = _features(grams, owners[starts], n)
        matches = (features @ features.T).astype(np.float64)
        np.fill_diagonal(matches, totals)
        yield totals, matches


def _features(grams: Ids, owners: Ids, n: int) -> NDArray[np.float32]:
    """Which of `n` sequences have an n-gram for the m-th time [n, F], without what but one has.

    `grams` are the n-grams, by ids that count from 0, `owners` the sequences that they are in.
    """
    keys = np.sort(grams * n + owners)
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    times = np.arange(len(keys)) - np.repeat(first, np.diff(first, append=len(keys)))
    grams, owners = keys // n, keys % n
    # Each n-gram has as many columns as it has occurrences in one sequence.
    widths = np.zeros(len(keys), dtype=np.int64)
    np.maximum.at(widths, grams, times + 1)
    columns = np.cumsum(widths)[grams] - widths[grams] + times
    shared = np.bincount(columns, minlength=len(keys)) > 1
    taken = shared[columns]
    features = np.zeros((n, int(shared.sum())), dtype=np.float32)
    features[owners[taken], np.cumsum(shared)[columns[taken]] - 1] = 1
    return features
