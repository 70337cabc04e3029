"""What is translated and scored: test sets of a run, or files."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from transformer.config import DataConfig
from transformer.errors import require
from transformer.text.corpus import text_sets
from transformer.text.files import read_lines
from transformer.translation.sets import numbered_documents

Row = tuple[str, ...]  # source, reference and perhaps document


@dataclass(frozen=True)
class EvaluationSet:
    """Text to be translated, with references."""

    language: str  # of the references
    rows: list[Row]
    name: str | None = None  # of a test set of the run; None: of files
    direction: str | None = None  # as in en-de; None: of files

    @property
    def sources(self) -> list[str]:
        return [row[0] for row in self.rows]

    @property
    def references(self) -> list[str]:
        return [row[1] for row in self.rows]


def own_sets(data: DataConfig, language: str | None = None) -> list[EvaluationSet]:
    """The test sets of a run, none where it has none.

    With a `language`, those of a run of several target languages which are in it, InputError where
    none is; of another run, all, to be scored as that language is.
    """
    sets = [
        EvaluationSet(each.target, each.rows, each.name, f"{each.source}-{each.target}")
        for each in text_sets(data, "test")
    ]
    if language is None or not sets:
        return sets
    if not data.tagged_languages:
        return [EvaluationSet(language, each.rows, each.name, each.direction) for each in sets]
    found = [each for each in sets if each.language == language]
    languages = ", ".join(dict.fromkeys(each.language for each in sets))
    require(bool(found), f"target_language={language}: the run's test sets are in {languages}")
    return found


def set_of_files(
    source: str, reference: str, language: str | None, data: DataConfig
) -> EvaluationSet:
    """The lines of two files, to be translated by a model that was trained on `data`.

    InputError where it has several target languages, and no `language` is given.
    """
    tagged = data.tagged_languages
    require(
        language is not None or not tagged,
        f"the model translates into {', '.join(tagged)}; give one, as in "
        f"target_language={next(iter(tagged), '')}",
    )
    sources, references = read_aligned(source, reference)
    documents = numbered_documents(sources)
    rows: list[Row] = list(zip(sources, references, documents, strict=True))
    return EvaluationSet(language or data.directions[0][1], rows)


def read_aligned(first: str, second: str) -> tuple[list[str], list[str]]:
    """The lines of two files; InputError where one has more."""
    lines = list(read_lines(Path(first))), list(read_lines(Path(second)))
    n, m = map(len, lines)
    require(
        n == m,
        f"{first} has {n} lines but {second} has {m}; parallel files hold one sentence a line",
    )
    return lines


def fingerprint(sets: Sequence[EvaluationSet]) -> str:
    """Hex digest of all that the sets hold."""
    content = json.dumps([asdict(each) for each in sets])
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
