"""The test at the end of a training."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from transformer.checkpoint import find_checkpoint
from transformer.config import EvaluateSettings, MetricsConfig, TrainSettings, to_mapping
from transformer.errors import InputError
from transformer.evaluation.results import Results
from transformer.evaluation.sets import EvaluationSet, fingerprint, own_sets
from transformer.evaluation.system import Texts, scored, translated
from transformer.text.files import read_lines
from transformer.translation import open_output, start

RESULT = "test.json"


def evaluate_run(settings: TrainSettings) -> Results | None:
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
    outputs = [output_file(folder, each, len(sets)) for each in sets]
    kept = _kept(outputs, sets) if _made_by(folder) == made_by else None
    texts = _translated(settings, sets, outputs) if kept is None else kept
    results = Results(
        [
            scored(str(folder), each, lines, MetricsConfig())
            for each, lines in zip(sets, texts, strict=True)
        ],
        directed=len(settings.data.directions) > 1,
    )
    if kept is None:
        result = {**results.summary(), "made_by": made_by}
        (folder / RESULT).write_text(json.dumps(result, indent=2), encoding="utf-8")
    return results


def _kept(outputs: list[Path], sets: list[EvaluationSet]) -> Texts | None:
    """The translations of all sets, or None where a file is gone, cut off or no text any more."""
    try:
        texts = [list(read_lines(output)) for output in outputs]
    except InputError:
        return None
    lengths = [len(each.references[0]) for each in sets]
    return texts if list(map(len, texts)) == lengths else None


def output_file(folder: Path, each: EvaluationSet, n_sets: int) -> Path:
    """Where the run in `folder`, of `n_sets` test sets, keeps its translations of one of them."""
    name = f"test.{each.name}" if n_sets > 1 else "test"
    return folder / "translations" / f"{name}.{each.language}"


def _translated(settings: TrainSettings, sets: list[EvaluationSet], outputs: list[Path]) -> Texts:
    """Translations that are made and, all at the end, written to `outputs`."""
    asked = EvaluateSettings(
        checkpoint=settings.run_dir,
        search=settings.search,
        device=settings.device,
        precision=settings.precision,
    )
    with ExitStack() as stack:
        files = [stack.enter_context(open_output(str(output))) for output in outputs]
        texts = translated(start(asked), sets, settings.search, MetricsConfig())
        for file, lines in zip(files, texts, strict=True):
            file.writelines(text + "\n" for text in lines)
    return texts


def _made_by(folder: Path) -> dict[str, Any] | None:
    """What the result in `folder` was made by; None where there is none that can be read."""
    try:
        made_by: dict[str, Any] = json.loads((folder / RESULT).read_text("utf-8"))["made_by"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return made_by
