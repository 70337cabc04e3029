"""The sets that a run translated, with references."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from transformer.config import DataConfig
from transformer.errors import InputError
from transformer.text.corpus import TextSet, text_sets
from transformer.text.files import read_lines


@dataclass(frozen=True)
class TranslatedSet:
    """A test or validation set, and what a run made of it."""

    split: str  # test or valid
    name: str
    source_language: str
    language: str  # of translations and references
    rows: list[tuple[str, ...]]  # source, reference and perhaps document
    translations: list[str]
    update: int | None = None  # after which they were made; None: of the best checkpoint
    label: str = ""  # for people; of one of several it holds the name

    @cached_property
    def sources(self) -> list[str]:
        return [row[0] for row in self.rows]

    @cached_property
    def references(self) -> list[str]:
        return [row[1] for row in self.rows]

    @property
    def direction(self) -> str:
        """As in en-de."""
        return f"{self.source_language}-{self.language}"

    def same_text(self, other: "TranslatedSet") -> bool:
        """Whether both translate the same lines and are to be compared with the same."""
        mine = (self.language, self.sources, self.references)
        return mine == (other.language, other.sources, other.references)


@dataclass(frozen=True)
class Outputs:
    """The sets of a split that are translated, and what there is to say of those that are not."""

    sets: list[TranslatedSet] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def matching(self, wanted: TranslatedSet) -> TranslatedSet | None:
        """The set with the text of `wanted`, whatever it is called; None where there is none."""
        return next((each for each in self.sets if each.same_text(wanted)), None)


def test_outputs(run: Path, data: DataConfig) -> Outputs:
    """The test sets of a run with the translations of its best checkpoint."""
    sets, notes = _texts(data, "test")
    if not sets:
        return Outputs(notes=notes)
    found = []
    for each in sets:
        stem = f"test.{each.name}" if len(sets) > 1 else "test"
        file = run / "translations" / f"{stem}.{each.target}"
        if not file.exists():
            notes.append(
                f"The test set {each.name} is not translated: {file.name} is not there. It is "
                "made when training ends; the same training command does it."
            )
        elif lines := _lines(file, each, notes):
            found.append(_translated("test", each, lines, None))
    return Outputs(_labelled(found), notes)


def valid_outputs(run: Path, data: DataConfig) -> Outputs:
    """The validation sets of a run with the translations of the last validation."""
    sets, notes = _texts(data, "valid")
    found = []
    for each in sets:
        stem = f"valid.{each.name}" if len(sets) > 1 else "valid"
        files = _numbered(run / "translations", stem, each.target)
        if not files:
            notes.append(
                f"The validation set {each.name} is not translated yet; the first validation, "
                "after training.validate_every updates, does it."
            )
        elif lines := _lines(files[max(files)], each, notes):
            found.append(_translated("valid", each, lines, max(files)))
    return Outputs(_labelled(found), notes)


def _texts(data: DataConfig, split: str) -> tuple[list[TextSet], list[str]]:
    """The sets of a split, and why there are none."""
    try:
        sets = text_sets(data, split)
    except InputError as error:
        note = (
            f"The text of the {split} sets cannot be read, so that nothing is compared with it: "
            f"{error}. Put it back where config.yaml says."
        )
        return [], [note]
    if not sets and split == "test":
        note = (
            "The run has no test set: data.test is not set. Give one when training, or score "
            "files with transformer evaluate source=FILE reference=FILE."
        )
        return [], [note]
    return sets, []


def _lines(file: Path, each: TextSet, notes: list[str]) -> list[str]:
    """The translations in `file`; none, and a note, where they are not those of the set."""
    try:
        lines = list(read_lines(file))
    except InputError as error:
        notes.append(f"The translations of {each.name} cannot be read: {error}.")
        return []
    if len(lines) == len(each.rows):
        return lines
    notes.append(
        f"{file.name} has {len(lines):,} lines but the set {each.name} has {len(each.rows):,}: "
        "the set has changed since, or the file is cut off. It is left out."
    )
    return []


def _numbered(folder: Path, stem: str, language: str) -> dict[int, Path]:
    """The files of the validations, STEM.NNNNNNNN.LANGUAGE, by update."""
    found = {}
    for file in folder.glob(f"*.{language}") if folder.is_dir() else ():
        middle = file.name.removeprefix(f"{stem}.").removesuffix(f".{language}")
        if file.name.startswith(f"{stem}.") and middle.isdecimal():
            found[int(middle)] = file
    return found


def _translated(split: str, each: TextSet, lines: list[str], update: int | None) -> TranslatedSet:
    return TranslatedSet(
        split=split,
        name=each.name,
        source_language=each.source,
        language=each.target,
        rows=each.rows,
        translations=lines,
        update=update,
    )


def _labelled(sets: Sequence[TranslatedSet]) -> list[TranslatedSet]:
    """The sets with labels, which say no more than tells them apart."""
    return [replace(each, label=_label(each, alone=len(sets) == 1)) for each in sets]


def _label(each: TranslatedSet, *, alone: bool) -> str:
    name = each.direction if alone else f"{each.name} ({each.direction})"
    if each.split == "test":
        return f"test set {name}"
    return f"validation set {name} after update {each.update:,}"
