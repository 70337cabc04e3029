"""The scores of one system on one test set, for people and for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from transformer.metrics import Score, score_corpus


@dataclass(frozen=True)
class Evaluation:
    """Translations of a test set with their scores."""

    system: str  # the checkpoint or the file that the translations are of
    language: str  # of the translations
    scores: list[Score]
    sources: list[str] | None  # None where only translations were given
    translations: list[str]
    references: list[str]

    def table(self) -> str:
        """The scores as text, a line a metric, with what is needed to compute them again."""
        head = f"{self.system}: {len(self.translations):,} sentences, language {self.language}"
        rows = [f"{score.name:<5} {score.value:6.2f}  {score.signature}" for score in self.scores]
        return "\n".join([head, *rows])

    def json(self) -> str:
        """The scores as JSON, unrounded."""
        return json.dumps(self.summary(), indent=2, ensure_ascii=False)

    def summary(self) -> dict[str, Any]:
        """All but the text."""
        return {
            "system": self.system,
            "language": self.language,
            "sentences": len(self.translations),
            "scores": [asdict(score) for score in self.scores],
        }

    def samples(self, n: int) -> str:
        """`n` triples of source, translation and reference, evenly from the whole set."""
        n = min(n, len(self.translations))
        rows = [i * len(self.translations) // n for i in range(n)]
        return "\n\n".join(self._triple(row) for row in rows)

    def _triple(self, row: int) -> str:
        lines = [
            f"translation  {self.translations[row]}",
            f"reference    {self.references[row]}",
        ]
        if self.sources is not None:
            lines.insert(0, f"source       {self.sources[row]}")
        return "\n".join(lines)


def evaluation_of(
    system: str,
    language: str,
    sources: Sequence[str] | None,
    translations: Sequence[str],
    references: Sequence[str],
) -> Evaluation:
    """`translations` scored; InputError where there are more or fewer of them than references."""
    return Evaluation(
        system=system,
        language=language,
        scores=score_corpus(translations, references, language),
        sources=None if sources is None else list(sources),
        translations=list(translations),
        references=list(references),
    )
