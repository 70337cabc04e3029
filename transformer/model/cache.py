"""Keys and values of the target positions of a search, each kept once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from transformer.model.attention import KeyValue, causal_mask

LEAST_ROOM = 32  # positions of a sentence


class Cache:
    """Keys and values of one layer, each [B, H, P, C]: of all positions that were appended.

    They lie in tensors with room for more, zeros so far, so that appending copies none of them.
    Attention takes all of the room: products of whole tensors are faster than of parts of them.
    """

    def __init__(self, own: KeyValue) -> None:
        self.stored = own
        self.used = own.key.shape[2]

    @property
    def room(self) -> int:
        """Positions that fit in without copying."""
        return self.stored.key.shape[2]

    def append(self, own: KeyValue) -> KeyValue:
        """All of the room, [B, H, room, C], with the `own` positions as the last that are used."""
        end = self.used + own.key.shape[2]
        if end > self.room:
            self.grow(end)
        for stored, added in zip(self.stored, own, strict=True):
            stored[:, :, self.used : end] = added
        self.used = end
        return self.stored

    def grow(self, needed: int) -> None:
        """Make room for `needed` positions."""
        room = self.room
        while room < needed:
            room = max(2 * room, LEAST_ROOM)
        if room > self.room:
            self.stored = KeyValue(*(self._moved(tensor, room) for tensor in self.stored))

    def _moved(self, tensor: Tensor, room: int) -> Tensor:
        B, H, _, C = tensor.shape
        moved = tensor.new_zeros(B, H, room, C)
        moved[:, :, : self.used] = tensor[:, :, : self.used]
        return moved

    def of(self, sentences: Tensor) -> "Cache":
        """The cache of the int64 `sentences`."""
        cache = Cache(self.stored.select(sentences))
        cache.used = self.used
        return cache

    def pick(self, positions: Tensor) -> None:
        """Keep the `positions` [B, P'] alone."""
        index = positions[:, None, :, None]
        picked = (torch.take_along_dim(x[:, :, : self.used], index, 2) for x in self.stored)
        for stored, x in zip(self.stored, picked, strict=True):
            stored[:, :, : positions.shape[1]] = x
        self.used = positions.shape[1]


def seen(ancestors: Tensor, length: int, room: int) -> Tensor:
    """Where each of `length` positions of K outputs may look: [B, 1, K * length, room].

    The room begins with the positions in the cache and the K * length that come now, output by
    output; `ancestors` [B, K, P] is True where an output went through a position of the cache.
    """
    B, K, _ = ancestors.shape
    own = torch.eye(K, dtype=torch.bool, device=ancestors.device)
    own = torch.kron(own, causal_mask(0, length, own.device))  # [K * length, K * length]
    before = ancestors.repeat_interleave(length, 1)
    unused = before.new_zeros(1, 1, room - before.shape[2] - own.shape[1])
    parts = [before, own.expand(B, -1, -1), unused.expand(B, K * length, -1)]
    return torch.cat(parts, dim=2).unsqueeze(1)


def prune(caches: Sequence[Cache], ancestors: Tensor) -> Tensor | None:
    """Forget positions that no output went through, if at least half of them are such.

    The new `ancestors` [B, K, P]; None where nothing was done.
    """
    alive = ancestors.any(1)  # [B, P]
    n_alive = int(alive.sum(1).max())
    if 2 * n_alive > alive.shape[1]:
        return None
    first = (~alive).to(torch.uint8).argsort(dim=1, stable=True)[:, :n_alive]  # [B, P']
    for cache in caches:
        cache.pick(first)
    return ancestors.take_along_dim(first.unsqueeze(1), dim=2)
