"""Which pairs an epoch has of each corpus, a chapter at a time, from a few integers alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Words = NDArray[np.uint64]

CHAPTER = 2**21  # pairs that are put in order at once; memory and the first wait grow with it
SHUFFLED = 2**16  # rows up to which a permutation is drawn as a whole
ROUNDS = 8
BLOCK = 2**14  # numbers worked on at once, so that they stay in the processor's cache
PASSES = 0x6D6978  # keeps these seeds apart from those of batches and of dropout
# Odd multipliers that spread each bit over those above it (Steele et al., 2014).
SPREAD = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True)
class Part:
    """The training rows of one corpus."""

    name: str
    first: int  # its first row
    size: int
    weight: float = 1.0  # how often each of its pairs is seen, beside those of the others


class Mix:
    """The pairs of all epochs, as many in each as all parts have together.

    A part is read through an endless row of permutations of its pairs; so each of its pairs has
    been seen equally often, or once more. Its share of every epoch is proportional to weight *
    size ** (1 / temperature), after Arivazhagan et al. (2019). An epoch is cut
    into chapters, each with the epoch's shares, of which any one is found without the others.
    """

    def __init__(
        self, parts: Sequence[Part], temperature: float, seed: int, chapter: int = CHAPTER
    ) -> None:
        self.parts = list(parts)
        self.seed = seed
        self.counts = pairs_an_epoch(parts, temperature)  # of each part
        self.size = sum(self.counts)
        self.n_chapters = -(-self.size // chapter)

    def rows(self, epoch: int, chapter: int) -> list[Rows]:
        """The pairs of each part in a chapter of an epoch, ascending; some may be there twice."""
        found = []
        for number, count in enumerate(self.counts):
            start, stop = (i * count // self.n_chapters for i in (chapter, chapter + 1))
            found.append(self._read(number, epoch * count + start, epoch * count + stop))
        return found

    def n_before(self, chapter: int) -> int:
        """How many pairs an epoch has before `chapter`."""
        return sum(chapter * count // self.n_chapters for count in self.counts)

    def _read(self, number: int, start: int, stop: int) -> Rows:
        """The rows at [start, stop) of the permutations of part `number`, ascending."""
        part = self.parts[number]
        if start == stop:
            return np.zeros(0, np.int64)
        ends = start // part.size, (stop - 1) // part.size
        n_whole = max(0, ends[1] - ends[0] - 1)
        pieces = []
        for turn in sorted(set(ends)):
            low, high = max(start - turn * part.size, 0), min(stop - turn * part.size, part.size)
            if high - low == part.size:
                n_whole += 1
            else:
                pieces.append(permuted(part.size, [self.seed, number, turn, PASSES], low, high))
        if n_whole:  # passes whose order does not matter here
            pieces.append(np.repeat(np.arange(part.size), n_whole))
        return np.sort(np.concatenate(pieces)) + part.first


def pairs_an_epoch(parts: Sequence[Part], temperature: float) -> list[int]:
    """How many pairs of each part an epoch has: all together as many as there are.

    Rounded to the largest remainders, the first of equal ones; at least one of each part that has
    any, taken from the largest.
    """
    sizes = np.array([part.size for part in parts])
    weights = np.array([part.weight for part in parts])
    shares = weights / weights.max() * sizes.astype(np.float64) ** (1 / temperature)
    quotas = shares / shares.sum() * sizes.sum()
    counts = np.floor(quotas).astype(np.int64)
    missing = int(sizes.sum() - counts.sum())
    counts[np.argsort(counts - quotas, kind="stable")[:missing]] += 1
    for number in np.flatnonzero((counts == 0) & (sizes > 0)):
        counts[np.argmax(counts)] -= 1
        counts[number] = 1
    return [int(count) for count in counts]


def permuted(size: int, entropy: Sequence[int], start: int, stop: int) -> Rows:
    """What stands at [start, stop) of the permutation of range(size) that `entropy` chooses.

    A small one is drawn as a whole. A large one is a Feistel cipher on as many bits as `size`
    needs, repeated where it leads out of the range ("cycle walking", Black and Rogaway, 2002,
    section 4): each place is found by itself, in less than two tries in the mean.
    """
    sequence = np.random.SeedSequence(entropy)
    if size <= SHUFFLED:
        return np.random.Generator(np.random.PCG64(sequence)).permutation(size)[start:stop]
    keys: Words = sequence.generate_state(ROUNDS, np.uint64).astype(np.uint64, copy=False)
    bits = (size - 1).bit_length()
    found = np.arange(start, stop, dtype=np.uint64)
    for first in range(0, len(found), BLOCK):
        block = found[first : first + BLOCK]
        _encipher(block, keys, bits)
        while len(outside := np.flatnonzero(block >= size)):
            walked = block[outside]
            _encipher(walked, keys, bits)
            block[outside] = walked
    return found.view(np.int64)


def _encipher(numbers: Words, keys: Words, bits: int) -> None:
    """Replace `numbers` below 2 ** bits by others, one to one (Luby and Rackoff, 1988).

    The upper half of the bits is changed by what a hash of the lower half says, then the lower by
    the upper, as many times as there are `keys`.
    """
    n_low = np.uint64(bits // 2)
    low, high = numbers & ((np.uint64(1) << n_low) - np.uint64(1)), numbers >> n_low
    hashed, shifted = np.empty_like(numbers), np.empty_like(numbers)
    for turn, key in enumerate(keys):
        read, changed, width = (
            (low, high, bits - bits // 2) if turn % 2 == 0 else (high, low, n_low)
        )
        np.add(read, key, out=hashed)
        np.multiply(hashed, SPREAD[0], out=hashed)
        np.right_shift(hashed, np.uint64(31), out=shifted)
        np.bitwise_xor(hashed, shifted, out=hashed)
        np.multiply(hashed, SPREAD[1], out=hashed)
        np.right_shift(hashed, np.uint64(64 - int(width)), out=hashed)
        np.bitwise_xor(changed, hashed, out=changed)
    np.left_shift(high, n_low, out=numbers)
    np.bitwise_or(numbers, low, out=numbers)
