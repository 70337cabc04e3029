"""The first stage: a chunk is cleaned, compared with the validation and test sets, and digested."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from transformer.config import CleaningConfig, CorpusConfig, Duplicates, LeakSide
from transformer.text.cleaning import Cleaner, CorpusReport
from transformer.text.matching import SOURCE, TARGET, LeakIndex
from transformer.text.preparing.chunks import Chunk
from transformer.text.preparing.duplicates import digests, save_digests
from transformer.text.preparing.leaks import NO_LEAKS
from transformer.text.preparing.rejects import write_rejects
from transformer.text.preparing.texts import write_columns

STAGE = "cleaned"


class CleanTask(NamedTuple):
    """Rows as they were read."""

    corpus: int
    number: int
    first: int  # number of the first row in the corpus
    columns: tuple[list[str], ...]


@dataclass
class CleanSetup:
    """What all tasks need."""

    folder: Path
    corpora: Sequence[CorpusConfig]
    fields: Sequence[tuple[str, ...]]  # of each corpus
    cleaning: CleaningConfig
    leaks: Mapping[tuple[str, str], LeakIndex]  # of each direction; empty: they are not looked for
    remove: LeakSide | None  # sides by which leaks are dropped; None: none is
    cleaners: dict[int, Cleaner] = field(default_factory=dict)  # of this process

    def cleaner(self, corpus: int) -> Cleaner:
        """The cleaner of a corpus."""
        if corpus not in self.cleaners:
            self.cleaners[corpus] = Cleaner(self.cleaning, self.corpora[corpus])
        return self.cleaners[corpus]


def clean_chunk(setup: CleanSetup, task: CleanTask) -> Chunk:
    """Write what is left of the rows of `task`, their digests, and the report."""
    chunk = Chunk(setup.folder, task.corpus, task.number)
    texts = dict(zip(setup.fields[task.corpus], task.columns, strict=True))
    cleaned = setup.cleaner(task.corpus).clean(
        texts["source"], texts["target"], texts.get("alignment")
    )
    reasons, report = cleaned.reasons, cleaned.report
    index = setup.leaks.get(setup.corpora[task.corpus].direction)
    leaks = _drop_leaks(setup.remove, index, cleaned.sources, cleaned.targets, reasons, report)
    rows = [row for row, reason in enumerate(reasons) if reason is None]
    texts |= {"source": cleaned.sources, "target": cleaned.targets}
    kept = {name: _chosen(column, rows) for name, column in texts.items()}
    write_columns(chunk.file("text"), list(kept.values()))
    if setup.cleaning.duplicates is not Duplicates.none:
        direction = setup.corpora[task.corpus].direction
        found = digests(kept["source"], kept["target"], direction, setup.cleaning.duplicates)
        save_digests(chunk.file("digests"), found)
    if setup.cleaning.keep_rejected is not None:
        np.save(chunk.file("rows.npy"), np.array(rows, np.int64) + task.first)
        write_rejects(
            chunk.file("rejected"),
            setup.corpora[task.corpus].label,
            (
                (reason, task.first + row, task.columns[0][row], task.columns[1][row])
                for row, reason in enumerate(reasons)
                if reason is not None
            ),
        )
    chunk.finish(STAGE, {"rows": len(rows), "report": report.to_dict(), "leaks": leaks})
    return chunk


def _chosen(column: list[str], rows: list[int]) -> list[str]:
    return column if len(rows) == len(column) else [column[row] for row in rows]


def _drop_leaks(
    remove: LeakSide | None,
    index: LeakIndex | None,
    sources: list[str],
    targets: list[str],
    reasons: list[str | None],
    report: CorpusReport,
) -> dict[str, int]:
    """How many rows leak by the source, the target and both; their reason, if they are dropped."""
    counts = dict(NO_LEAKS)
    if index is None:
        return counts
    dropped = []
    found = index.find(sources, targets).tolist()
    for row in [row for row, bits in enumerate(found) if bits and reasons[row] is None]:
        by = {
            "source": bool(found[row] & SOURCE),
            "target": bool(found[row] & TARGET),
            "both": found[row] == SOURCE | TARGET,
            "either": True,
        }
        for name, is_one in by.items():
            counts[name] += is_one
        if remove is not None and by[remove.name]:
            reasons[row] = "leak"
            dropped.append((sources[row], targets[row]))
    if remove is not None:
        report.drop("leak", dropped)
    return counts
