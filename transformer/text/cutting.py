"""Cuts of words into pieces, drawn at random: of a unigram model and of byte-pair encoding."""

import math
from bisect import bisect
from collections.abc import Iterator, Mapping
from heapq import heapify, heappop, heappush
from itertools import accumulate, chain
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

# That are remembered at first. Then those are forgotten that no word has needed since there were
# so many before.
WORDS, CUTS = 30_000, 100_000
LONGEST = 32  # characters of a word that is remembered
MANY_GAPS = 2  # merges left out of a cut that is remembered
NEVER = 2**53  # more merges than a text has
Draws = NDArray[np.float64]
Ids = tuple[int, ...]


class Scored(NamedTuple):
    """A piece of text."""

    id: int
    score: float


class Cutter(Protocol):
    """Draws a cut of a word, by numbers made of uniform ones.

    What is remembered of other words changes no cut.
    """

    def numbers(self, uniform: Draws) -> list[float]:
        """What the draws of `cut` are, for uniform numbers in [0, 1)."""

    def cut(self, word: str, draws: Iterator[float]) -> Ids | None:
        """The ids of pieces that spell `word`; None where there are none."""


class Choice(NamedTuple):
    """The pieces that may come at a place of a word."""

    sums: tuple[float, ...]  # of their probabilities up to each but the last
    ids: Ids
    ends: tuple[int, ...]


NO_CHOICE = Choice((), (), ())


class UnigramCutter:
    """Draws from all cuts, by their probabilities to the power of `alpha`.

    Kudo (2018), section 3.2: sums from the end of a word on say which piece comes first, how often.
    """

    def __init__(self, pieces: Mapping[str, Scored], alpha: float) -> None:
        self._weights = {text: (piece.id, alpha * piece.score) for text, piece in pieces.items()}
        self._longest: dict[str, int] = {}  # piece, by its first character
        for text in pieces:
            self._longest[text[0]] = max(len(text), self._longest.get(text[0], 0))
        self._known: dict[str, tuple[Choice, ...]] = {}
        self._earlier = self._known

    def numbers(self, uniform: Draws) -> list[float]:
        """The uniform numbers."""
        found: list[float] = uniform.tolist()
        return found

    def cut(self, word: str, draws: Iterator[float]) -> Ids | None:
        """The ids of pieces that spell `word`; None where there are none."""
        choices = self._known.get(word)
        if choices is None:
            choices = self._earlier.get(word) or self._choices(word)
            if len(word) <= LONGEST:
                if len(self._known) >= WORDS:
                    self._known, self._earlier = {}, self._known
                self._known[word] = choices
        if not choices:
            return None
        found, place = [], 0
        while place < len(word):
            sums, ids, ends = choices[place]
            chosen = bisect(sums, next(draws)) if sums else 0
            found.append(ids[chosen])
            place = ends[chosen]
        return tuple(found)

    def _choices(self, word: str) -> tuple[Choice, ...]:
        """The choice at each place of `word`; none where it has no cut."""
        n = len(word)
        choices = [NO_CHOICE] * n
        logs = [-math.inf] * n + [0.0]  # of the sum over all cuts of what follows a place
        for start in reversed(range(n)):
            found = []
            stop = min(n, start + self._longest.get(word[start], 0))
            for end in range(start + 1, stop + 1):
                piece = self._weights.get(word[start:end])
                if piece is not None and logs[end] != -math.inf:
                    found.append((piece[1] + logs[end], piece[0], end))
            if found:
                largest = max(found)[0]
                weights = [math.exp(log - largest) for log, _, _ in found]
                total = sum(weights)
                logs[start] = largest + math.log(total)
                _, ids, ends = zip(*found, strict=True)
                sums = accumulate([weight / total for weight in weights[:-1]])
                choices[start] = Choice(tuple(sums), ids, ends)
        return () if n and logs[0] == -math.inf else tuple(choices)


class MergeCutter:
    """Byte-pair encoding that leaves out each merge with the probability `alpha`.

    As in Provilkov et al. (2020), section 3, but that a merge of two pieces that was left out
    comes back only where one of them has grown, as SentencePiece does it.
    """

    def __init__(self, pieces: Mapping[str, Scored], alpha: float) -> None:
        self._ids = {text: piece.id for text, piece in pieces.items()}
        self._ranks = {text: -piece.score for text, piece in pieces.items()}
        self._alpha = alpha
        # Of a word, and the numbers of merges made before each that is left out.
        self._known: dict[tuple[str | float, ...], tuple[Ids | None, int]] = {}
        self._earlier = self._known

    def numbers(self, uniform: Draws) -> list[float]:
        """How many merges are made before the next that is left out."""
        if self._alpha == 0:
            return [NEVER] * len(uniform)
        log_made = math.log1p(-self._alpha) if self._alpha < 1 else -math.inf
        gaps = np.floor(np.log1p(-uniform) / log_made)
        found: list[float] = np.minimum(gaps, NEVER).tolist()
        return found

    def cut(self, word: str, draws: Iterator[float]) -> Ids | None:
        """The ids of pieces that spell `word`; None where there are none."""
        key: tuple[str | float, ...] = (word,)
        while len(word) <= LONGEST and len(key) <= MANY_GAPS + 1:
            known = self._known.get(key)
            if known is None:
                known = self._earlier.get(key) or self._merged(word, iter((*key[1:], NEVER)))
                if len(self._known) >= CUTS:
                    self._known, self._earlier = {}, self._known
                self._known[key] = known
            gap = next(draws)
            if gap >= known[1]:
                return known[0]
            key = (*key, gap)
        return self._merged(word, chain(key[1:], draws))[0]

    def _merged(self, word: str, draws: Iterator[Any]) -> tuple[Ids | None, int]:
        """The ids, or None, and the number of merges made after the last that is left out."""
        parts = list(word)  # "" where a part has gone into the one before it
        n, ranks = len(parts), self._ranks
        before, after = list(range(-1, n - 1)), list(range(1, n + 1))
        agenda = [
            (ranks[pair], i, i + 1, 2) for i in range(n - 1) if (pair := word[i : i + 2]) in ranks
        ]
        heapify(agenda)
        gap, n_made = next(draws), 0
        while agenda:
            _, i, j, size = heappop(agenda)
            if not parts[i] or not parts[j] or len(parts[i]) + len(parts[j]) != size:
                continue
            if n_made == gap:
                gap, n_made = next(draws), 0
                continue
            n_made += 1
            parts[i], parts[j] = parts[i] + parts[j], ""
            after[i] = after[j]
            if after[i] < n:
                before[after[i]] = i
            for left, right in ((before[i], i), (i, after[i])):
                if left >= 0 and right < n:
                    rank = ranks.get(parts[left] + parts[right])
                    if rank is not None:
                        size = len(parts[left]) + len(parts[right])
                        heappush(agenda, (rank, left, right, size))
        ids = tuple([self._ids.get(part, -1) for part in parts if part])
        return (None if -1 in ids else ids), n_made
