"""Where translations are good and bad, and what is wrong with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformer.config import MetricsConfig
from transformer.evaluation.analysis.behaviour import MOSTLY, Behaviour, behaviour_of
from transformer.evaluation.analysis.buckets import RARE, Bucket, buckets_of
from transformer.evaluation.analysis.lines import Lines
from transformer.evaluation.analysis.suspects import CRITERIA
from transformer.evaluation.analysis.training import TrainingText
from transformer.metrics import score_sentences
from transformer.tables import Cell, Table

_SHOWN = 10  # suspects in a table, which is for reading

_WORDS = (
    "Words stand between spaces, case folded and without punctuation around them; of Chinese, "
    "Japanese, Thai and their like each character is one."
)


@dataclass(frozen=True)
class Analysis:
    """What a test set's translations are like. Rows count from 0, lines in tables from 1."""

    lines: Lines
    by_length: list[Bucket]
    by_rarity: list[Bucket] | None  # None where training text or sources are not known
    behaviour: Behaviour
    sentence_scores: list[float]  # chrF, in percent
    training: TrainingText | None

    def best(self, n: int) -> list[int]:
        """The rows with the highest chrF, the best first, earlier ones first among equals."""
        scores = self.sentence_scores
        return sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:n]

    def worst(self, n: int) -> list[int]:
        """The rows with the lowest chrF, the worst first, earlier ones first among equals."""
        scores = self.sentence_scores
        return sorted(range(len(scores)), key=lambda row: (scores[row], row))[:n]

    def tables(self) -> list[Table]:
        """All for people: by length, by rare words where they are known, behaviour, suspects."""
        of = "reference" if self.lines.sources is None else "source"
        found = [_by(self.by_length, f"By words of the {of}", "words", [_WORDS])]
        if self.by_rarity is not None and self.training is not None:
            notes = [f"Rare: fewer than {RARE} times, or never, in the source side of training."]
            notes += [self.training.note] if self.training.note else []
            found.append(_by(self.by_rarity, "By rare words of the source", "rare", notes))
        found.append(_behaviour(self.behaviour))
        if self.behaviour.suspects:
            found.append(_suspects(self))
        return found

    def summary(self) -> dict[str, Any]:
        """All, for JSON; lines count from 1."""
        rarity = self.by_rarity
        training = self.training
        return {
            "by_length": [each.summary() for each in self.by_length],
            "by_rarity": None if rarity is None else [each.summary() for each in rarity],
            "behaviour": self.behaviour.summary(),
            "sentence_chrf": self.sentence_scores,
            "training": None
            if training is None
            else {"lines_read": training.n_lines, "lines": training.n_total, "rare": RARE},
        }


def analyse(
    sources: Sequence[str] | None,
    translations: Sequence[str],
    references: Sequence[Sequence[str]],
    language: str,
    training: TrainingText | None,
    config: MetricsConfig,
) -> Analysis:
    """What `translations` into `language` are like beside one or several streams of references.

    InputError where the counts of lines differ, or there is none.
    """
    lines = Lines(sources, translations, references)
    chrf = score_sentences("chrf", translations, references, language, config)
    by_length, by_rarity = buckets_of(lines, training, language, config)
    return Analysis(
        lines=lines,
        by_length=by_length,
        by_rarity=by_rarity,
        behaviour=behaviour_of(lines, chrf),
        sentence_scores=chrf,
        training=training,
    )


def _by(buckets: Sequence[Bucket], title: str, head: str, notes: Sequence[str]) -> Table:
    names = [score.name for score in buckets[0].scores] if buckets else []
    return Table(
        [head, "sentences", *names, "length ratio"],
        [
            [each.label, each.n, *(score.value for score in each.scores), each.length_ratio]
            for each in buckets
        ],
        title,
        [*notes, "Length ratio: words of translations to those of references."],
    )


def _behaviour(found: Behaviour) -> Table:
    """A row for each thing that is measured."""

    def sentences(name: str, rows: list[int] | None, baseline: int | None = None) -> list[Cell]:
        n = None if rows is None else len(rows)
        return [name, n, _percent(None if n is None else n / max(found.n, 1)), baseline]

    rows: list[list[Cell]] = [
        ["length ratio", None, found.length_ratio, None],
        ["words to source words", None, found.source_ratio, found.reference_source_ratio],
        sentences("empty", found.empty, len(found.empty_references)),
        sentences("copied", found.copied),
        sentences("mostly untranslated", found.untranslated),
        ["untranslated words %", None, _percent(found.untranslated_share), None],
        sentences("repetitive", found.repetitive),
        [
            "repeated words %",
            None,
            _percent(found.repeated_share),
            _percent(found.repeated_share_references),
        ],
        *(sentences(f"suspect: {name}", found.suspected(name)) for name in CRITERIA),
    ]
    notes = [
        "Length ratio: words of translations to those of the references nearest in length.",
        "Empty: nothing but spaces. Copied: the source itself, though no reference is.",
        "Untranslated words: in the source and in no reference, and no numbers.",
        f"Mostly untranslated: over {MOSTLY:.0%} of a translation's words.",
        "Repeated words: say again at once the one to four before them (Welleck et al., 2020).",
        "Repetitive: more repeated words than in source and references.",
        *(f"Suspect, {name}: {text}." for name, text in CRITERIA.items()),
    ]
    columns = ["behaviour", "sentences", "% or ratio", "references"]
    return Table(columns, rows, "Behaviour", notes)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _suspects(analysis: Analysis) -> Table:
    found, lines = analysis.behaviour.suspects, analysis.lines
    rows: list[list[Cell]] = [
        [
            each.row + 1,
            ", ".join(each.criteria),
            *([] if lines.sources is None else [lines.sources[each.row]]),
            lines.translations[each.row],
        ]
        for each in found[:_SHOWN]
    ]
    columns = ["line", "why", *([] if lines.sources is None else ["source"]), "translation"]
    shown = f" ({_SHOWN} of {len(found)} are shown)" if len(found) > _SHOWN else ""
    return Table(columns, rows, f"Suspected hallucinations{shown}")
