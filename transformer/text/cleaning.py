"""Which training pairs are dropped, and why."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from transformer.config import CleaningConfig

Row = TypeVar("Row", bound=tuple[str, ...])  # source, target and what goes with them


@dataclass
class CleaningReport:
    """How many training pairs there were, and how many each rule dropped.

    A pair counts for the first rule that drops it, in the order of the fields.
    """

    total: int = 0
    empty: int = 0
    duplicates: int = 0
    too_long: int = 0
    uneven: int = 0

    @property
    def dropped(self) -> int:
        return self.empty + self.duplicates + self.too_long + self.uneven

    @property
    def kept(self) -> int:
        return self.total - self.dropped

    def table(self) -> str:
        """Lines of text: a rule, its count and its share of all pairs."""
        rows = [
            ("training pairs", self.total),
            ("- a side is empty", self.empty),
            ("- exact duplicate", self.duplicates),
            ("- too many pieces", self.too_long),
            ("- length ratio", self.uneven),
            ("kept", self.kept),
        ]
        total = max(self.total, 1)
        return "\n".join(f"{name:<18}{n:>12,}{n / total:>9.2%}" for name, n in rows)

    def to_dict(self) -> dict[str, int]:
        return asdict(self)

    @classmethod
    def from_dict(cls, counts: dict[str, int]) -> Self:
        return cls(**counts)


def clean(pairs: Iterable[Row], config: CleaningConfig, report: CleaningReport) -> Iterator[Row]:
    """The pairs that the rules on text keep; `report` counts all pairs and the dropped ones.

    What stands behind source and target in a row is kept or dropped with them.
    """
    seen: set[bytes] = set()
    for row in pairs:
        source, target = row[:2]
        report.total += 1
        if config.empty and not (source.strip() and target.strip()):
            report.empty += 1
            continue
        if config.duplicates:
            digest = _digest(source, target)
            if digest in seen:
                report.duplicates += 1
                continue
            seen.add(digest)
        yield row


def keep_by_length(
    source: NDArray[np.int32],
    target: NDArray[np.int32],
    config: CleaningConfig,
    report: CleaningReport,
) -> NDArray[np.bool_]:
    """True for each pair that the rules on length keep; `report` counts the others.

    `source` and `target` are lengths in pieces; an empty side counts as one piece in the ratio.
    """
    longer, shorter = np.maximum(source, target), np.minimum(source, target)
    too_long = longer > config.max_pieces
    uneven = ~too_long & (longer > config.max_ratio * np.maximum(shorter, 1))
    report.too_long += int(too_long.sum())
    report.uneven += int(uneven.sum())
    return ~(too_long | uneven)


def _digest(source: str, target: str) -> bytes:
    """16 bytes in place of the texts, so that millions of pairs fit in memory."""
    # LF cannot occur in a line, so it tells the two sides apart.
    return blake2b(f"{source}\n{target}".encode(), digest_size=16).digest()
