"""What may follow a hypothesis."""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from transformer.search.protocol import Task

NOTHING = -1  # where no token is prescribed
NOTHING_LEFT = (
    "no output within the length limit keeps to all that is asked of it: prefix, phrases and "
    "settings of the search"
)


class Rule(Protocol):
    """Something that the outputs of B sentences must keep to, while K of each grow."""

    def restrict(self, logits: Tensor, tokens: Tensor) -> None:
        """Set to -inf, in `logits` [B, K, V], what may not follow `tokens` [B, K, T].

        The tokens begin with BOS. They are those that the last call of `follow` made.
        """
        ...

    def follow(self, parents: Tensor, tokens: Tensor) -> None:
        """The outputs are those of the places `parents` [B, K'], each with one of `tokens` more."""
        ...

    def keep(self, sentences: Tensor) -> None:
        """Forget all but the int64 `sentences`, which stay in order."""
        ...


class Rules:
    """Several rules, and what each sentence must begin with, which goes before them all.

    Of what may follow a prefix, the rules choose; where they leave none, any may, but not EOS.
    """

    def __init__(
        self, rules: Sequence[Rule], tasks: Sequence[Task], eos_id: int, device: torch.device
    ) -> None:
        self.rules = rules
        self.eos_id = eos_id
        longest = max((len(task.prefix) for task in tasks), default=0)
        prefixes = [[*task.prefix] + [NOTHING] * (longest - len(task.prefix)) for task in tasks]
        self.prefixes = torch.tensor(prefixes, device=device).view(len(tasks), longest)
        self.after = [task.after_prefix for task in tasks]
        self.ends = [len(task.prefix) for task in tasks]

    def restrict(self, logits: Tensor, tokens: Tensor) -> None:
        """Set to -inf, in `logits` [B, K, V], what may not follow `tokens` [B, K, T]."""
        length = tokens.size(2) - 1
        forced, values = None, None
        if length < self.prefixes.size(1):
            forced = self.prefixes[:, length].clamp(min=0)[:, None, None]
            forced = forced.expand(-1, logits.size(1), -1)  # [B, K, 1]
            values = logits.gather(2, forced)
        begun = {
            sentence: logits[sentence].masked_fill(~mask.to(logits.device), -math.inf)
            for sentence, (end, mask) in enumerate(zip(self.ends, self.after, strict=True))
            if end == length and mask is not None
        }
        for rule in self.rules:
            rule.restrict(logits, tokens)
        for sentence, free in begun.items():
            own = logits[sentence].masked_fill_(free == -math.inf, -math.inf)
            free[:, self.eos_id] = -math.inf
            none_left = own.amax(1, keepdim=True) == -math.inf
            own.copy_(free.where(none_left, own))
        if forced is not None and values is not None:
            is_forced = (self.prefixes[:, length] != NOTHING)[:, None, None]
            logits.masked_fill_(is_forced, -math.inf)
            logits.scatter_(2, forced, torch.where(is_forced, values, logits.gather(2, forced)))

    def follow(self, parents: Tensor, tokens: Tensor) -> None:
        """The outputs are those of the places `parents` [B, K'], each with one of `tokens` more."""
        for rule in self.rules:
            rule.follow(parents, tokens)

    def keep(self, sentences: Tensor) -> None:
        """Forget all but the int64 `sentences`, which stay in order."""
        for rule in self.rules:
            rule.keep(sentences)
        self.prefixes = self.prefixes[sentences]
        kept = sentences.tolist()
        self.after, self.ends = [self.after[i] for i in kept], [self.ends[i] for i in kept]


class Unwritten:
    """Some tokens are never written."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = ids

    def restrict(self, logits: Tensor, tokens: Tensor) -> None:  # noqa: ARG002  # of all rules
        """Set to -inf, in `logits` [B, K, V], what may not follow `tokens` [B, K, T]."""
        for id_ in self.ids:
            logits[:, :, id_] = -math.inf

    def follow(self, parents: Tensor, tokens: Tensor) -> None:
        """Nothing: the rule is the same for all."""

    def keep(self, sentences: Tensor) -> None:
        """Nothing: the rule is the same for all."""


class Shortest:
    """EOS comes no sooner than at each sentence's least length."""

    def __init__(self, tasks: Sequence[Task], eos_id: int, device: torch.device) -> None:
        self.shortest = torch.tensor([task.shortest for task in tasks], device=device)
        self.most = max((task.shortest for task in tasks), default=0)
        self.eos_id = eos_id

    def restrict(self, logits: Tensor, tokens: Tensor) -> None:
        """Set to -inf, in `logits` [B, K, V], what may not follow `tokens` [B, K, T]."""
        if tokens.size(2) < self.most:
            short = self.shortest > tokens.size(2)
            logits[:, :, self.eos_id].masked_fill_(short.unsqueeze(1), -math.inf)

    def follow(self, parents: Tensor, tokens: Tensor) -> None:
        """Nothing: all outputs have one length."""

    def keep(self, sentences: Tensor) -> None:
        """Forget all but the int64 `sentences`, which stay in order."""
        self.shortest = self.shortest[sentences]


class Unrepeated:
    """No sequence of `n` tokens occurs twice (Paulus et al., 2018).

    Only one that ends in a token of a phrase that must occur may: after a part of the phrase by
    itself, the phrase could not be written any more.
    """

    def __init__(self, n: int, tasks: Sequence[Task], device: torch.device) -> None:
        self.n = n
        free = [{token for phrase in task.include for token in phrase} for task in tasks]
        most = max(map(len, free), default=0)
        rows = [[*tokens] + [NOTHING] * (most - len(tokens)) for tokens in free]
        self.free = torch.tensor(rows, device=device).view(len(tasks), most)

    def restrict(self, logits: Tensor, tokens: Tensor) -> None:
        """Set to -inf, in `logits` [B, K, V], what may not follow `tokens` [B, K, T]."""
        written = tokens[:, :, 1:]
        if written.size(2) < self.n:
            return
        windows = written.unfold(2, self.n, 1)  # [B, K, W, n]
        last = written[:, :, written.size(2) - self.n + 1 :]
        again = (windows[..., :-1] == last.unsqueeze(2)).all(3)  # [B, K, W]
        repeated = windows[..., -1]
        again &= ~(repeated.unsqueeze(3) == self.free[:, None, None]).any(3)
        values = logits.gather(2, repeated).masked_fill(again, -math.inf)
        logits.scatter_reduce_(2, repeated, values, "amin")

    def follow(self, parents: Tensor, tokens: Tensor) -> None:
        """Nothing: the tokens say it all."""

    def keep(self, sentences: Tensor) -> None:
        """Forget all but the int64 `sentences`, which stay in order."""
        self.free = self.free[sentences]
