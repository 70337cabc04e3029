"""What a page is about: a run, the runs beside it, and what their translations are worth."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from transformer.config import ReportSettings
from transformer.errors import InputError
from transformer.evaluation.analysis import (
    Analysis,
    TrainingText,
    analyse,
    cautions,
    training_text,
)
from transformer.evaluation.page.runs import Run
from transformer.evaluation.page.translated import TranslatedSet
from transformer.metrics import Score, score_corpus
from transformer.text.cleaning import has_spaces

NO_TRANSLATIONS = (
    "There are no translations that can be compared with references; Scores says what is missing."
)


@dataclass(frozen=True)
class Scored:
    """A set with what its translations are worth, as a whole and line by line."""

    text: TranslatedSet
    scores: list[Score]
    analysis: Analysis

    @property
    def chrf(self) -> list[float]:
        """The score of each line."""
        return self.analysis.sentence_scores

    @property
    def lengths(self) -> list[int]:
        """Words of each source; of languages without spaces, characters."""
        return [len(words) for words in self.analysis.lines.source_words or ()]

    @property
    def by_characters(self) -> bool:
        """Whether the language has no spaces, so that its texts differ in characters."""
        return not has_spaces(self.text.language)


@dataclass(frozen=True)
class Subject:
    """All that the sections of a page show."""

    settings: ReportSettings
    run: Run
    others: list[Run]

    @cached_property
    def _found(self) -> tuple[list[Scored], list[str]]:
        scored, notes = [], list(self.run.outputs.notes)
        for each in self.run.outputs.sets:
            try:
                scored.append(self.score(each, self._training(each.direction)))
            except InputError as error:
                notes.append(f"The {each.label} cannot be scored: {error}.")
        return scored, notes

    @property
    def scored(self) -> list[Scored]:
        """The run's translated sets."""
        return self._found[0]

    @property
    def missing(self) -> list[str]:
        """What there is to say of sets that are not among them."""
        return self._found[1]

    @cached_property
    def training_notes(self) -> list[str]:
        """What there is to say of the training text that was looked at."""
        notes = (self._trainings[direction][1] for direction in self._directions)
        return list(dict.fromkeys(note for note in notes if note is not None))

    @property
    def _directions(self) -> list[str]:
        return list(dict.fromkeys(each.direction for each in self.run.outputs.sets))

    @cached_property
    def _trainings(self) -> dict[str, tuple[TrainingText | None, str | None]]:
        return {direction: self._read_training(direction) for direction in self._directions}

    def _read_training(self, direction: str) -> tuple[TrainingText | None, str | None]:
        data = self.run.settings.data
        sets = self.run.outputs.sets
        mine = [(each.sources, [each.references]) for each in sets if each.direction == direction]
        pair = next(
            (each.source_language, each.language) for each in sets if each.direction == direction
        )
        asked = pair if len(data.directions) > 1 else None
        return training_text(data, mine, direction=asked)

    def _training(self, direction: str) -> TrainingText | None:
        return self._trainings[direction][0]

    def score(self, each: TranslatedSet, training: TrainingText | None) -> Scored:
        """A set scored as the settings ask; InputError where a metric cannot do so."""
        config, references = self.settings.metrics, [each.references]
        lines = each.translations
        return Scored(
            text=each,
            scores=score_corpus(lines, references, each.language, config, each.sources),
            analysis=analyse(each.sources, lines, references, each.language, training, config),
        )

    @cached_property
    def cautions(self) -> list[str]:
        """What may mislead about the scores, of all sets and runs, each once."""
        found = []
        for each, beside in zip(self.scored, self.beside, strict=True):
            systems = [(self.run.name, each.text), *((run.name, text) for run, text in beside)]
            for name, text in systems:
                found += self._cautions(name, text, each)
        return list(dict.fromkeys(found))

    def _cautions(self, name: str, text: TranslatedSet, mine: Scored) -> list[str]:
        return cautions(
            name,
            text.translations,
            [text.references],
            language=text.language,
            source_language=text.source_language,
            sources=text.sources,
            config=self.settings.metrics,
            training=mine.analysis.training,
            test_set=f"the {mine.text.label}",
        )

    @cached_property
    def beside(self) -> list[list[tuple[Run, TranslatedSet]]]:
        """For each of `scored`, the runs of `against` that translated the same text."""
        return [list(self._matching(each.text)) for each in self.scored]

    def _matching(self, wanted: TranslatedSet) -> list[tuple[Run, TranslatedSet]]:
        found = []
        for run in self.others:
            outputs = run.tests if wanted.split == "test" else run.valids
            match = outputs.matching(wanted)
            if match is not None:
                found.append((run, match))
        return found


def signatures(groups: Sequence[tuple[str, Sequence[Score]]]) -> list[tuple[str, str]]:
    """The signatures of all scores, each once, by the metric, and the set where it matters."""
    by_metric: dict[str, dict[str, str]] = {}
    for label, scores in groups:
        for score in scores:
            by_metric.setdefault(score.name, {}).setdefault(score.signature, label)
    return [
        (name if len(found) == 1 else f"{name}, {label}", signature)
        for name, found in by_metric.items()
        for signature, label in found.items()
    ]
