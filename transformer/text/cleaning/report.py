"""What cleaning did to each corpus: counts, shares and examples."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Self

CHANGES = ("mojibake", "html", "unicode", "control", "whitespace")
# In the order in which they are asked. Leaks and duplicates show over all corpora, and pieces once
# they are learnt, so those four are added by whoever finds them.
RULES = (
    "alignment",
    "empty",
    "copies",
    "min_words",
    "max_words",
    "max_characters",
    "max_word_ratio",
    "min_word_length",
    "max_word_length",
    "letters",
    "script",
    "numbers",
    "language",
    "leak",
    "duplicates",
    "max_pieces",
    "max_ratio",
)
EXAMPLE_LENGTH = 300  # characters that are kept of each text of an example

Example = tuple[str, str]  # of a change: before, after; of a rule: source, target


@dataclass(kw_only=True)
class CorpusReport:
    """What became of the pairs of one corpus; `n_examples` at most are kept of each kind.

    A pair counts as dropped for the first rule that drops it, and as changed once for each change
    that altered a side, whether it is kept or not. A rule or change that was asked and found
    nothing has the count 0.
    """

    n_examples: int
    total: int = 0
    changed: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[Example]] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        return self.total - sum(self.dropped.values())

    def change(self, name: str, examples: Iterable[Sequence[str]], n: int) -> None:
        """Count `n` pairs that a change altered; examples are (before, after)."""
        self.changed[name] = self.changed.get(name, 0) + n
        self._keep(name, examples)

    def drop(self, reason: str, rows: Sequence[Sequence[str]], n: int | None = None) -> None:
        """Count the rows (source, target, …), in the order of the corpus, as dropped.

        Where there are more than it is worth to hand over, `n` is their number.
        """
        self.dropped[reason] = self.dropped.get(reason, 0) + (len(rows) if n is None else n)
        self._keep(reason, rows)

    def add(self, other: "CorpusReport") -> None:
        """Count in what became of the pairs that follow; examples of the earlier ones stay."""
        self.total += other.total
        for name, n in other.changed.items():
            self.change(name, other.examples.get(name, ()), n)
        for name, n in other.dropped.items():
            self.drop(name, other.examples.get(name, ()), n)

    def _keep(self, name: str, examples: Iterable[Sequence[str]]) -> None:
        kept = self.examples.get(name, [])
        room = self.n_examples - len(kept)
        kept = kept + [(_cut(first), _cut(second)) for first, second, *_ in islice(examples, room)]
        if kept:
            self.examples[name] = kept

    def to_dict(self) -> dict[str, Any]:
        return {
            "n_examples": self.n_examples,
            "total": self.total,
            "changed": {name: self.changed[name] for name in _ordered(CHANGES, self.changed)},
            "dropped": {name: self.dropped[name] for name in _ordered(RULES, self.dropped)},
            "kept": self.kept,
            "examples": {
                name: [list(example) for example in self.examples[name]]
                for name in _ordered(CHANGES + RULES, self.examples)
            },
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(
            n_examples=values["n_examples"],
            total=values["total"],
            changed=dict(values["changed"]),
            dropped=dict(values["dropped"]),
            examples={
                name: [(first, second) for first, second in examples]
                for name, examples in values["examples"].items()
            },
        )


@dataclass
class CleaningReport:
    """What became of the training pairs of each corpus, by the corpora's names."""

    corpora: dict[str, CorpusReport] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(report.total for report in self.corpora.values())

    @property
    def dropped(self) -> int:
        return self.total - self.kept

    @property
    def kept(self) -> int:
        return sum(report.kept for report in self.corpora.values())

    def add_corpus(self, name: str, report: CorpusReport) -> None:
        """Count in what became of further pairs of a corpus."""
        if name not in self.corpora:
            self.corpora[name] = CorpusReport(n_examples=report.n_examples)
        self.corpora[name].add(report)

    def table(self) -> str:
        """Lines of text: what was asked, its count and its share of the pairs.

        Two to six corpora have a column each before that of all.
        """
        columns = [("", self._all())]
        if 2 <= len(self.corpora) <= 6:
            columns = [*self.corpora.items(), ("all", self._all())]
        everything = columns[-1][1]
        lines = [_Line("training pairs", [report.total for _, report in columns])]
        for verb, order in (("changed", CHANGES), ("dropped", RULES)):
            for name in _ordered(order, getattr(everything, verb)):
                counts = [getattr(report, verb).get(name) for _, report in columns]
                lines.append(_Line(f"{verb}: {name}", counts))
        lines.append(_Line("kept", [report.kept for _, report in columns]))
        return _aligned([name for name, _ in columns], lines)

    def _all(self) -> CorpusReport:
        whole = CorpusReport(n_examples=0)
        for report in self.corpora.values():
            whole.add(report)
        return whole

    def to_dict(self) -> dict[str, Any]:
        return {name: report.to_dict() for name, report in self.corpora.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls({name: CorpusReport.from_dict(each) for name, each in values.items()})


@dataclass(frozen=True)
class _Line:
    name: str
    counts: list[int | None]  # None: not asked of that corpus


def _aligned(heads: list[str], lines: list[_Line]) -> str:
    totals = [n or 1 for n in lines[0].counts]
    width = max(len(line.name) for line in lines)
    rows = [[line.name.ljust(width)] for line in lines]
    title = [" " * width]
    for column, head in enumerate(heads):
        counts = [line.counts[column] for line in lines]
        cells = ["-" if n is None else f"{n:,}{n / totals[column]:>9.2%}" for n in counts]
        size = max(len(head), *map(len, cells))
        title.append(head.rjust(size))
        for row, cell in zip(rows, cells, strict=True):
            row.append(cell.rjust(size))
    named = [title] if any(heads) else []
    return "\n".join("   ".join(row).rstrip() for row in named + rows)


def _ordered(order: tuple[str, ...], names: Iterable[str]) -> list[str]:
    """The names in the order given, others behind them."""
    return sorted(names, key=lambda name: (order.index(name) if name in order else 99, name))


def _cut(text: str) -> str:
    return text if len(text) <= EXAMPLE_LENGTH else text[: EXAMPLE_LENGTH - 1] + "…"
