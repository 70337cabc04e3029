"""Word alignments read from attention."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from transformer.text.alignment import WORD, processor_of

Link = tuple[int, int]  # a source and a target word's number, counted from 0


def written_word_starts(model: bytes, outputs: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """For each list of ids, the place of the first of each word of its text, and behind them all.

    Words are those of the text that the SentencePiece `model` makes of the ids, in whatever pieces
    they were written. Which piece belongs to which is as in `text.alignment.word_starts`; a word
    within a piece that began with another word has none.
    """
    rows = [list(ids) for ids in outputs]
    if not rows:
        return
    for found in processor_of(model).decode(rows, return_type="offset_mapping"):
        begins = [begin for begin, _ in found["offsets"]]  # in characters of the text
        ends = (word.end() for word in WORD.finditer(found["text"]))
        yield [0, *(bisect_left(begins, end) for end in ends)]


def word_links(
    attention: Tensor, source_starts: Sequence[int], target_starts: Sequence[int]
) -> list[Link]:
    """Each target word with the source word at which it looks most, in order of the target.

    A word's `attention` [T, S] to a source word is the sum over the pieces of both (Garg et al.,
    2019, who link each piece); of equal ones, the first word counts. Rows and columns behind the
    last words, such as those of EOS, do not count; a word without pieces has no link.
    """
    sources = _members(source_starts)  # [S', source words]
    targets = _members(target_starts)  # [T', target words]
    if not len(sources) or not len(targets):
        return []
    within = attention[: len(targets), : len(sources)].to("cpu", torch.float64)
    looks = targets.T @ within @ sources  # [target words, source words]
    looks[:, sources.sum(0) == 0] = -1
    best = looks.argmax(1).tolist()
    written = (targets.sum(0) > 0).tolist()
    return [(i, j) for j, i in enumerate(best) if written[j]]


def _members(starts: Sequence[int]) -> Tensor:
    """1 where a piece is of a word, [pieces, words]."""
    counts = torch.tensor([end - start for start, end in pairwise(starts)], dtype=torch.int64)
    word_of = torch.arange(len(counts)).repeat_interleave(counts)
    members = torch.zeros(len(word_of), len(counts), dtype=torch.float64)
    members[torch.arange(len(word_of)), word_of] = 1
    return members


def format_alignment(links: Iterable[Link]) -> str:
    """The `links` as in `0-0 1-2`, Pharaoh's format."""
    return " ".join(f"{i}-{j}" for i, j in links)
