"""Where a model looked while it read and wrote a sentence, and how far."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from transformer.config import AttentionKind
from transformer.errors import require
from transformer.tables import Cell, Table

Weights = NDArray[np.float32]

BOS, EOS = "<s>", "</s>"  # as they stand on the axes
FAR = 5  # positions
SIDES = {
    AttentionKind.encoder: "encoder",
    AttentionKind.decoder: "decoder",
    AttentionKind.cross: "decoder",
}


@dataclass(frozen=True)
class Looks:
    """The attention in one sentence pair. The weights of a row are of what it looks at: sum 1.

    Positions are words or pieces, marks of sentence, language and context among them.
    """

    source: list[str]  # S positions, EOS last
    target: list[str]  # T positions as they were written, EOS last where it was written
    # Source at source, [L, H, S, S].
    encoder: Weights = field(repr=False, compare=False)
    # Each target position, while it is written, at BOS and what was read before, [L, H, T, T'].
    # T' is T, or T + 1 where the last word was cut off between its pieces.
    decoder: Weights = field(repr=False, compare=False)
    # Each target position, while it is written, at the source, [L, H, T, S].
    cross: Weights = field(repr=False, compare=False)

    def weights(self, kind: AttentionKind) -> Weights:
        """Those of a kind, [L, H, rows, columns]."""
        found: Weights = getattr(self, kind.name)
        return found

    def rows(self, kind: AttentionKind) -> list[str]:
        """Who looks."""
        return self.source if kind is AttentionKind.encoder else self.target

    def columns(self, kind: AttentionKind) -> list[str]:
        """What is looked at."""
        if kind is AttentionKind.decoder:
            return [BOS, *self.target][: self.decoder.shape[-1]]
        return self.source


@dataclass(frozen=True)
class Choice:
    """What is shown of one kind of attention; layers and heads count from 1."""

    kind: AttentionKind
    layers: Sequence[int]
    heads: Sequence[int]

    def of(self, looks: Looks) -> Weights:
        """The chosen weights, [layers, heads, rows, columns]."""
        layers, heads = ([n - 1 for n in numbers] for numbers in (self.layers, self.heads))
        return looks.weights(self.kind)[layers][:, heads]


def choices(
    sizes: dict[AttentionKind, tuple[int, int]],
    kinds: Sequence[AttentionKind] = tuple(AttentionKind),
    layers: Sequence[int] = (),
    heads: Sequence[int] = (),
) -> list[Choice]:
    """What of `kinds` is shown: the `layers` and `heads` from 1, or all where none are given.

    `sizes` are the numbers of layers and heads of each kind. InputError beyond them.
    """
    found = []
    for kind in dict.fromkeys(kinds):
        n_layers, n_heads = sizes[kind]
        for name, numbers, n in (("layers", layers, n_layers), ("heads", heads, n_heads)):
            beyond = [number for number in numbers if not 1 <= number <= n]
            require(
                not beyond,
                f"{name}={beyond} is beyond the {n} {name} of the model's {SIDES[kind]}; give "
                f"{'1' if n == 1 else f'some of 1 to {n}'}, or leave {kind.name} out of kinds",
            )
        everything = (range(1, n_layers + 1), range(1, n_heads + 1))
        found.append(Choice(kind, list(layers or everything[0]), list(heads or everything[1])))
    return found


def sizes_of(looks: Looks) -> dict[AttentionKind, tuple[int, int]]:
    """The numbers of layers and heads of each kind."""
    return {kind: (len(looks.weights(kind)), len(looks.weights(kind)[0])) for kind in AttentionKind}


@dataclass(frozen=True)
class Reach:
    """Sums over rows by which heads are described, each [layers, heads]."""

    n: int  # rows
    entropy: NDArray[np.float64]
    peak: NDArray[np.float64]
    marks: NDArray[np.float64]  # weight on BOS or EOS
    distance: NDArray[np.float64]  # of all other weight
    far: NDArray[np.float64]  # weight beyond FAR positions

    def __add__(self, other: "Reach") -> "Reach":
        sums = (
            getattr(self, name) + getattr(other, name)
            for name in ("n", "entropy", "peak", "marks", "distance", "far")
        )
        return Reach(*sums)

    def cells(self) -> Iterator[list[Cell]]:
        """Entropy, peak, marks, distance and beyond, head by head; see `statistics`."""
        on_words = self.n - self.marks
        for place in np.ndindex(self.entropy.shape):
            left = float(on_words[place])
            # What rounding leaves of rows that have nothing but a mark to look at.
            has_words = left > 1e-6 * self.n
            yield [
                float(self.entropy[place]) / self.n,
                100 * float(self.peak[place]) / self.n,
                100 * float(self.marks[place]) / self.n,
                float(self.distance[place]) / left if has_words else None,
                100 * float(self.far[place]) / left if has_words else None,
            ]


def reach(looks: Looks, choice: Choice) -> Reach:
    """What the heads of a `choice` do in one sentence."""
    weights = choice.of(looks).astype(np.float64)
    distances = distance(choice.kind, *weights.shape[-2:])
    words = weights.copy()
    mark = 0 if choice.kind is AttentionKind.decoder else -1
    words[..., mark] = 0
    return Reach(
        n=weights.shape[-2],
        entropy=entropy(weights).sum(-1),
        peak=weights.max(-1).sum(-1),
        marks=weights[..., mark].sum(-1),
        distance=(words * distances).sum((-2, -1)),
        far=(words * (distances > FAR)).sum((-2, -1)),
    )


def entropy(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bits of each row of `weights` [..., rows, columns]."""
    logarithms = np.log2(weights, out=np.zeros_like(weights), where=weights > 0)
    bits: NDArray[np.float64] = -(weights * logarithms).sum(-1)
    return np.maximum(bits, 0.0, out=bits)


def distance(kind: AttentionKind, n_rows: int, n_columns: int) -> NDArray[np.float64]:
    """How far from each row each column lies, in positions: [rows, columns].

    In the decoder the column before a row's own is one position away, BOS left aside. Of source and
    target, which differ in length, it is the distance to the diagonal, in positions of the source.
    """
    rows = np.arange(n_rows, dtype=np.float64)[:, None]
    columns = np.arange(n_columns, dtype=np.float64)[None, :]
    if kind is AttentionKind.decoder:
        columns -= 1
    if kind is AttentionKind.cross:
        rows *= (n_columns - 1) / max(1, n_rows - 1)
    found: NDArray[np.float64] = np.abs(rows - columns)
    return found


COLUMNS = ("kind", "layer", "head", "entropy", "peak", "on marks", "distance", f"beyond {FAR}")
NOTES = (
    "entropy: bits; peak: the largest weight of a row, in % (both means over all rows)",
    f"on marks: weight on {EOS} of the source or {BOS} of the target, in %",
    f"distance: mean of the other weight, in positions; beyond {FAR}: its share farther away, in %",
    "distance of cross-attention: from the diagonal, in positions of the source",
)


def statistics(looks: Sequence[Looks], chosen: Sequence[Choice]) -> Table:
    """How sharply and how far each head looks, over all rows of all sentences.

    The peak is the confidence of Voita et al. (2019, section 4); heads with nothing to look for
    rest on marks (Clark et al., 2019, section 3.2), so that these are no part of the distance.
    """
    rows: list[list[Cell]] = []
    for choice in chosen:
        first, *others = (reach(each, choice) for each in looks)
        numbers = (sum(others, start=first)).cells()
        for layer in choice.layers:
            for head in choice.heads:
                rows.append([choice.kind.name, layer, head, *next(numbers)])  # noqa: PERF401
    n = len(looks)
    title = f"attention in {n} sentence{'s' * (n != 1)}"
    return Table(COLUMNS, rows, title, NOTES)
