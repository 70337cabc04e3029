"""What outputs lack of phrases of tokens."""

from collections import Counter
from collections.abc import Sequence

# What stands for a token outside all phrases: it goes on with the word before it, or does not.
JOINING, SEPARATE = -1, -2

# How often each phrase is found, and which have how many of their tokens at the end: 1 or more.
Progress = tuple[tuple[int, ...], tuple[tuple[int, int], ...]]


class Phrases:
    """What outputs lack of some phrases of tokens: an automaton that grows as it is used.

    A phrase that ends in a word is found when the next token does not go on with that word. One
    that is asked for several times must be found at as many places, which may not overlap;
    different phrases may. State 0 is that of the empty output.
    """

    def __init__(
        self, phrases: Sequence[Sequence[int]], joins: Sequence[bool], waits: Sequence[bool]
    ) -> None:
        """Take, of each token, whether it goes on with a word, and whether a word may go on."""
        asked = Counter(tuple(phrase) for phrase in phrases)
        self.phrases, self.times = list(asked), list(asked.values())
        self.tokens = sorted({token for phrase in self.phrases for token in phrase})
        self.borders = [_borders(phrase) for phrase in self.phrases]
        self.waits = [waits[phrase[-1]] for phrase in self.phrases]
        # What begins a phrase is taken to begin a word.
        self._begun: dict[int, list[int]] = {}
        for i, phrase in enumerate(self.phrases):
            self._begun.setdefault(phrase[0], []).append(i)
        self._joins = {token: joins[token] and token not in self._begun for token in self.tokens}
        self._joins |= {JOINING: True, SEPARATE: False}
        self._all_join = joins
        # Of each state, the number of tokens that complete what it lacks: the rest of the phrase
        # in progress, if any, then the others one behind the other. 0: nothing is lacking.
        self.lacking: list[int] = []
        self._progress: list[Progress] = []
        self._next: list[dict[int, int]] = []
        self._advancing: list[list[int] | None] = []
        self._states: dict[Progress, int] = {}
        self._number(((0,) * len(self.phrases), ()))

    def kind(self, token: int) -> int:
        """The token itself if a phrase holds it, else what stands for it."""
        if token in self._joins:
            return token
        return JOINING if self._all_join[token] else SEPARATE

    def after(self, state: int, kind: int) -> int:
        """The state after one more token of a `kind`."""
        if kind not in self._next[state]:
            self._next[state][kind] = self._number(self._follow(self._progress[state], kind))
        return self._next[state][kind]

    def advancing(self, state: int) -> list[int]:
        """The tokens after which less is lacking."""
        found = self._advancing[state]
        if found is None:
            lacking = self.lacking[state]
            found = [t for t in self.tokens if self.lacking[self.after(state, t)] < lacking]
            self._advancing[state] = found
        return found

    def _number(self, progress: Progress) -> int:
        if progress not in self._states:
            self._states[progress] = len(self.lacking)
            self.lacking.append(self._count_lacking(progress))
            self._progress.append(progress)
            self._next.append({})
            self._advancing.append(None)
        return self._states[progress]

    def _count_lacking(self, progress: Progress) -> int:
        """The best of ending here and of ending behind any phrase in progress."""
        best = self._count_unfound(progress)
        for i, n_matched in progress[1]:
            rest = self.phrases[i][n_matched:]
            then = progress
            for token in rest:
                then = self._follow(then, token)
            best = min(best, len(rest) + self._count_unfound(then))
        return best

    def _count_unfound(self, progress: Progress) -> int:
        """The tokens of all phrases that lack where the output ends here."""
        counts, matched = progress
        each = zip(self.phrases, self.times, counts, strict=True)
        n_unfound = sum((times - n_found) * len(phrase) for phrase, times, n_found in each)
        return n_unfound - sum(n for i, n in matched if n == len(self.phrases[i]))

    def _follow(self, progress: Progress, kind: int) -> Progress:
        """The progress after one more token."""
        counts, matched = progress
        lengths = dict.fromkeys(self._begun.get(kind, ()), 0) | dict(matched)
        after = []
        for i, n_before in lengths.items():
            n_found, n_matched = self._step(i, counts[i], n_before, kind)
            if n_found > counts[i]:
                counts = (*counts[:i], n_found, *counts[i + 1 :])
            if n_matched:
                after.append((i, n_matched))
        return counts, tuple(sorted(after))

    def _step(self, i: int, n_found: int, n_matched: int, kind: int) -> tuple[int, int]:
        """Of one phrase, as Knuth, Morris and Pratt (1977) search it."""
        phrase, borders = self.phrases[i], self.borders[i]
        if n_matched == len(phrase):
            if self._joins[kind]:
                n_matched = borders[-1]
            else:
                n_found, n_matched = n_found + 1, 0
        if n_found == self.times[i]:
            return n_found, 0
        while n_matched and phrase[n_matched] != kind:
            n_matched = borders[n_matched - 1]
        n_matched += phrase[n_matched] == kind
        if n_matched == len(phrase) and not self.waits[i]:
            return n_found + 1, 0
        return n_found, n_matched


def _borders(phrase: Sequence[int]) -> list[int]:
    """Of each beginning of `phrase`, the length of the longest shorter one that it ends in."""
    borders = [0]
    for token in phrase[1:]:
        length = borders[-1]
        while length and phrase[length] != token:
            length = borders[length - 1]
        borders.append(length + (phrase[length] == token))
    return borders
