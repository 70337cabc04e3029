"""Settings of one corpus: where its pairs are, in what form, and what they count for."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import PurePath
from typing import Any

from transformer.config.languages import check_language
from transformer.config.mapping import from_mapping, shown
from transformer.errors import InputError, require


class CorpusFormat(Enum):
    """How pairs are written down; `auto` goes by what there is and by how its name ends."""

    auto = "auto"
    plain = "plain"  # two files of lines, by their stem: DIR/a for DIR/a.en and DIR/a.de
    moses = "moses"  # the same, and a folder stands for all stems in it
    tsv = "tsv"
    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"
    tmx = "tmx"
    xliff = "xliff"
    po = "po"  # gettext, .mo as well
    hub = "hub"  # a name on the Hugging Face hub, or a folder or file of `datasets`
    prepared = "prepared"  # a folder that `transformer prepare` printed
    phrasebook = "phrasebook"  # the embedded one


TAG = re.compile(r"[A-Za-z0-9_-]+")
# Its piece would be one of SentencePiece's, the one between sentences, or that of a language.
TAKEN_TAG = re.compile(r"pad|unk|s|sep|0x[0-9A-F]{2}|2[A-Za-z]{2,3}([-_].*)?")
STDIN = "-"


@dataclass(kw_only=True)
class CorpusConfig:
    """A corpus, as an entry of data.train, data.valid or data.test.

    What is null is taken from the settings of all of data.
    """

    path: str
    name: str | None = None  # in reports, curves and names of files; null: from the path
    format: CorpusFormat = CorpusFormat.auto
    source: str | None = None  # languages
    target: str | None = None
    weight: float = 1.0  # how often each of its pairs is seen, beside those of the others
    tag: str | None = None  # piece put before each source, as in bt for <bt>
    alignment: str | None = None  # plain: ending of the file of alignments
    # Tables: a column's name, or its number from 1 where there is no header.
    source_column: str | None = None
    target_column: str | None = None
    document_column: str | None = None  # its value changes where a document ends
    config: str | None = None  # hub: name of the configuration
    split: str | None = None
    revision: str | None = None
    streaming: bool | None = None

    def __post_init__(self) -> None:
        require(isinstance(self.path, str) and self.path != "", "a corpus needs a path")
        for name in ("source", "target"):
            code = getattr(self, name)
            if code is not None:
                check_language(name, code)
        require(0 < self.weight < math.inf, f"weight={self.weight} of {self.path} must be above 0")
        require(
            self.tag is None or TAG.fullmatch(self.tag) is not None,
            f"tag={self.tag} of {self.path} must consist of letters, digits, _ and -",
        )
        require(
            self.tag is None or TAKEN_TAG.fullmatch(self.tag) is None,
            f"tag={self.tag} of {self.path} stands for a piece of another meaning, <{self.tag}>; "
            "choose another",
        )
        require(
            self.name is None or re.fullmatch(r"[\w.-]+", self.name) is not None,
            f"name={self.name} of {self.path} must consist of letters, digits, . _ and -",
        )

    @property
    def label(self) -> str:
        """The name, which `named` has made sure of."""
        assert self.name is not None
        return self.name

    @property
    def direction(self) -> tuple[str, str]:
        """Source and target language of a corpus that has both."""
        assert self.source is not None
        assert self.target is not None
        return self.source, self.target


def read_corpora(key: str, value: Any) -> list[CorpusConfig]:
    """The entries of a setting: text, a mapping, or a list of them; none where it is null or "".

    InputError, naming its `key`, where it is something else.
    """
    if value is None or value == "":
        return []
    entries = value if isinstance(value, list) else [value]
    return [_read(f"{key}[{i}]" if len(entries) > 1 else key, x) for i, x in enumerate(entries)]


def _read(key: str, entry: Any) -> CorpusConfig:
    if isinstance(entry, str):
        require(entry != "", f"{key} is empty; give a path")
        return CorpusConfig(path=entry)
    if isinstance(entry, dict) and "path" not in entry:
        from_mapping(CorpusConfig, {**entry, "path": "?"}, key)  # names a key that is misspelt
    if not isinstance(entry, dict) or "path" not in entry:
        raise InputError(
            f"{key}={shown(entry)} must be a path, or a group of settings with one, as in "
            "{path: DIR/a, weight: 2}, or a list of these"
        )
    # YAML reads the number of a column as one.
    entry = {
        name: str(value) if name.endswith("_column") and type(value) is int else value
        for name, value in entry.items()
    }
    try:
        return from_mapping(CorpusConfig, entry, key)
    except InputError as error:
        text = str(error)
        raise InputError(text if key in text else f"{key}: {text}") from error


def named(corpora: Sequence[CorpusConfig]) -> list[CorpusConfig]:
    """The corpora, each with a name of its own: as given, or as short an end of its path as does.

    InputError where one name is given twice.
    """
    given = [corpus.name for corpus in corpora if corpus.name is not None]
    twice = next((name for name in given if given.count(name) > 1), None)
    require(twice is None, f"two corpora have the name {twice}; give each its own")
    found: list[CorpusConfig] = []
    names = set(given)
    for corpus in corpora:
        if corpus.name is None:
            same = [c for c in corpora if c.name is None and _tail(c, 1) == _tail(corpus, 1)]
            name = base = _tail(corpus, 1 if len(same) == 1 else 2)
            number = 1
            while name in names:
                number += 1
                name = f"{base}-{number}"
            names.add(name)
            corpus = replace(corpus, name=name)  # noqa: PLW2901
        found.append(corpus)
    return found


def _tail(corpus: CorpusConfig, n: int) -> str:
    """The last `n` parts of the path, in characters that file names may have."""
    if corpus.path == STDIN:
        return "stdin"
    parts = [part for part in PurePath(corpus.path).parts if part not in ("/", "..")][-n:]
    if corpus.format is CorpusFormat.hub and corpus.config:
        parts.append(corpus.config)
    return re.sub(r"[^\w.-]+", "_", "-".join(parts)) or "corpus"
