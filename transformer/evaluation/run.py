"""The test at the end of a training."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from transformer.checkpoint import find_checkpoint
from transformer.config import EvaluateSettings, TrainSettings, to_mapping
from transformer.evaluation.report import Report
from transformer.evaluation.sets import EvaluationSet, fingerprint, own_sets
from transformer.evaluation.system import score_sets, scored
from transformer.text.files import read_lines
from transformer.translation import open_output, start

RESULT = "test.json"


def evaluate_run(settings: TrainSettings) -> Report | None:
    """The scores of a run's best checkpoint on its test sets, or None if it has none.

    They are kept in the run's folder, and taken from there as long as checkpoint, search and data
    are the same.
    """
    sets = own_sets(settings.data)
    if not sets:
        return None
    folder = Path(settings.run_dir)
    made_by = {
        "checkpoint": find_checkpoint(folder).name,
        "search": to_mapping(settings.search),
        "data": fingerprint(sets),
    }
    outputs = [folder / "translations" / _file_name(each, len(sets)) for each in sets]
    if _made_by(folder) == made_by and all(output.exists() for output in outputs):
        found = [
            scored(str(folder), each, list(read_lines(output)))
            for each, output in zip(sets, outputs, strict=True)
        ]
        return Report(found, directed=len(settings.data.directions) > 1)
    report = _translated(settings, sets, outputs)
    result = {**report.summary(), "made_by": made_by}
    (folder / RESULT).write_text(json.dumps(result, indent=2), encoding="utf-8")
    return report


def _file_name(each: EvaluationSet, n_sets: int) -> str:
    name = f"test.{each.name}" if n_sets > 1 else "test"
    return f"{name}.{each.language}"


def _translated(settings: TrainSettings, sets: list[EvaluationSet], outputs: list[Path]) -> Report:
    """The scores of translations that are made and, all at the end, written to `outputs`."""
    asked = EvaluateSettings(
        checkpoint=settings.run_dir,
        search=settings.search,
        device=settings.device,
        precision=settings.precision,
    )
    with ExitStack() as stack:
        files = [stack.enter_context(open_output(str(output))) for output in outputs]
        report = score_sets(start(asked), sets, settings.search, str(Path(settings.run_dir)))
        for file, evaluation in zip(files, report.sets, strict=True):
            file.writelines(text + "\n" for text in evaluation.translations)
    return report


def _made_by(folder: Path) -> dict[str, Any] | None:
    """What the result in `folder` was made by; None where there is none that can be read."""
    try:
        made_by: dict[str, Any] = json.loads((folder / RESULT).read_text("utf-8"))["made_by"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return made_by
