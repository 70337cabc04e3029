"""The scores of one system on test sets, for people and for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from transformer.metrics import Score, score_corpus


@dataclass(frozen=True)
class Evaluation:
    """Translations of a test set with their scores."""

    system: str  # the checkpoint or the file that the translations are of
    language: str  # of the translations
    scores: list[Score]
    sources: list[str] | None  # None where only translations were given
    translations: list[str]
    references: list[str]
    name: str | None = None  # of a test set of the run; None: of files
    direction: str | None = None  # as in en-de; None: of files

    def table(self, title: str | None = None) -> str:
        """The scores as text, a line a metric, with what is needed to compute them again."""
        head = (
            f"{title or self.system}: {len(self.translations):,} sentences, "
            f"language {self.language}"
        )
        rows = [f"{_line(score.name, score.value)}  {score.signature}" for score in self.scores]
        return "\n".join([head, *rows])

    def summary(self) -> dict[str, Any]:
        """All but the text."""
        return {
            "system": self.system,
            "name": self.name,
            "direction": self.direction,
            "language": self.language,
            "sentences": len(self.translations),
            "scores": [asdict(score) for score in self.scores],
        }

    def samples(self, n: int) -> str:
        """`n` triples of source, translation and reference, evenly from the whole set."""
        n = min(n, len(self.translations))
        rows = [i * len(self.translations) // n for i in range(n)]
        return "\n\n".join(self._triple(row) for row in rows)

    def _triple(self, row: int) -> str:
        lines = [
            f"translation  {self.translations[row]}",
            f"reference    {self.references[row]}",
        ]
        if self.sources is not None:
            lines.insert(0, f"source       {self.sources[row]}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Report:
    """The scores of a system on each of one or several test sets."""

    sets: list[Evaluation]
    directed: bool = False  # whether the system translates in several directions

    def mean(self) -> dict[str, float]:
        """The mean of each metric over the sets, all counting alike."""
        names = [score.name for score in self.sets[0].scores]
        columns = zip(*([score.value for score in each.scores] for each in self.sets), strict=True)
        return {name: fmean(values) for name, values in zip(names, columns, strict=True)}

    def table(self) -> str:
        """The scores as text; of several sets a table each, and their mean."""
        tables = [each.table(self._title(each)) for each in self.sets]
        if len(self.sets) > 1:
            lines = [_line(name, value) for name, value in self.mean().items()]
            tables.append("\n".join([f"mean of {len(self.sets)} test sets", *lines]))
        return "\n\n".join(tables)

    def json(self) -> str:
        """The scores as JSON, unrounded."""
        return json.dumps(self.summary(), indent=2, ensure_ascii=False)

    def summary(self) -> dict[str, Any]:
        """All but the text."""
        if len(self.sets) == 1:
            return self.sets[0].summary()
        return {"sets": [each.summary() for each in self.sets], "mean": self.mean()}

    def samples(self, n: int) -> str:
        """As of an Evaluation, `n` of each set; where there are several, each with its name."""
        if len(self.sets) == 1:
            return self.sets[0].samples(n)
        return "\n\n".join(f"{self._label(each)}\n\n{each.samples(n)}" for each in self.sets)

    def _title(self, each: Evaluation) -> str:
        """What stands before the numbers of a set, whose name matters where it is one of many."""
        named = each.name is not None and (len(self.sets) > 1 or self.directed)
        return f"{each.system}, {self._label(each)}" if named else each.system

    def _label(self, each: Evaluation) -> str:
        return f"{each.name} ({each.direction})" if self.directed else str(each.name)


def _line(name: str, value: float) -> str:
    return f"{name:<5} {value:6.2f}"


def evaluation_of(
    system: str,
    language: str,
    sources: Sequence[str] | None,
    translations: Sequence[str],
    references: Sequence[str],
    *,
    name: str | None = None,
    direction: str | None = None,
) -> Evaluation:
    """`translations` scored; InputError where there are more or fewer of them than references."""
    return Evaluation(
        system=system,
        language=language,
        scores=score_corpus(translations, references, language),
        sources=None if sources is None else list(sources),
        translations=list(translations),
        references=list(references),
        name=name,
        direction=direction,
    )
