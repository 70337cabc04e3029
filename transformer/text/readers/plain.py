"""Aligned files of lines, by their stem: DIR/train stands for DIR/train.en and DIR/train.de."""

import logging
from collections.abc import Iterator
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from transformer.config import CorpusConfig
from transformer.errors import InputError, require
from transformer.text.alignment import check_alignment
from transformer.text.readers.lines import line_runs
from transformer.text.readers.reader import (
    ALIGNED,
    DOCUMENT,
    PAIR,
    Meter,
    Run,
    digest_of,
    filled,
    numbered,
    regroup,
    size_of,
)
from transformer.text.readers.streams import COMPRESSED, read_blocks

LOGGER = logging.getLogger(__name__)
AT_ONCE = 10_000  # lines of each file that are put side by side


class Stem(NamedTuple):
    """The files of one stem."""

    source: Path
    target: Path
    alignment: Path | None


class PlainReader:
    """The lines of one stem, or of all stems in a folder, one after another.

    With `documents`, a file begins a document and a blank pair of lines ends one.
    """

    def __init__(self, path: Path, corpus: CorpusConfig, *, documents: bool = False) -> None:
        names = stems_in(path, corpus) if path.is_dir() else [path]
        self._stems = [_files(stem, corpus) for stem in names]
        self._aligned = corpus.alignment is not None
        self._documents = documents
        require(
            not (documents and self._aligned), f"{path} cannot have both documents and alignments"
        )

    @property
    def fields(self) -> tuple[str, ...]:
        return ALIGNED if self._aligned else DOCUMENT if self._documents else PAIR

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the content of all files, in their order, whatever their names."""
        return digest_of(self._files, self.fields)

    @property
    def n_bytes(self) -> int | None:
        return sum(size_of(file) for file in self._files)

    @property
    def _files(self) -> list[Path]:
        return [file for stem in self._stems for file in stem if file is not None]

    def columns(self, size: int, meter: Meter | None = None) -> Iterator[Run]:
        stems = (_rows(stem, meter) for stem in self._stems)
        if self._documents:
            rows = regroup(numbered(stems), size)
            return filled(rows, f"{self._files[0]} holds no sentence that is not blank")
        return regroup((run for runs in stems for run in runs), size)


def stems_in(folder: Path, corpus: CorpusConfig) -> list[Path]:
    """The stems in a folder that have files of both languages, sorted.

    So `Name.de-en.de` and `Name.de-en.en`, as OPUS has it, are of the stem `Name.de-en`. InputError
    where there is none.
    """
    source, target = ({*_stems_of(folder, language)} for language in corpus.direction)
    found = sorted(source & target)
    if not found:
        ending = " and x.".join(corpus.direction)
        raise InputError(f"{folder} holds no pair of files such as x.{ending}")
    if alone := sorted(source ^ target):
        names = ", ".join(stem.name for stem in alone[:5])
        LOGGER.warning(
            "%s: left out %d stems with a file of one language only: %s", folder, len(alone), names
        )
    return found


def has_stems(folder: Path, corpus: CorpusConfig) -> bool:
    """Whether a folder holds files of both languages by the same stem."""
    source, target = ({*_stems_of(folder, language)} for language in corpus.direction)
    return bool(source & target)


def _stems_of(folder: Path, language: str) -> Iterator[Path]:
    for file in folder.iterdir():
        name = file.with_suffix("") if file.suffix.lower() in COMPRESSED else file
        if name.suffix == f".{language}" and name.stem and not name.name.startswith("."):
            yield name.with_suffix("")


def one_of(path: Path) -> Path:
    """The file itself or, where there is no such, its compressed form; InputError where both are.

    The path as it is where there is neither.
    """
    found = [path] if path.exists() else []
    for ending in COMPRESSED:
        packed = path.with_name(path.name + ending)
        if packed.exists():
            found.append(packed)
    require(
        len(found) < 2,
        f"{' and '.join(map(str, found))} are both there; remove one, or name another stem",
    )
    return found[0] if found else path


def _hint(stem: Path, corpus: CorpusConfig) -> str:
    """What may be meant by the path of something that is no stem."""
    if not stem.is_file():
        return ""
    if stem.suffix[1:] in corpus.direction:
        return f"; give the stem of both files, {stem.with_suffix('')}"
    return "; if it is a table or a memory, say which, as in format=tsv"


def _files(stem: Path, corpus: CorpusConfig) -> Stem:
    """The files of a stem; the ending is appended, so a stem may itself hold dots."""
    endings = (*corpus.direction, corpus.alignment)
    files = [
        None if ending is None else one_of(stem.with_name(f"{stem.name}.{ending}"))
        for ending in endings
    ]
    for file in files:
        if file is not None and not file.exists():
            raise InputError(f"{file} does not exist{_hint(stem, corpus)}")
    source, target, alignment = files
    assert source is not None
    assert target is not None
    return Stem(source, target, alignment)


def _rows(stem: Stem, meter: Meter | None) -> Iterator[Run]:
    """Runs of the lines of a stem's files, side by side."""
    files = [file for file in stem if file is not None]
    runs = [
        regroup(((lines,) for lines in line_runs(read_blocks(file, meter), str(file))), AT_ONCE)
        for file in files
    ]
    counts = [0] * len(files)
    for columns in zip_longest(*runs, fillvalue=([],)):
        rows = tuple(column for (column,) in columns)
        counts = [n + len(column) for n, column in zip(counts, rows, strict=True)]
        if len(set(counts)) > 1:
            for i, rest in enumerate(runs):
                counts[i] += sum(len(column) for (column,) in rest)
            break
        if stem.alignment is not None:
            _check_alignments(stem.alignment, counts[0] - len(rows[0]), rows)
        yield rows
    _check_counts(files, counts)


def _check_counts(files: list[Path], counts: list[int]) -> None:
    for file, n_lines in zip(files, counts, strict=True):
        require(n_lines > 0, f"{file} is empty; it must hold one sentence a line")
    (source, target, *alignment), (n, m, *links) = files, counts
    require(
        n == m,
        f"{source} has {n} lines but {target} has {m}; parallel files hold one sentence a line",
    )
    for file, n_links in zip(alignment, links, strict=True):
        require(
            n_links == n,
            f"{file} has {n_links} lines but {source} has {n}; it must hold a line for each "
            "pair, if only an empty one",
        )


def _check_alignments(file: Path, n_before: int, rows: Run) -> None:
    for number, (source, target, links) in enumerate(zip(*rows, strict=True), start=n_before + 1):
        try:
            check_alignment(links, source, target)
        except InputError as error:
            raise InputError(f"{file}, line {number}: {error}") from error
