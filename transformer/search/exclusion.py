"""Texts that must not occur in an output as whole words, however it is cut into pieces."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from transformer.errors import require
from transformer.search.protocol import SpecialIds, Task, Vocabulary
from transformer.search.spelling import Spelling, in_word, spelling

Rest = tuple[bytes, bool]  # what a phrase still lacks; whether its last character is in a word
BANNED: Rest = (b"", False)  # the phrase is there, whatever follows
PENDING: Rest = (b"", True)  # it is, unless its last word goes on


class Automaton:
    """What some phrases forbid after each state of an output, and where each piece leads.

    A state is what the phrases begun at the output's end still lack, and whether the end is in a
    word. In states 0, at first not in a word, and 1, in one, no phrase is begun.
    """

    def __init__(self, phrases: tuple[str, ...], spelled: Spelling) -> None:
        self.spelled = spelled
        self._begun: tuple[dict[int, set[Rest]], ...] = ({}, {})  # after no word, in a word
        for phrase in phrases:
            self._begin(phrase)
        self._continued: dict[Rest, list[tuple[int, Rest]]] = {}
        nothing: frozenset[Rest] = frozenset()
        self._states = {(False, nothing): 0, (True, nothing): 1}
        self._queue = [*self._states]
        self.moves: list[tuple[int, int, int]] = []  # state, piece, next one: all but to 0 and 1
        self.banned: list[list[int]] = []  # pieces, of each state
        self.completing: list[list[int]] = []  # those after which an output must not stop
        while len(self.banned) < len(self._queue):
            self._explore(*self._queue[len(self.banned)])
        self.pending = [PENDING in rests for _, rests in self._queue]

    def _begin(self, phrase: str) -> None:
        """Note what each piece holds of the phrase that no piece before it does."""
        spelled, text = self.spelled, phrase.encode()
        begins, ends = in_word(phrase[0]), in_word(phrase[-1])
        places, held = spelled.beginnings(text)
        pieces = spelled.owners[places]
        is_first = places == spelled.starts[pieces]
        is_inside = (held == len(text)) & (places + held < spelled.ends[pieces])
        after = np.append(spelled.in_word, np.False_)[places + held]
        split = (begins & ~is_first & spelled.in_word[places - 1]) | (ends & is_inside & after)
        for i in np.flatnonzero(~split):
            rest = BANNED if is_inside[i] else (text[held[i] :], ends)
            self._begun[0].setdefault(int(pieces[i]), set()).add(rest)
            if not (begins and is_first[i]):
                self._begun[1].setdefault(int(pieces[i]), set()).add(rest)

    def _explore(self, word: bool, rests: frozenset[Rest]) -> None:
        """Find what follows one more state."""
        effects = {piece: set(begun) for piece, begun in self._begun[word].items()}
        for rest in rests:
            for piece, left in self._continue(rest):
                effects.setdefault(piece, set()).add(left)
        number = len(self.banned)
        self.banned.append([piece for piece, effect in effects.items() if BANNED in effect])
        self.completing.append([piece for piece, effect in effects.items() if PENDING in effect])
        for piece, effect in effects.items():
            state = bool(self.spelled.ends_in_word[piece]), frozenset(effect - {BANNED})
            if state not in self._states:
                self._states[state] = len(self._queue)
                self._queue.append(state)
            self.moves.append((number, piece, self._states[state]))

    def _continue(self, rest: Rest) -> list[tuple[int, Rest]]:
        """The pieces that continue a phrase, and what it lacks then."""
        if rest not in self._continued:
            (text, ends), spelled = rest, self.spelled
            found = [
                (piece, (text[n:], ends))
                for n in range(1, len(text) + 1)
                for piece in spelled.written(text[:n])
            ]
            if text:
                longer = spelled.longer(text)
                goes_on = spelled.in_word[spelled.starts[longer] + len(text)]
                found += [(piece, BANNED) for piece in longer[~(goes_on & ends)].tolist()]
            self._continued[rest] = found
        return self._continued[rest]


@lru_cache(maxsize=64)
def automaton(phrases: tuple[str, ...], spelled: Spelling) -> Automaton:
    """The automaton of some phrases, made once."""
    return Automaton(phrases, spelled)


class Lists:
    """Pieces of each state that are banned at some time."""

    def __init__(self, lists: Sequence[Sequence[int]], device: torch.device) -> None:
        lengths = [len(each) for each in lists]
        self.lengths = torch.tensor(lengths, device=device)
        self.starts = self.lengths.cumsum(0) - self.lengths
        self.pieces = torch.tensor([i for each in lists for i in each], device=device).long()

    def ban(self, logits: Tensor, states: Tensor) -> None:
        """Set to -inf, in `logits` [B, K, V], the pieces of `states` [B, K]."""
        lengths = self.lengths[states].flatten()
        places = torch.arange(len(lengths), device=states.device).repeat_interleave(lengths)
        if len(places) == 0:
            return
        firsts = self.starts[states].flatten() - (lengths.cumsum(0) - lengths)
        pieces = self.pieces[torch.arange(len(places), device=states.device) + firsts[places]]
        K = states.size(1)
        logits[places // K, places % K, pieces] = -torch.inf


class Excluded:
    """No output holds a phrase of its task's `exclude` as whole words, in this upper or lower case.

    Words end at a character that is no letter, mark or digit, and anywhere in scripts without
    spaces. A character that is spelled by several byte pieces is found in phrases; as their
    neighbour it counts as the end of a word. The unknown token breaks a match and ends a word.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        special: SpecialIds,
        vocabulary: Vocabulary,
        device: torch.device,
    ) -> None:
        spelled = spelling(tuple(vocabulary.pieces), special)
        self.vocab_size = len(vocabulary.pieces)
        sets = [_phrases(task.exclude) for task in tasks]
        automata = {phrases: automaton(phrases, spelled) for phrases in sets}
        firsts = dict(zip(automata, _firsts(automata.values()), strict=True))
        self._stack(automata.values(), device)
        self.roots = torch.tensor([firsts[phrases] for phrases in sets], device=device).long()
        self.states = self.roots.unsqueeze(1)  # [B, K]
        self.longest = torch.tensor([task.longest for task in tasks], device=device).long()
        self.closes = torch.tensor(~spelled.begins_in_word, device=device)  # [V]
        self.ends_in_word = torch.tensor(spelled.ends_in_word, device=device).long()  # [V]

    def restrict(self, logits: Tensor, tokens: Tensor) -> None:
        """Set to -inf, in `logits` [B, K, V], what may not follow `tokens` [B, K, T]."""
        self.banned.ban(logits, self.states)
        sentences, places = self.pending[self.states].nonzero(as_tuple=True)
        if len(sentences) > 0:
            rows = logits[sentences, places]
            logits[sentences, places] = rows.masked_fill(self.closes, -torch.inf)
        is_last = self.longest <= tokens.size(2)
        if is_last.any():
            nothing = len(self.pending)
            self.completing.ban(logits, self.states.masked_fill(~is_last.unsqueeze(1), nothing))

    def follow(self, parents: Tensor, tokens: Tensor) -> None:
        """The outputs are those of the places `parents` [B, K'], each with one of `tokens` more."""
        keys = self.states.gather(1, parents) * self.vocab_size + tokens
        moves = torch.searchsorted(self.keys, keys)
        by_default = self.roots.unsqueeze(1) + self.ends_in_word[tokens]
        self.states = torch.where(self.keys[moves] == keys, self.targets[moves], by_default)

    def keep(self, sentences: Tensor) -> None:
        """Forget all but the int64 `sentences`, which stay in order."""
        self.states, self.roots = self.states[sentences], self.roots[sentences]
        self.longest = self.longest[sentences]

    def _stack(self, automata: Iterable[Automaton], device: torch.device) -> None:
        """Put the states of all `automata` into one table, one after the other."""
        moves = [np.zeros((0, 3), np.int64)]
        banned: list[list[int]] = []
        completing: list[list[int]] = []
        pending: list[bool] = []
        for each in automata:
            first = len(pending)
            shift = np.array([first, 0, first])
            moves.append(np.array(each.moves, np.int64).reshape(-1, 3) + shift)
            banned += each.banned
            completing += each.completing
            pending += each.pending
        table = np.concatenate(moves)
        keys = table[:, 0] * self.vocab_size + table[:, 1]
        order = np.argsort(keys)
        beyond = np.iinfo(np.int64).max
        self.keys = torch.tensor(np.append(keys[order], beyond), device=device)
        self.targets = torch.tensor(np.append(table[order, 2], 0), device=device)
        self.banned = Lists(banned, device)
        self.completing = Lists([*completing, []], device)
        self.pending = torch.tensor(pending, device=device)


def _firsts(automata: Iterable[Automaton]) -> list[int]:
    """Where the states of each begin, one after the other."""
    sizes = [len(each.pending) for each in automata]
    return [sum(sizes[:i]) for i in range(len(sizes))]


def _phrases(texts: Sequence[str]) -> tuple[str, ...]:
    """Each once, with single spaces."""
    phrases = {" ".join(text.split()) for text in texts}
    require("" not in phrases, "a phrase to exclude is empty; give at least one character")
    return tuple(sorted(phrases))
