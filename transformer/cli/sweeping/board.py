"""The table that a sweep leaves of its runs."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from transformer.checkpoint.folder import LOWER_IS_BETTER
from transformer.checkpoint.save import reason
from transformer.config import Metric, TrainingConfig
from transformer.errors import InputError
from transformer.evaluation.analysis import differing_signatures
from transformer.tables import Cell, Table
from transformer.training import Outcome, RunStatus, outcome_of

_HEADS = {"loss": "valid loss", "bleu": "valid BLEU", "chrf": "valid chrF"}


@dataclass(frozen=True)
class Line:
    """A run of a sweep: its folder, and what of its settings differs from run to run."""

    run_dir: str
    values: Mapping[str, Any]  # by key
    training: TrainingConfig


@dataclass(frozen=True)
class Ranked:
    """A run, what became of it, and its place among the others; None without a score."""

    place: int | None
    line: Line
    outcome: Outcome


@dataclass
class Board:
    """The runs of a sweep, in its order, and what became of them."""

    folder: Path | None  # that the table is kept in; None: it is only shown
    metric: Metric
    lines: list[Line] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)  # why, by run_dir

    def write(self) -> None:
        """Write sweep.json, sweep.md and sweep.tsv, each in one step."""
        if self.folder is None:
            return
        ranked = self._ranked()
        table = self._table(ranked)
        texts = {
            "sweep.json": json.dumps(self._summary(ranked), indent=2, ensure_ascii=False) + "\n",
            "sweep.md": table.render("markdown") + "\n",
            "sweep.tsv": _tsv([table.columns, *(self._row(each, str) for each in ranked)]),
        }
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, text in texts.items():
                aside = self.folder / f".{name}"
                aside.write_text(text, encoding="utf-8")
                aside.replace(self.folder / name)
        except OSError as error:
            raise InputError(f"{self.folder} cannot be written: {reason(error)}") from error

    def table(self) -> Table:
        """The runs, best first by the metric of validation; those that failed last."""
        return self._table(self._ranked())

    def has_news(self) -> bool:
        """Whether anything is known of any of the runs."""
        return any(self._outcome(line).status is not RunStatus.waiting for line in self.lines)

    def _table(self, ranked: Sequence[Ranked]) -> Table:
        where = f" in {self.folder}" if self.folder else ""
        scores = [_HEADS[name] for name in self._scores()]
        n = "1 run" if len(self.lines) == 1 else f"{len(self.lines)} runs"
        return Table(
            ["place", "run", *self._keys(), *scores, "test BLEU", "updates", "minutes", "state"],
            [self._row(each, _short) for each in ranked],
            f"{n}{where}, by {_HEADS[self.metric.name]}",
            self._warnings(ranked),
        )

    def _warnings(self, ranked: Sequence[Ranked]) -> list[str]:
        """Why scores of the test cannot be put side by side, where they cannot."""
        signatures = {
            Path(each.line.run_dir).name: each.outcome.signature
            for each in ranked
            if each.outcome.signature is not None
        }
        return [f"test BLEU: {why}" for why in differing_signatures(signatures)]

    def _keys(self) -> list[str]:
        return list(dict.fromkeys(key for line in self.lines for key in line.values))

    def _scores(self) -> list[str]:
        """The names of the scores of validation, the metric that ranks first."""
        return [self.metric.name, *(name for name in _HEADS if name != self.metric.name)]

    def _row(self, each: Ranked, shown: Any) -> list[Cell]:
        """A row of the table; `shown` makes text of the value of a setting."""
        outcome, values = each.outcome, each.line.values
        failed = outcome.status is RunStatus.failed
        return [
            each.place,
            Path(each.line.run_dir).name if self.folder else each.line.run_dir,
            *(shown(values[key]) if key in values else None for key in self._keys()),
            *(outcome.scores.get(name) for name in self._scores()),
            outcome.test,
            outcome.updates,
            outcome.minutes,
            " ".join(f"failed: {outcome.reason}".split()) if failed else outcome.status.name,
        ]

    def _ranked(self) -> list[Ranked]:
        found = [(line, self._outcome(line)) for line in self.lines]
        found.sort(key=lambda each: self._rank(each[1]))
        return [
            Ranked(place if self._rank(outcome)[0] == 0 else None, line, outcome)
            for place, (line, outcome) in enumerate(found, start=1)
        ]

    def _rank(self, outcome: Outcome) -> tuple[int, float, float]:
        """What runs are sorted by; of equal scores, the loss tells."""
        value = outcome.scores.get(self.metric.name, math.nan)
        loss = outcome.scores.get("loss", math.inf)
        if outcome.status is RunStatus.failed:
            return 2, 0.0, 0.0
        if math.isnan(value):
            return 1, 0.0, 0.0
        return 0, value if self.metric in LOWER_IS_BETTER else -value, loss

    def _outcome(self, line: Line) -> Outcome:
        found = outcome_of(Path(line.run_dir), line.training)
        why = self.failures.get(line.run_dir)
        return found if why is None else replace(found, status=RunStatus.failed, reason=why)

    def _summary(self, ranked: Sequence[Ranked]) -> dict[str, Any]:
        runs = [
            {
                "place": each.place,
                "run_dir": each.line.run_dir,
                "state": each.outcome.status.name,
                "reason": each.outcome.reason,
                "settings": dict(each.line.values),
                "valid": {
                    name: value if math.isfinite(value) else None
                    for name, value in each.outcome.scores.items()
                },
                "test_bleu": each.outcome.test,
                "updates": each.outcome.updates,
                "minutes": each.outcome.minutes,
            }
            for each in ranked
        ]
        return {"metric": self.metric.name, "runs": runs}


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _tsv(rows: Sequence[Sequence[Cell]]) -> str:
    text = io.StringIO()
    csv.writer(text, dialect="excel-tab", lineterminator="\n").writerows(rows)
    return text.getvalue()
