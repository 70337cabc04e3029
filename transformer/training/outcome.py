"""What became of a run, as its folder tells."""

import json
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from statistics import fmean
from typing import Any

from transformer.checkpoint import best_first, list_checkpoints
from transformer.checkpoint.folder import metrics_or_empty
from transformer.checkpoint.save import reason
from transformer.config import TrainingConfig
from transformer.errors import InputError
from transformer.training.trainer import TrainingResult

FILE = "result.json"


class RunStatus(Enum):
    """How far a run has come."""

    done = "done"
    pruned = "pruned"
    stopped = "stopped"  # goes on when it is run again
    failed = "failed"
    waiting = "waiting"  # has no checkpoint


@dataclass(frozen=True)
class Outcome:
    """What a run has achieved so far."""

    status: RunStatus
    reason: str = ""  # why it ended, if it did
    scores: dict[str, float] = field(default_factory=dict)  # of the best validation, by name
    test: float | None = None  # BLEU of the best checkpoint, the mean over several sets
    signature: str | None = None  # of that BLEU, on the first of the sets
    updates: int = 0
    minutes: float | None = None  # of training


def save_outcome(result: TrainingResult) -> None:
    """Write how the training in `result.run_dir` ended."""
    values = {**asdict(result), "run_dir": str(result.run_dir)}
    file = result.run_dir / FILE
    try:
        aside = file.with_name(f".{FILE}")
        aside.write_text(json.dumps(values, indent=2), encoding="utf-8")
        aside.replace(file)
    except OSError as error:
        raise InputError(f"{file} cannot be written: {reason(error)}") from error


def outcome_of(folder: Path, config: TrainingConfig) -> Outcome:
    """The outcome of the run in `folder`, which need not exist.

    A file that is missing or damaged is as if what it tells were not known.
    """
    found = list_checkpoints(folder / "checkpoints")
    if not found:
        return Outcome(RunStatus.waiting)
    last = int(found[-1].name)
    best = best_first(found, config.metric)[:1]
    metrics = metrics_or_empty(best[0]) if best else {}
    test, signature = _test(folder, best[0].name) if best else (None, None)
    status, why = _ending(folder, last)
    if status is None:
        # What earlier versions left does not tell.
        status = RunStatus.done if last >= config.max_updates or test else RunStatus.stopped
    return Outcome(
        status,
        why,
        {name: metrics[name] for name in ("loss", "bleu", "chrf") if name in metrics},
        test,
        signature,
        last,
        metrics_or_empty(found[-1]).get("minutes"),
    )


def _ending(folder: Path, last: int) -> tuple[RunStatus | None, str]:
    """How training ended, and why; a run that has gone on since then has not ended."""
    result = _read(folder / FILE)
    if result is None:
        return None, ""
    if result.get("update") != last:
        return RunStatus.stopped, ""
    return RunStatus.pruned if result.get("pruned") else RunStatus.done, str(result.get("reason"))


def _test(folder: Path, checkpoint: str) -> tuple[float | None, str | None]:
    """BLEU of `checkpoint` on the test sets and its signature, if it has been tested."""
    result = _read(folder / "test.json") or {}
    try:
        if result["made_by"]["checkpoint"] != checkpoint:
            return None, None
        sets = result.get("sets", [result])
        found = [
            (float(score["value"]), score.get("signature"))
            for each in sets
            for score in each["scores"]
            if score["name"] == "BLEU"
        ]
    except (KeyError, TypeError, ValueError):
        return None, None
    return (fmean(value for value, _ in found), found[0][1]) if found else (None, None)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None
