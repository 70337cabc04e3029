"""Phrases that must occur in an output, by dynamic beam allocation (Post and Vilar, 2018)."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from transformer.errors import require
from transformer.search.phrases import JOINING, SEPARATE, Phrases
from transformer.search.protocol import SpecialIds, Task, Vocabulary
from transformer.search.selection import Best, Candidates, Chosen, top
from transformer.search.spelling import Spelling, spelling


@dataclass
class Sentence:
    """What is asked of one sentence, and where its K outputs are."""

    phrases: Phrases
    longest: int
    states: list[int]

    def after(self, place: int, token: int) -> int:
        """The state of an output with one more token."""
        return self.phrases.after(self.states[place], self.phrases.kind(token))

    def lacking_after(self, pairs: Sequence[tuple[int, int]]) -> list[int]:
        """How many tokens the outputs in some places will lack with one more each."""
        return [self.phrases.lacking[self.after(*pair)] for pair in pairs]


class Constrained:
    """All phrases of a task's `include` occur, as whole words: a rule and a selection in one.

    What a sentence still lacks always fits into its length, and EOS comes when it lacks nothing.
    To the best continuations of all hypotheses are added the best of each, and all that advance
    a phrase; then the places of the beam are dealt out in turn to the banks, which hold what has
    equally many tokens of phrases, the fullest first, until none is left. (The paper gives each
    bank a fixed share first, and what one does not use to the next.) A sentence without phrases is
    searched as ever.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        special: SpecialIds,
        vocabulary: Vocabulary,
        device: torch.device,
    ) -> None:
        spelled = spelling(tuple(vocabulary.pieces), special)
        self.eos_id = special.eos
        joins = spelled.begins_in_word | spelled.partial
        self.joins = torch.tensor(joins, device=device)  # [V]
        self.sentences = _sentences(tasks, spelled)

    def restrict(self, logits: Tensor, tokens: Tensor) -> None:
        """Set to -inf, in `logits` [B, K, V], what may not follow `tokens` [B, K, T]."""
        early: list[tuple[int, int]] = []
        for i, sentence in self._asked():
            # After the next token, and with EOS behind it; an output cut there has no EOS.
            room = max(sentence.longest - tokens.size(2) - 1, 0)
            phrases = sentence.phrases
            for place, state in enumerate(sentence.states):
                if phrases.lacking[state] > 0:
                    early.append((i, place))
                if room < phrases.lacking[0]:
                    self._fit(logits[i, place], phrases, state, room)
        if early:
            sentences, places = torch.tensor(early, device=logits.device).unbind(1)
            logits[sentences, places, self.eos_id] = -math.inf

    def _fit(self, logits: Tensor, phrases: Phrases, state: int, room: int) -> None:
        """Set to -inf, in `logits` [V], what makes more lacking than `room` tokens."""
        fits = {
            kind: phrases.lacking[phrases.after(state, kind)] <= room
            for kind in (JOINING, SEPARATE, *phrases.tokens)
        }
        kept = [token for token in phrases.tokens if fits[token]]
        places = torch.tensor([*kept, self.eos_id], device=logits.device)
        values = logits[places]
        if not (fits[JOINING] or fits[SEPARATE]):
            logits.fill_(-math.inf)
        elif not (fits[JOINING] and fits[SEPARATE]):
            logits.masked_fill_(self.joins ^ fits[JOINING], -math.inf)
        logits[torch.tensor(phrases.tokens, device=logits.device)] = -math.inf
        logits[places] = values

    def choose(self, candidates: Candidates, n: int) -> Chosen:
        """The best `n` of the `candidates` of each sentence, bank by bank, or all if fewer."""
        chosen = Best().choose(candidates, n)
        asked = self._asked()
        if not asked:
            return chosen
        device = candidates.logits.device
        rows = torch.tensor([i for i, _ in asked], device=device)
        pools = self._pools(candidates, chosen, rows)
        size = max(map(len, pools)) + 1
        filled = [[*pool, *[(0, self.eos_id)] * (size - len(pool))] for pool in pools]
        parents, tokens = torch.tensor(filled, device=device).unbind(2)  # [N, M]
        scores = candidates.logits[rows.unsqueeze(1), parents, tokens]
        scores = scores + candidates.offsets[rows].gather(1, parents)
        lengths = torch.tensor([len(pool) for pool in pools], device=device).unsqueeze(1)
        scores.masked_fill_(torch.arange(size, device=device) >= lengths, -math.inf)
        width = chosen.tokens.size(1)
        picks = []
        for (_, sentence), pool, row in zip(asked, pools, scores.tolist(), strict=True):
            kept = _deal(row[: len(pool)], sentence.lacking_after(pool), width)
            picks.append(kept + [size - 1] * (width - len(kept)))
        places = torch.tensor(picks, device=device)
        chosen.log_probabilities[rows] = scores.gather(1, places)
        chosen.parents[rows] = parents.gather(1, places)
        chosen.tokens[rows] = tokens.gather(1, places)
        return chosen

    def follow(self, parents: Tensor, tokens: Tensor) -> None:
        """The outputs are those of the places `parents` [B, K'], each with one of `tokens` more."""
        asked = self._asked()
        if not asked:
            return
        rows = torch.tensor([i for i, _ in asked], device=parents.device)
        table = torch.stack((parents[rows], tokens[rows]), dim=2).tolist()
        for (_, sentence), pairs in zip(asked, table, strict=True):
            sentence.states = [sentence.after(*pair) for pair in pairs]

    def keep(self, sentences: Tensor) -> None:
        """Forget all but the int64 `sentences`, which stay in order."""
        self.sentences = [self.sentences[i] for i in sentences.tolist()]

    def _asked(self) -> list[tuple[int, Sentence]]:
        """The sentences with phrases, each with its number."""
        return [(i, each) for i, each in enumerate(self.sentences) if each is not None]

    def _pools(
        self, candidates: Candidates, chosen: Chosen, rows: Tensor
    ) -> list[list[tuple[int, int]]]:
        """What is chosen among for each sentence: places of hypotheses with a token more."""
        logits = candidates.logits
        if len(rows) < len(logits):
            logits = logits[rows]
        # Of two, `top` finds the best sooner than of one.
        best = top(logits.flatten(0, 1), 1)[1].view(len(rows), -1)
        plain = torch.stack((chosen.parents[rows], chosen.tokens[rows]), dim=2)
        pools = []
        for (_, each), pairs, row in zip(self._asked(), plain.tolist(), best.tolist(), strict=True):
            advancing = (
                (place, token)
                for place, state in enumerate(each.states)
                for token in each.phrases.advancing(state)
            )
            pools.append(sorted({*map(tuple, pairs), *enumerate(row), *advancing}))
        return pools


def _deal(scores: Sequence[float], lacking: Sequence[int], n: int) -> list[int]:
    """The places of the `n` that are kept, best first: one of each bank in turn, its best first."""
    there = (place for place, score in enumerate(scores) if score > -math.inf)
    by_score = sorted(there, key=lambda place: -scores[place])
    sizes: Counter[int] = Counter()
    turns = {}
    for place in by_score:
        turns[place] = sizes[lacking[place]], lacking[place]
        sizes[lacking[place]] += 1
    kept = set(sorted(by_score, key=turns.__getitem__)[:n])
    return [place for place in by_score if place in kept]


def _sentences(tasks: Sequence[Task], spelled: Spelling) -> list[Sentence | None]:
    """Of each task that includes anything, its state before the first token."""
    # A byte may be a part of a letter, so it is taken for one.
    joins = (spelled.begins_in_word | spelled.partial).tolist()
    waits = (spelled.ends_in_word | spelled.partial).tolist()
    known: dict[tuple[tuple[int, ...], ...], Phrases] = {}
    sentences: list[Sentence | None] = []
    for task in tasks:
        phrases = tuple(tuple(phrase) for phrase in task.include)
        require(() not in phrases, "a phrase to include is empty; give at least one character")
        if phrases and phrases not in known:
            known[phrases] = Phrases(phrases, joins, waits)
        sentences.append(Sentence(known[phrases], task.longest, [0]) if phrases else None)
    return sentences
