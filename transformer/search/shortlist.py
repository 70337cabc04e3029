"""A search among the candidates of each sentence instead of the whole vocabulary."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from transformer.search.hypothesis import Hypothesis
from transformer.search.protocol import Model, State, Task, Vocabulary

N_SPECIAL = 4  # ids of PAD, UNK, BOS and EOS, which come before all others

S = TypeVar("S", bound=State)


class Shortlist(Protocol):
    """Knows what the translation of a sentence may use."""

    def candidates(self, source: Sequence[int]) -> NDArray[np.int32]:
        """Ids of target tokens, in any order; some may occur more than once."""
        ...


class Output(Protocol):
    """The output layer of a model, which has no bias."""

    @property
    def weight(self) -> Tensor:
        """[V, D]"""
        ...


class HiddenModel(Model[S], Protocol[S]):
    """A model whose logits are products of an output layer."""

    @property
    def output(self) -> Output:
        """What makes logits of what `hidden` gives."""
        ...

    def hidden(self, tokens: Tensor, state: S, /) -> Tensor:
        """What `step` makes its logits from, [B * K, T, D]; advances `state`."""
        ...


class AttendingHiddenModel(HiddenModel[S], Protocol[S]):
    """One that also shows what it looks at."""

    def attend(self, tokens: Tensor, state: S, /) -> tuple[Tensor, Tensor]:
        """As of `AttendingModel`."""
        ...


class Subvocabulary:
    """What any sentence of a batch may use, numbered anew: V' tokens in the order of their ids.

    The special tokens, which every sentence may use, keep their ids.
    """

    def __init__(self, candidates: Sequence[NDArray[np.int32]], vocab_size: int) -> None:
        """Take the candidates of each sentence: any of the `vocab_size` ids, in any order."""
        allowed = np.zeros((len(candidates), vocab_size), bool)
        allowed[:, :N_SPECIAL] = True
        for row, each in zip(allowed, candidates, strict=True):
            row[each] = True
        ids = np.flatnonzero(allowed.any(0))
        self.ids = torch.from_numpy(ids)  # [V'], in the whole vocabulary
        self.allowed = torch.from_numpy(allowed[:, ids])  # [B, V'], by each sentence
        self._numbers = np.full(vocab_size, -1)
        self._numbers[ids] = np.arange(len(ids))

    @classmethod
    def of(
        cls,
        shortlist: Shortlist,
        sources: Sequence[Sequence[int]],
        tasks: Sequence[Task],
        vocab_size: int,
    ) -> Self:
        """The candidates of each of `sources`, and what its task needs."""
        pairs = zip(sources, tasks, strict=True)
        candidates = [
            np.concatenate([shortlist.candidates(source), needed(task)]) for source, task in pairs
        ]
        return cls(candidates, vocab_size)

    def numbers(self, tokens: Sequence[int]) -> list[int]:
        """The numbers here of `tokens`; all of them must be candidates of some sentence."""
        numbers: list[int] = self._numbers[list(tokens)].tolist()
        assert all(number >= 0 for number in numbers)
        return numbers

    def task(self, task: Task) -> Task:
        """`task` in the numbers used here; what `needed` names must be candidates."""
        after = task.after_prefix
        return replace(
            task,
            prefix=self.numbers(task.prefix),
            after_prefix=None if after is None else after[self.ids.to(after.device)],
            include=[self.numbers(phrase) for phrase in task.include],
        )

    def vocabulary(self, vocabulary: Vocabulary) -> Vocabulary:
        """The texts of the tokens here."""
        return Vocabulary([vocabulary.pieces[id_] for id_ in self.ids.tolist()])

    def hypothesis(self, hypothesis: Hypothesis) -> Hypothesis:
        """`hypothesis`, found here, in the ids of the whole vocabulary."""
        numbers = torch.tensor(hypothesis.tokens, dtype=torch.int64)
        return replace(hypothesis, tokens=self.ids[numbers].tolist())


@dataclass
class ShortlistedState(Generic[S]):
    """The state of a model, and what each of its sentences may not use."""

    state: S
    blocked: Tensor  # [B, V']
    width: int = 1  # K

    def select(self, rows: Tensor, /) -> "ShortlistedState[S]":
        """As of every `State`."""
        sentences = rows[:, 0] // self.width
        blocked = self.blocked.index_select(0, sentences.to(self.blocked.device))
        return ShortlistedState(self.state.select(rows), blocked, rows.shape[1])


class Shortlisted(Generic[S]):
    """A model that gives each sentence its own candidates alone, in the numbers of `subvocabulary`.

    What others of the batch may use has a logit of -inf, so that probabilities are among the own
    candidates and no sentence depends on its neighbours. The members of an ensemble are wrapped
    one by one, with the same subvocabulary. The batch that `start` takes must be that of the
    candidates.
    """

    def __init__(self, model: HiddenModel[S], subvocabulary: Subvocabulary) -> None:
        self.model = model
        self.subvocabulary = subvocabulary
        weight = model.output.weight.detach()
        self._ids = subvocabulary.ids.to(weight.device)
        self._weight = weight.index_select(0, self._ids)  # [V', D]
        self._blocked = ~subvocabulary.allowed.to(weight.device)

    def start(self, source: Tensor, /) -> ShortlistedState[S]:
        """The state before the first token of `source` [B, S]."""
        assert len(source) == len(self._blocked)
        return ShortlistedState(self.model.start(source), self._blocked)

    def step(self, tokens: Tensor, state: ShortlistedState[S], /) -> Tensor:
        """Logits [B * K, T, V'] of what follows each of `tokens` [B * K, T]; advances `state`."""
        hidden = self.model.hidden(self._ids[tokens], state.state)
        return _block(F.linear(hidden, self._weight), state.blocked)


class AttendingShortlisted(Shortlisted[S]):
    """One of a model that shows what it looks at."""

    def __init__(self, model: AttendingHiddenModel[S], subvocabulary: Subvocabulary) -> None:
        super().__init__(model, subvocabulary)
        self._attend = model.attend

    def attend(self, tokens: Tensor, state: ShortlistedState[S], /) -> tuple[Tensor, Tensor]:
        """What `step` gives, and the model's attention [B * K, T, S]; computes all V logits."""
        logits, attention = self._attend(self._ids[tokens], state.state)
        return _block(logits.index_select(2, self._ids), state.blocked), attention


def _block(logits: Tensor, blocked: Tensor) -> Tensor:
    """`logits` [B * K, T, V'], set to -inf in place where their sentences are `blocked` [B, V']."""
    B, V = blocked.shape
    logits.view(B, -1, V).masked_fill_(blocked.unsqueeze(1), -math.inf)
    return logits


def needed(task: Task) -> NDArray[np.int32]:
    """What must be candidates for `task`: of its prefix, what may follow that, its phrases."""
    tokens = [*task.prefix, *(token for phrase in task.include for token in phrase)]
    if task.after_prefix is not None:
        tokens += task.after_prefix.nonzero().flatten().tolist()
    return np.array(tokens, np.int32)
