"""What is translated and scored: test sets of a run, files, sets that sacreBLEU knows."""

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
    sources: list[str] | None  # None: of translations that are there already
    references: list[list[str]]  # one or several of each sentence: streams of a line a sentence
    documents: list[str] | None = None  # of each sentence, where borders matter
    name: str | None = None  # of a test set of the run, or sacreBLEU's; None: of files
    source_language: str | None = None  # None: of files

    @property
    def direction(self) -> str | None:
        """As in en-de; None: of files."""
        return None if self.source_language is None else f"{self.source_language}-{self.language}"

    @property
    def rows(self) -> list[Row]:
        """Source, the first reference and, where it is known, document of each sentence."""
        assert self.sources is not None, "without sources there is nothing to translate"
        columns = [self.sources, self.references[0]]
        return list(zip(*columns, *([self.documents] if self.documents else []), strict=True))


def own_sets(data: DataConfig, language: str | None = None) -> list[EvaluationSet]:
    """The test sets of a run, none where it has none.

    With a `language`, those of a run of several target languages which are in it, InputError where
    none is; of another run, all, to be scored as that language is.
    """
    found = [
        EvaluationSet(
            language=language if language and not data.tagged_languages else each.target,
            sources=each.sources,
            references=[each.references],
            documents=each.documents,
            name=each.name,
            source_language=each.source,
        )
        for each in text_sets(data, "test")
    ]
    if language is None or not found or not data.tagged_languages:
        return found
    languages = ", ".join(dict.fromkeys(each.language for each in found))
    chosen = [each for each in found if each.language == language]
    require(bool(chosen), f"target_language={language}: the run's test sets are in {languages}")
    return chosen


def require_language(language: str | None, data: DataConfig) -> str:
    """The `language` that a model trained on `data` is to translate into, or its only one.

    InputError where it has several target languages, and no `language` is given.
    """
    tagged = data.tagged_languages
    require(
        language is not None or not tagged,
        f"the model translates into {', '.join(tagged)}; give one, as in "
        f"target_language={next(iter(tagged), '')}",
    )
    return language or data.directions[0][1]


def set_of_files(
    source: str | None, references: Sequence[str], language: str, first: str | None = None
) -> EvaluationSet:
    """The lines of a file of sources, where there is one, and of files of `references`.

    InputError where one has more lines than the `first` of all files: by default the source.
    """
    first = first or source or references[0]
    n = len(list(read_lines(Path(first))))
    streams = [aligned(first, n, file) for file in references]
    sources = None if source is None else aligned(first, n, source)
    documents = None if sources is None else numbered_documents(sources)
    return EvaluationSet(language, sources, streams, documents)


def aligned(first: str, n: int, file: str) -> list[str]:
    """The lines of `file`; InputError unless they are `n`, as those of the file `first`."""
    lines = list(read_lines(Path(file)))
    require(
        len(lines) == n,
        f"{first} has {n} lines but {file} has {len(lines)}; parallel files hold one sentence a "
        "line",
    )
    return lines


def fingerprint(sets: Sequence[EvaluationSet]) -> str:
    """Hex digest of all that the sets hold."""
    content = json.dumps([asdict(each) for each in sets])
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
