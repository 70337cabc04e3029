"""Text to ids, with tags and with the sentences before."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from transformer.config import SEPARATOR, ContextConfig
from transformer.text.alignment import piece_links
from transformer.text.ragged import Lists
from transformer.text.tokenizer import Tokenizers

Ids = list[list[int]]


@dataclass(frozen=True)
class Encoded:
    """Rows as ids."""

    source: Lists
    target: Lists
    links: Lists | None
    # Pieces of each sentence itself, without tags and context.
    source_lengths: NDArray[np.int32]
    target_lengths: NDArray[np.int32]

    def chosen(self, rows: NDArray[np.bool_]) -> "Encoded":
        """The rows where `rows` is True."""
        return Encoded(
            self.source.chosen(rows),
            self.target.chosen(rows),
            None if self.links is None else self.links.chosen(rows),
            self.source_lengths[rows],
            self.target_lengths[rows],
        )


@dataclass
class Encoder:
    """What turns rows of text into ids."""

    tokenizers: Tokenizers
    context: ContextConfig
    max_pieces: int | None  # as many sentences of the context are taken as fit in
    threads: int  # of SentencePiece

    def encode(
        self,
        columns: Sequence[Sequence[str]],
        fields: Sequence[str],
        tags: Sequence[str],
        *,
        n_before: int = 0,
    ) -> Encoded:
        """The rows of `columns` behind the first `n_before`, which are context alone.

        `tags` are put before each source.
        """
        texts = dict(zip(fields, columns, strict=True))
        sources = self.tokenizers.source.encode(texts["source"], threads=self.threads)
        targets = self.tokenizers.target.encode(texts["target"], threads=self.threads)
        lengths = [np.fromiter(map(len, ids), np.int32, len(ids)) for ids in (sources, targets)]
        links = None
        if "alignment" in texts:
            links = Lists.of(self._links(texts, len(tags)))
        if self.context:
            sources, targets = self._with_context(
                sources, targets, texts["document"], n_before, len(tags)
            )
        if tags:
            ids = self.tokenizers.source.ids(tags)
            sources = [[*ids, *row] for row in sources]
        return Encoded(
            Lists.of(sources), Lists.of(targets), links, *(each[n_before:] for each in lengths)
        )

    def _links(self, texts: dict[str, Sequence[str]], n_tags: int) -> Ids:
        found = piece_links(self.tokenizers, texts["source"], texts["target"], texts["alignment"])
        if n_tags == 0:
            return list(found)
        shift = (0, 0, n_tags, n_tags)
        return [[n + shift[i % 4] for i, n in enumerate(blocks)] for blocks in found]

    @cached_property
    def _separators(self) -> tuple[int, int]:
        sides = (self.tokenizers.source, self.tokenizers.target)
        source, target = (side.ids([SEPARATOR])[0] for side in sides)
        return source, target

    def _with_context(
        self, sources: Ids, targets: Ids, documents: Sequence[str], n_before: int, n_tags: int
    ) -> tuple[Ids, Ids]:
        found: tuple[Ids, Ids] = ([], [])
        for row in range(n_before, len(sources)):
            most = 0
            while most < min(self.context.source, row) and (
                documents[row - most - 1] == documents[row]
            ):
                most += 1
            n = self._n_fitting(sources, row, most, n_tags)
            counts = (n, self._n_fitting(targets, row, min(n, self.context.target), 0))
            sides = zip(found, (sources, targets), counts, self._separators, strict=True)
            for rows, ids, count, separator in sides:
                before = ((*ids[i], separator) for i in range(row - count, row))
                rows.append([*chain.from_iterable(before), *ids[row]])
        return found

    def _n_fitting(self, ids: Ids, row: int, most: int, n_tags: int) -> int:
        """How many sentences before `row`, up to `most`, fit in with it and its tags."""
        limit = np.inf if self.max_pieces is None else self.max_pieces
        size, n = n_tags + len(ids[row]), 0
        while n < most:
            size += len(ids[row - n - 1]) + 1
            if size > limit:
                break
            n += 1
        return n
