"""The scores of systems on test sets, for people and for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from statistics import fmean
from typing import Any

from transformer.config import OutputFormat
from transformer.evaluation.analysis import Analysis
from transformer.metrics import Score
from transformer.tables import Cell, Table

SHORT = {"bootstrap": "bs", "randomisation": "ar"}  # as in sacreBLEU's signatures
LEVEL = 0.05  # of p, below which a difference is marked, where nothing else is said


@dataclass(frozen=True)
class Evaluation:
    """Translations of a test set by one system, with their scores."""

    system: str  # the checkpoint or the file that the translations are of
    language: str  # of the translations
    scores: list[Score]
    sources: list[str] | None  # None where only translations were given
    translations: list[str]
    references: list[list[str]]  # streams, each with a line for each translation
    name: str | None = None  # of a test set of the run; None: of files
    direction: str | None = None  # as in en-de; None: of files
    # Of each score beside that of the baseline, by test; nothing of the baseline itself.
    p: list[dict[str, float]] = field(default_factory=list)
    analysis: Analysis | None = None
    cautions: list[str] = field(default_factory=list)  # where the scores may mislead

    def table(self, title: str | None = None) -> Table:
        """The scores, a row a metric, with what is needed to compute them again."""
        rows: list[list[Cell]] = [
            [score.name, score.value, score.margin, score.signature] for score in self.scores
        ]
        head = (
            f"{title or self.system}: {len(self.translations):,} sentences, "
            f"language {self.language}"
        )
        return Table(["metric", "score", "± 95 %", "signature"], rows, head)

    def summary(self) -> dict[str, Any]:
        """All but the text."""
        found: dict[str, Any] = {
            "system": self.system,
            "name": self.name,
            "direction": self.direction,
            "language": self.language,
            "sentences": len(self.translations),
            "references": len(self.references),
            "scores": [asdict(score) for score in self.scores],
        }
        if self.p and any(self.p):
            for score, p in zip(found["scores"], self.p, strict=True):
                score["p"] = p
        if self.analysis is not None:
            found["analysis"] = self.analysis.summary()
        return found | ({"cautions": self.cautions} if self.cautions else {})

    def samples(self, n: int) -> str:
        """`n` triples of source, translation and reference, evenly from the whole set."""
        n = min(n, len(self.translations))
        rows = [i * len(self.translations) // n for i in range(n)]
        return "\n\n".join(self._triple(row) for row in rows)

    def _triple(self, row: int) -> str:
        lines = [f"translation  {self.translations[row]}"]
        lines += [f"reference    {stream[row]}" for stream in self.references]
        if self.sources is not None:
            lines.insert(0, f"source       {self.sources[row]}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Results:
    """The scores of one or several systems on each of one or several test sets."""

    evaluations: list[Evaluation]  # set by set, and of each in the order of the systems
    directed: bool = False  # whether the systems translate in several directions
    baseline: str | None = None  # which system the others are compared with; None: there is one
    level: float = LEVEL  # of p, below which a difference is marked

    @property
    def sets(self) -> list[list[Evaluation]]:
        """The systems' evaluations on each set."""
        groups = groupby(self.evaluations, key=lambda each: (each.name, each.direction))
        return [list(group) for _, group in groups]

    def mean(self) -> dict[str, dict[str, float]]:
        """The mean of each metric over the sets, all counting alike, of each system."""
        found: dict[str, dict[str, float]] = {}
        for column in zip(*self.sets, strict=True):
            names = [score.name for score in column[0].scores]
            values = zip(*([score.value for score in each.scores] for each in column), strict=True)
            found[column[0].system] = dict(zip(names, map(fmean, values), strict=True))
        return found

    def tables(self) -> list[Table]:
        """Of each set the scores and, where it was asked for, the analyses; then the means."""
        tables: list[Table] = []
        for evaluations in self.sets:
            first = evaluations[0]
            if self.baseline is None:
                tables.append(first.table(self._title(first)))
            else:
                tables.append(self._comparison(evaluations))
            for each in evaluations:
                # What explains the tables of one system does so for all.
                tables += self._analyses(each, explained=each is evaluations[-1])
        return [*tables, *self._means()]

    def text(self, form: OutputFormat) -> str:
        """All tables, or JSON."""
        if form is OutputFormat.json:
            return self.json()
        return "\n\n".join(table.render(form.name) for table in self.tables())

    def table(self) -> str:
        """All tables, for a terminal."""
        return self.text(OutputFormat.table)

    def json(self) -> str:
        """The scores as JSON, unrounded."""
        return json.dumps(self.summary(), indent=2, ensure_ascii=False)

    def summary(self) -> dict[str, Any]:
        """All but the text; of one system on one set, that alone."""
        sets = self.sets
        if self.baseline is not None:
            found: dict[str, Any] = {
                "baseline": self.baseline,
                "sets": [{"systems": [each.summary() for each in group]} for group in sets],
            }
            return found | ({"mean": self.mean()} if len(sets) > 1 else {})
        if len(sets) == 1:
            return sets[0][0].summary()
        (mean,) = self.mean().values()
        return {"sets": [group[0].summary() for group in sets], "mean": mean}

    def flat(self) -> dict[str, float]:
        """The scores of the first system by names such as test_bleu, the mean of several sets."""
        scores = next(iter(self.mean().values()))
        return {f"test_{name.lower()}": value for name, value in scores.items()}

    def samples(self, n: int) -> str:
        """As of an Evaluation, `n` of each set; where there are several, each with its name."""
        firsts = [group[0] for group in self.sets]
        if len(firsts) == 1:
            return firsts[0].samples(n)
        return "\n\n".join(f"{self._label(each)}\n\n{each.samples(n)}" for each in firsts)

    def _means(self) -> list[Table]:
        n = len(self.sets)
        if n == 1:
            return []
        means = self.mean()
        names = list(next(iter(means.values())))
        title = f"mean of {n} test sets"
        if self.baseline is None:
            (values,) = means.values()
            return [Table(["metric", "score"], [[name, values[name]] for name in names], title)]
        rows: list[list[Cell]] = [
            [system, *(values[name] for name in names)] for system, values in means.items()
        ]
        return [Table(["system", *names], rows, title)]

    def _comparison(self, evaluations: Sequence[Evaluation]) -> Table:
        """The systems on one set, a row each."""
        first = evaluations[0]
        tests = list(dict.fromkeys(test for each in evaluations for p in each.p for test in p))
        columns = ["system"]
        for score in first.scores:
            columns += [score.name, *(f"p {SHORT[test]}" for test in tests)]
        own = next(each for each in evaluations if each.system == self.baseline)
        rows = [self._row(each, own, tests) for each in evaluations]
        label = "" if first.name is None else f"{self._label(first)}: "
        title = f"{label}{len(first.translations):,} sentences, language {first.language}"
        return Table(columns, rows, title, self._notes(evaluations, tests))

    def _row(self, each: Evaluation, first: Evaluation, tests: Sequence[str]) -> list[Cell]:
        """A system's scores, and p of each test, where `first` is the baseline's evaluation."""
        is_baseline = each.system == self.baseline
        row: list[Cell] = [f"{each.system} (baseline)" if is_baseline else each.system]
        for score, own, p in zip(each.scores, first.scores, each.p, strict=True):
            # Of equal scores sacreBLEU gives the smallest p.
            differs = score.value != own.value
            row.append(shown(score))
            row += [self._p(p[test], differs) if test in p else "" for test in tests]
        return row

    def _p(self, p: float, differs: bool) -> str:
        return f"{p:.4f}{'*' * (differs and p < self.level)}"

    def _notes(self, evaluations: Sequence[Evaluation], tests: Sequence[str]) -> list[str]:
        """What is needed to read the numbers, and to compute them again."""
        notes = []
        if tests:
            notes.append(
                f"p: of a difference to {self.baseline} as large as this by chance alone; "
                f"* below {self.level:g}; "
                + ", ".join(f"{SHORT[test]}: paired {test}" for test in tests)
            )
        if any(score.margin is not None for each in evaluations for score in each.scores):
            notes.append("±: half of the interval of 95 %, by bootstrap")
        signatures = [score.signature for score in evaluations[0].scores]
        names = [score.name for score in evaluations[0].scores]
        return notes + [f"{a}: {b}" for a, b in zip(names, signatures, strict=True)]

    def _analyses(self, each: Evaluation, *, explained: bool) -> list[Table]:
        """The tables of an analysis under the name of what it is of."""
        found = [] if each.analysis is None else each.analysis.tables()
        return [
            Table(
                table.columns,
                table.rows,
                f"{self._title(each)}: {table.title}",
                table.notes if explained else (),
            )
            for table in found
        ]

    def _title(self, each: Evaluation) -> str:
        """What stands before the numbers of a set, whose name matters where it is one of many."""
        named = each.name is not None and (len(self.sets) > 1 or self.directed)
        return f"{each.system}, {self._label(each)}" if named else each.system

    def _label(self, each: Evaluation) -> str:
        return f"{each.name} ({each.direction})" if self.directed else str(each.name)


def shown(score: Score) -> str:
    """A score with half of its interval, as in 33.20 ± 1.31; COMET with four digits."""
    digits = 4 if score.name == "COMET" else 2
    margin = "" if score.margin is None else f" ± {score.margin:.{digits}f}"
    return f"{score.value:.{digits}f}{margin}"
