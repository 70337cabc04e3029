"""Pairs of one corpus after the changes and the rules on text."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from transformer.config import CleaningConfig, CorpusConfig
from transformer.text.cleaning.changes import change_all, changes
from transformer.text.cleaning.report import CorpusReport
from transformer.text.cleaning.rules import asked, rules

Before = dict[str, dict[int, tuple[str, str]]]  # of each change, by row: before and after it


@dataclass(frozen=True)
class Cleaned:
    """Pairs after the changes, why some are dropped, and the count of both.

    All rows are there, in order; `reasons` has None for a row that is kept. `changed` has, for each
    change, the rows that it altered, in order. `report` is of these pairs alone.
    """

    sources: list[str]
    targets: list[str]
    reasons: list[str | None]
    changed: dict[str, list[int]]
    report: CorpusReport

    @property
    def kept(self) -> list[int]:
        """Rows that no rule drops."""
        return [row for row, reason in enumerate(self.reasons) if reason is None]


class Cleaner:
    """Cleans the pairs of a corpus, any run of them by itself; may go to another process.

    InputError where the settings need a library that is not installed.
    """

    def __init__(self, config: CleaningConfig, corpus: CorpusConfig) -> None:
        self._build(config, corpus, warn=True)

    def _build(self, config: CleaningConfig, corpus: CorpusConfig, *, warn: bool) -> None:
        self._settings = config, corpus
        self._changes = changes(config)
        self._rules = rules(config, corpus.direction, warn=warn)

    def __getstate__(self) -> tuple[CleaningConfig, CorpusConfig]:
        return self._settings

    def __setstate__(self, settings: tuple[CleaningConfig, CorpusConfig]) -> None:
        # What is to be told has been told where the cleaner was made.
        self._build(*settings, warn=False)

    def clean(
        self,
        sources: Sequence[str],
        targets: Sequence[str],
        alignments: Sequence[str] | None = None,
    ) -> Cleaned:
        """The pairs after the changes, with the reasons of those that a rule drops.

        Alignments are lines of links i-j between words, parted by spaces. Where they are given, a
        pair is dropped whose number of words on either side a change altered: its links would
        point to others.
        """
        config, _ = self._settings
        report = CorpusReport(n_examples=config.n_examples, total=len(sources))
        after = [change_all(texts, self._changes) for texts in (sources, targets)]
        (new_sources, *_), (new_targets, *_) = after
        changed = self._count_changes([found for _, found in after], report)
        reasons: list[str | None] = [None] * len(sources)
        if alignments is not None:
            altered = sorted({row for rows in changed.values() for row in rows})
            for row in altered:
                before, now = (sources[row], targets[row]), (new_sources[row], new_targets[row])
                if alignments[row].strip() and _n_words(before) != _n_words(now):
                    reasons[row] = "alignment"
        self._apply(new_sources, new_targets, reasons)
        names = asked(config) if alignments is None else ["alignment", *asked(config)]
        _count_drops(new_sources, new_targets, reasons, names, report)
        return Cleaned(new_sources, new_targets, reasons, changed, report)

    def _count_changes(self, found: list[Before], report: CorpusReport) -> dict[str, list[int]]:
        """The rows that each change altered, on either side."""
        changed = {}
        for name, _ in self._changes:
            source, target = (side[name] for side in found)
            rows = changed[name] = sorted(source.keys() | target.keys())
            first = (source.get(row) or target[row] for row in rows)
            report.change(name, first, len(rows))
        return changed

    def _apply(self, sources: list[str], targets: list[str], reasons: list[str | None]) -> None:
        """Write the reasons; each rule is asked of those pairs only that are left."""
        left = [row for row, reason in enumerate(reasons) if reason is None]
        if len(left) < len(reasons):
            sources, targets = [sources[row] for row in left], [targets[row] for row in left]
        for rule in self._rules:
            found = dict(rule(sources, targets))
            if not found:
                continue
            for place, reason in found.items():
                reasons[left[place]] = reason
            staying = [place for place in range(len(left)) if place not in found]
            left = [left[place] for place in staying]
            sources, targets = [sources[i] for i in staying], [targets[i] for i in staying]


def _n_words(sides: tuple[str, str]) -> tuple[int, int]:
    return len(sides[0].split()), len(sides[1].split())


def _count_drops(
    sources: list[str],
    targets: list[str],
    reasons: list[str | None],
    names: list[str],
    report: CorpusReport,
) -> None:
    for name in names:
        n = reasons.count(name)
        rows = (row for row, reason in enumerate(reasons) if reason == name)
        first = islice(rows, min(n, report.n_examples))
        report.drop(name, [(sources[row], targets[row]) for row in first], n)
