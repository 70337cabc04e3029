"""Byte-pair encoding that goes on where a vocabulary ends."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from heapq import heapify, heappop, heappush
from itertools import pairwise
from math import inf

SPACE = "\u2581"  # SentencePiece's mark of a space
LONGEST = 16  # characters of a piece, as in SentencePiece
RAREST = 2  # occurrences of a merge when it is learnt
UNUSED = 0.05  # share of further pieces that may occur only within others


class FurtherMerges:
    """Learns merges (Sennrich et al., 2016, algorithm 1) in words that older ones have cut.

    Unlike merges learnt from characters, each finds its parts where the older ones come first.
    One that would leave another no occurrence of its own waits while the share of such pieces
    would be above UNUSED, as long as there is one that need not.
    """

    def __init__(
        self,
        words: Mapping[tuple[str, ...], int],
        scores: Mapping[str, float],
        characters: Sequence[str],
    ) -> None:
        """Take the counts of words, the `scores` of older pieces, and further characters."""
        self._words = [list(word) for word in words]
        self._n_words = list(words.values())
        self._ranks = {piece: -score for piece, score in scores.items()}
        self._last = max(self._ranks.values(), default=0.0)
        self._further = dict.fromkeys(characters)
        self._n_unused = 0
        self._share_unused = UNUSED
        self._waiting: list[str] = []
        self._heap: list[tuple[int, int, str]] = []
        self._n_pieces: Counter[str] = Counter()
        self._n_pairs: Counter[tuple[str, str]] = Counter()
        self._splits: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)  # of a candidate
        self._places: defaultdict[str, set[int]] = defaultdict(set)  # words that may hold it
        for i in range(len(self._words)):
            self._count(i, 1)

    def learn(self, n: int) -> list[str]:
        """The characters and then the merges, in their order; `n` together, or fewer."""
        self._heap = [self._entry(piece) for piece in self._splits]
        heapify(self._heap)
        while len(self._further) < n and (piece := self._best()) is not None:
            changed = self._add(piece)
            if len(self._further) % round(1 / UNUSED) == 0:
                changed.update(self._waiting)
                self._waiting.clear()
            for candidate in changed:
                heappush(self._heap, self._entry(candidate))
        return list(self._further)

    def _best(self) -> str | None:
        """The commonest candidate that need not wait; where all must, none does from here on."""
        while self._heap or self._waiting:
            if not self._heap:
                self._share_unused = 1.0
                self._heap = sorted(self._entry(piece) for piece in self._waiting)
                self._waiting.clear()
            entry = heappop(self._heap)
            count, _, piece = entry
            if -count < RAREST or entry != self._entry(piece) or piece in self._ranks:
                continue
            n_unused = self._n_unused + self._n_absorbed(piece)
            if n_unused <= self._share_unused * (len(self._further) + 1):
                return piece
            self._waiting.append(piece)
        return None

    def _entry(self, piece: str) -> tuple[int, int, str]:
        """A candidate's place in the heap: the commonest first, then the shortest."""
        return -sum(self._n_pairs[pair] for pair in self._splits[piece]), len(piece), piece

    def _n_absorbed(self, piece: str) -> int:
        """How many further pieces would occur only within `piece`."""
        absorbed: Counter[str] = Counter()
        for pair in self._splits[piece]:
            for part in pair:
                absorbed[part] += self._n_pairs[pair]
        return sum(
            part in self._further and self._n_pieces[part] <= n for part, n in absorbed.items() if n
        )

    def _add(self, piece: str) -> set[str]:
        """Make `piece` the last merge; the candidates whose counts that changes."""
        self._further[piece] = None
        self._ranks[piece] = self._last + len(self._further)
        changed: set[str] = set()
        for i in sorted(self._places.pop(piece)):
            changed.update(self._count(i, -1))
            self._merge(self._words[i])
            changed.update(self._count(i, 1))
        self._n_unused = sum(not self._n_pieces[further] for further in self._further)
        return changed

    def _count(self, i: int, sign: int) -> set[str]:
        """Add the pieces and pairs of a word, or take them away; the candidates among its pairs."""
        word, n = self._words[i], sign * self._n_words[i]
        for piece in word:
            self._n_pieces[piece] += n
        candidates = set()
        for left, right in pairwise(word):
            if len(left) + len(right) <= LONGEST and _alike(left[-1], right[0]):
                piece = left + right
                self._n_pairs[left, right] += n
                self._splits[piece].add((left, right))
                self._places[piece].add(i)
                candidates.add(piece)
        return candidates

    def _merge(self, word: list[str]) -> None:
        """Join what the merges join, each time the first of them and its leftmost place."""
        while True:
            ranks = [self._ranks.get(left + right, inf) for left, right in pairwise(word)]
            first = min(ranks, default=inf)
            if first == inf:
                return
            i = ranks.index(first)
            word[i : i + 2] = [word[i] + word[i + 1]]


@cache
def _alike(left: str, right: str) -> bool:
    """Whether a piece may hold both characters, one after the other: they are of one script."""
    if right == SPACE:
        return False
    scripts = _script(left), _script(right)
    return None in scripts or scripts[0] == scripts[1]


def _script(character: str) -> str | None:
    """The first word of a letter's Unicode name; one script of all numbers, one of all signs.

    None of what goes with any: marks upon letters, and the mark of a space. As in SentencePiece,
    Chinese and Japanese are one script.
    """
    category = unicodedata.category(character)[0]
    if character == SPACE or category == "M":
        return None
    if category != "L":
        return category if category == "N" else "sign"
    name = unicodedata.name(character, "").replace("-", " ").partition(" ")[0]
    return "CJK" if name in ("HIRAGANA", "KATAKANA") else name
