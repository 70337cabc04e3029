"""Sentences end to end in one row, so that no arithmetic is spent on padding."""

from typing import NamedTuple, Self

import torch
from torch import Tensor


class Packing(NamedTuple):
    """Where the N tokens of B sentences lie, end to end and also padded to [B, longest]."""

    bounds: Tensor  # int32 [B + 1]: sentence i has the tokens from bounds[i] to bounds[i + 1]
    longest: int  # tokens of a sentence at most
    place: Tensor  # int64 [N], of each token in its sentence
    cell: Tensor  # int64 [N], of each token in the padded tensor, flattened

    @classmethod
    def of(cls, lengths: Tensor, longest: int, n: int) -> Self:
        """The packing of sentences of `lengths` [B], each at least 1 and `n` in sum.

        The host gives the sum, so that nobody waits for the device.
        """
        bounds = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))  # [B + 1]
        token = torch.arange(n, device=lengths.device)
        sentence = torch.searchsorted(bounds, token, right=True) - 1
        place = token - bounds[sentence]
        return cls(bounds.int(), longest, place, sentence * longest + place)

    def pick(self, padded: Tensor) -> Tensor:
        """The tokens [N, ...] of `padded` [B, longest, ...]."""
        return padded.flatten(0, 1).index_select(0, self.cell)

    def spread(self, tokens: Tensor) -> Tensor:
        """`tokens` [N, ...] padded with zeros, [B, longest, ...]."""
        B = len(self.bounds) - 1
        padded = tokens.new_zeros(B * self.longest, *tokens.shape[1:])
        return padded.index_copy(0, self.cell, tokens).view(B, self.longest, *tokens.shape[1:])

    def real(self) -> Tensor:
        """Boolean [B, longest], True where the padded tensor has a token."""
        place = torch.arange(self.longest, device=self.bounds.device)
        return place < self.bounds.diff()[:, None]
