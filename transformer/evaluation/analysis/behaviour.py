"""What goes wrong in translations, whatever they score."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformer.evaluation.analysis.lines import Lines, ratio
from transformer.evaluation.analysis.repetition import repeated_words
from transformer.evaluation.analysis.suspects import CRITERIA, Suspect, suspects
from transformer.evaluation.analysis.words import has_digit

MOSTLY = 0.5  # share of a translation's words above which it is mostly left untranslated


@dataclass(frozen=True)
class Behaviour:
    """Shares of words and rows, counted from 0, of what is wrong or may be.

    What needs sources is None without them, a share None where there is no word.
    """

    n: int  # sentences
    length_ratio: float | None  # words of translations to those of the references nearest in length
    source_ratio: float | None  # words of translations to those of sources
    reference_source_ratio: float | None  # words of the first references to those of sources
    empty: list[int]  # nothing but spaces where there is something to be translated
    empty_references: list[int]
    copied: list[int] | None  # the source itself, though no reference is
    untranslated: list[int] | None  # mostly words that only the source has
    untranslated_share: float | None
    repetitive: list[int]  # more repeated words than in source and references
    repeated_share: float | None  # of the translations' words
    repeated_share_references: float | None  # of the first references' words
    suspects: list[Suspect]

    def summary(self) -> dict[str, Any]:
        """What is known, for JSON; lines count from 1."""
        return {
            "sentences": self.n,
            "length_ratio": self.length_ratio,
            "source_ratio": self.source_ratio,
            "reference_source_ratio": self.reference_source_ratio,
            "untranslated_share": self.untranslated_share,
            "repeated_share": self.repeated_share,
            "repeated_share_references": self.repeated_share_references,
            **{name: _counted(rows, self.n) for name, rows in self.rows().items()},
            "suspects": [
                {"line": each.row + 1, "criteria": list(each.criteria)} for each in self.suspects
            ],
        }

    def rows(self) -> dict[str, list[int] | None]:
        """What is counted in sentences."""
        return {
            "empty": self.empty,
            "empty_references": self.empty_references,
            "copied": self.copied,
            "untranslated": self.untranslated,
            "repetitive": self.repetitive,
            **{f"suspect: {name}": self.suspected(name) for name in CRITERIA},
        }

    def suspected(self, criterion: str) -> list[int]:
        """The rows that are suspicious by a criterion."""
        return [each.row for each in self.suspects if criterion in each.criteria]


def behaviour_of(lines: Lines, chrf: Sequence[float]) -> Behaviour:
    """What goes wrong in `lines`; `chrf` is the score of each sentence."""
    firsts = [each[0] for each in lines.reference_words]
    n_words, n_first = (sum(map(len, each)) for each in (lines.translation_words, firsts))
    n_source = sum(map(len, lines.source_words or ()))
    repeated = [repeated_words(words) for words in lines.translation_words]
    left = _left(lines)
    return Behaviour(
        n=len(lines),
        length_ratio=ratio(n_words, sum(lines.reference_lengths)),
        source_ratio=ratio(n_words, n_source),
        reference_source_ratio=ratio(n_first, n_source),
        empty=_empty(lines, lines.translations),
        empty_references=_empty(lines, lines.references[0]),
        copied=_copied(lines),
        untranslated=None if left is None else _mostly(left, lines.translation_words),
        untranslated_share=None if left is None else ratio(sum(left), n_words),
        repetitive=[row for row, n in enumerate(repeated) if n > _repeated_elsewhere(lines, row)],
        repeated_share=ratio(sum(repeated), n_words),
        repeated_share_references=ratio(sum(map(repeated_words, firsts)), n_first),
        suspects=suspects(lines, chrf),
    )


def _counted(rows: list[int] | None, n: int) -> dict[str, Any] | None:
    if rows is None:
        return None
    return {"n": len(rows), "share": ratio(len(rows), n), "lines": [row + 1 for row in rows]}


def _empty(lines: Lines, texts: Sequence[str]) -> list[int]:
    """Blank texts of rows whose source is not; without sources, one of whose texts is not."""
    return [row for row, text in enumerate(texts) if not text.strip() and _says(lines, row)]


def _says(lines: Lines, row: int) -> bool:
    if lines.sources is not None:
        return bool(lines.sources[row].strip())
    return any(text[row].strip() for text in (lines.translations, *lines.references))


def _copied(lines: Lines) -> list[int] | None:
    if lines.source_keys is None:
        return None
    return [
        row
        for row, (source, ours) in enumerate(
            zip(lines.source_keys, lines.translation_keys, strict=True)
        )
        if ours and ours == source and ours not in lines.reference_keys[row]
    ]


def _left(lines: Lines) -> list[int] | None:
    """How many words of each translation are in its source and in none of its references.

    Numbers are none of them: they are written as they were.
    """
    if lines.source_words is None:
        return None
    found = []
    for ours, source, theirs in zip(
        lines.translation_words, lines.source_words, lines.reference_words, strict=True
    ):
        only = set(source).difference(*theirs)
        found.append(sum(word in only and not has_digit(word) for word in ours))
    return found


def _mostly(left: Sequence[int], words: Sequence[Sequence[str]]) -> list[int]:
    return [
        row
        for row, (n, each) in enumerate(zip(left, words, strict=True))
        if n and n > MOSTLY * len(each)
    ]


def _repeated_elsewhere(lines: Lines, row: int) -> int:
    """The most that a reference or the source repeats."""
    others = list(lines.reference_words[row])
    if lines.source_words is not None:
        others.append(lines.source_words[row])
    return max(map(repeated_words, others))
