"""The test at the end of a training."""

import json
from pathlib import Path
from typing import Any

from transformer.checkpoint import find_checkpoint
from transformer.config import EvaluateSettings, TrainSettings, to_mapping
from transformer.evaluation.report import Evaluation, evaluation_of
from transformer.evaluation.system import evaluate
from transformer.text.corpus import open_corpus
from transformer.text.files import read_lines

RESULT = "test.json"


def evaluate_run(settings: TrainSettings) -> Evaluation | None:
    """The scores of a run's best checkpoint on its test split, or None if it has no such split.

    They are kept in the run's folder, and taken from there as long as checkpoint, search and data
    are the same.
    """
    corpus = open_corpus(settings.data)
    if not corpus.has_split("test"):
        return None
    folder = Path(settings.run_dir)
    made_by = {
        "checkpoint": find_checkpoint(folder).name,
        "search": to_mapping(settings.search),
        "data": corpus.fingerprint,
    }
    output = folder / "translations" / f"test.{settings.data.target}"
    if _made_by(folder) == made_by and output.exists():
        pairs = list(corpus.pairs("test"))
        sources, references = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        lines = list(read_lines(output))
        return evaluation_of(str(folder), settings.data.target, sources, lines, references)
    evaluation = evaluate(
        EvaluateSettings(
            checkpoint=str(folder),
            output=str(output),
            search=settings.search,
            device=settings.device,
            precision=settings.precision,
        )
    )
    result = {**evaluation.summary(), "made_by": made_by}
    (folder / RESULT).write_text(json.dumps(result, indent=2), encoding="utf-8")
    return evaluation


def _made_by(folder: Path) -> dict[str, Any] | None:
    """What the result in `folder` was made by; None where there is none that can be read."""
    try:
        made_by: dict[str, Any] = json.loads((folder / RESULT).read_text("utf-8"))["made_by"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return made_by
