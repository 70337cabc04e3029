"""Terms that have a given translation wherever they occur."""

import re
import sys
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path

from transformer.errors import InputError, require
from transformer.text.files import split_lines
from transformer.translation.splitting import sentence_ends

# Scripts whose words are not parted by spaces, for a class of characters: Thai, Lao, Tibetan,
# Burmese, Khmer, kana and bopomofo, Chinese characters.
UNSPACED = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u312f\u31a0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_MARKS = "".join(
    char
    for char in map(chr, range(0x300, min(0x20000, sys.maxunicode)))
    if unicodedata.category(char).startswith("M") and not re.match(f"[{UNSPACED}]", char)
)
# A letter or digit of a word, in scripts with spaces; marks, such as vowel signs, belong to it.
_WORD = rf"(?:[^\W{UNSPACED}]|[{_MARKS}])"

_ATOM = re.compile(rf"{_WORD}+|\s+|.", re.DOTALL)


class Terminology:
    """Target terms by source term, found in lines."""

    def __init__(self, terms: Mapping[str, str], places: Mapping[str, str] | None = None) -> None:
        """Take target terms by source term and, by target term, where each is written."""
        self.places = places or {target: f"the term {target!r}" for target in terms.values()}
        self._exact: dict[tuple[str, ...], str] = {}
        self._capitalised: dict[tuple[str, ...], str] = {}  # at the beginning of a sentence
        lengths: defaultdict[str, set[int]] = defaultdict(set)
        for source, target in terms.items():
            atoms = _atoms(source)
            self._exact[atoms] = target
            lengths[atoms[0]].add(len(atoms))
            if source.islower():
                atoms = _atoms(source[0].upper() + source[1:])
                self._capitalised[atoms] = target
                lengths[atoms[0]].add(len(atoms))
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}

    def __len__(self) -> int:
        return len(self._exact)

    def terms_in(self, source: str) -> list[str]:
        """The target term of each occurrence of a source term as whole words, in their order.

        Occurrences do not overlap: the line is read from its beginning, and where several terms
        begin, the longest counts. In scripts without spaces any place will do. Case matters,
        except that a term all in lower case may begin a sentence with a capital.
        """
        found = list(_ATOM.finditer(source))
        atoms = tuple(_atom(atom) for atom in found)
        begins = frozenset(_sentence_begins(source, found))
        targets, i = [], 0
        while i < len(atoms):
            n_atoms = 1
            for n in self._lengths.get(atoms[i], ()):
                term = atoms[i : i + n]
                target = self._exact.get(term)
                if target is None and i in begins:
                    target = self._capitalised.get(term)
                if target is not None:
                    targets.append(target)
                    n_atoms = n
                    break
            i += n_atoms
        return targets


def _atoms(text: str) -> tuple[str, ...]:
    """Words, the characters between them, and a single space for white space."""
    return tuple(map(_atom, _ATOM.finditer(text)))


def _atom(found: re.Match[str]) -> str:
    return " " if found[0].isspace() else found[0]


def _sentence_begins(source: str, atoms: Sequence[re.Match[str]]) -> Iterator[int]:
    """The numbers of the atoms that are the first words of sentences."""
    words = [(atom.start(), i) for i, atom in enumerate(atoms) if atom[0][0].isalnum()]
    for end in (0, *sentence_ends(source)):
        place = bisect_left(words, (end, 0))
        if place < len(words):
            yield words[place][1]


def read_terminology(path: str) -> Terminology:
    """The terms of a UTF-8 file: a source term, a tab and its target term a line.

    Blank lines and those that begin with # are left out. InputError where the file cannot be
    read, a line has other than two fields, or a source term has two translations.
    """
    try:
        content = BytesIO(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"terminology={path} cannot be read: {error.strerror}") from error
    terms: dict[str, str] = {}
    lines: dict[tuple[str, ...], tuple[str, int]] = {}
    places: dict[str, str] = {}
    for number, line in enumerate(split_lines(content, path), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("\t")]
        require(
            len(fields) == 2 and all(fields),
            f"{path}, line {number}: {line!r} is no term; write a source term, a tab and "
            "the target term",
        )
        source, target = fields
        first_target, first = lines.setdefault(_atoms(source), (target, number))
        require(
            first_target == target,
            f"{path}, line {number}: {source!r} is to be {target!r}, but {first_target!r} in "
            f"line {first}; keep one of them",
        )
        terms[source] = target
        places.setdefault(target, f"{path}, line {number}")
    return Terminology(terms, places)
