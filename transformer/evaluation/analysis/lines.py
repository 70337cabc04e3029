"""The sentences that are looked at, cut into words once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from transformer.errors import require
from transformer.evaluation.analysis.words import words
from transformer.text.matching import match_key


@dataclass(frozen=True)
class Lines:
    """Sources, if they are known, translations, and streams of references of a test set."""

    sources: Sequence[str] | None
    translations: Sequence[str]
    references: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        n = len(self.translations)
        require(n > 0, "there is no line to look at: 0 translations")
        require(bool(self.references), "there is no reference to compare the translations with")
        for name, texts in (
            *(("references", stream) for stream in self.references),
            *([("sources", self.sources)] if self.sources is not None else []),
        ):
            require(
                len(texts) == n,
                f"there are {n} translations but {len(texts)} {name}; each line needs its own",
            )

    def __len__(self) -> int:
        return len(self.translations)

    @cached_property
    def source_words(self) -> list[list[str]] | None:
        return None if self.sources is None else list(map(words, self.sources))

    @cached_property
    def translation_words(self) -> list[list[str]]:
        return list(map(words, self.translations))

    @cached_property
    def reference_words(self) -> list[list[list[str]]]:
        """For each row the words of each of its references."""
        return [list(map(words, texts)) for texts in zip(*self.references, strict=True)]

    @cached_property
    def reference_lengths(self) -> list[int]:
        """Words of the reference nearest in length, the shorter of two, as in BLEU's penalty."""
        return [
            min((abs(len(each) - len(ours)), len(each)) for each in theirs)[1]
            for ours, theirs in zip(self.translation_words, self.reference_words, strict=True)
        ]

    @cached_property
    def source_keys(self) -> list[str] | None:
        return None if self.sources is None else list(map(match_key, self.sources))

    @cached_property
    def translation_keys(self) -> list[str]:
        return list(map(match_key, self.translations))

    @cached_property
    def reference_keys(self) -> list[frozenset[str]]:
        """For each row those of its references."""
        return [frozenset(map(match_key, texts)) for texts in zip(*self.references, strict=True)]


def ratio(part: float, whole: float) -> float | None:
    """Their quotient; None where there is nothing to divide by."""
    return part / whole if whole else None
