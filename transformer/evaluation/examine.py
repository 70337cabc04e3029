"""What is said of translations beside their scores: analyses, and where scores may mislead."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from transformer.config import DataConfig, EvaluateSettings, TrainSettings, load_settings
from transformer.errors import require
from transformer.evaluation.analysis import TrainingText, analyse, cautions, training_text
from transformer.evaluation.results import Evaluation
from transformer.evaluation.sets import EvaluationSet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Examiner:
    """Adds to evaluations what the settings ask for beside the scores."""

    settings: EvaluateSettings
    training: Mapping[str | None, TrainingText | None]  # by direction of the set
    told: set[str] = field(default_factory=set)  # cautions of a set, which hold for all systems

    @classmethod
    def of(
        cls, settings: EvaluateSettings, sets: Sequence[EvaluationSet], data: DataConfig | None
    ) -> "Examiner":
        """What examines translations of `sets`; `data` names the training text, if there is any."""
        found: dict[str | None, TrainingText | None] = {}
        for first in sets:
            if data is None or first.direction in found:
                continue
            sides = None
            if first.source_language is not None:
                sides = (first.source_language, first.language)
            alike = [each for each in sets if each.direction == first.direction]
            texts = [(each.sources, each.references) for each in alike]
            found[first.direction], note = training_text(data, texts, direction=sides)
            if note is not None:
                logger.warning("%s", note)
        return cls(settings, found)

    def examined(self, evaluation: Evaluation, each: EvaluationSet) -> Evaluation:
        """The `evaluation` of a set, with analysis and cautions, which go to the log as well."""
        training = self.training.get(each.direction)
        metrics = self.settings.metrics
        found = cautions(
            evaluation.system,
            evaluation.translations,
            evaluation.references,
            language=evaluation.language,
            source_language=each.source_language,
            sources=evaluation.sources,
            config=metrics,
            training=training,
            test_set=each.name or "the test set",
        )
        for line in found:
            if line not in self.told:
                self.told.add(line)
                logger.warning("%s", line)
        analysis = None
        if self.settings.analysis:
            analysis = analyse(
                evaluation.sources,
                evaluation.translations,
                evaluation.references,
                evaluation.language,
                training,
                metrics,
            )
        return replace(evaluation, cautions=found, analysis=analysis)


def data_of(run: str) -> DataConfig:
    """What the run in the folder `run` was trained on."""
    file = Path(run) / "config.yaml"
    require(file.is_file(), f"trained_on={run} is no run: there is no {file}")
    return load_settings(TrainSettings, file).data
