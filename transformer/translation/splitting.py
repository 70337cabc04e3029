"""Lines that are too long for the model, cut into parts and joined again."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from transformer.text.cleaning import has_spaces

Count = Callable[[Sequence[str]], list[int]]
Borders = Callable[[str], Iterator[int]]

# Runs of marks begin where none stands before them, so that no run is walked through twice.
_SENTENCE_END = re.compile(
    r"""(?<![.!?…؟۔।॥])[.!?…؟۔।॥]++["'”’»«)\]›]*+(?=\s|$)|[。！？｡]++[”’」』）】]*+"""
)
_CLAUSE_END = re.compile(r"""[;:,–—][”’"')]?(?=\s)|—|[，、；：]++""")
_SPACE = re.compile(r"\s+")


def join(parts: Sequence[str], language: str) -> str:
    """One line of the translations of a line's parts, in the way of `language`."""
    space = " " if has_spaces(language) else ""
    return space.join(part for part in parts if part)


def split(source: str, count: Count, most: int) -> list[str]:
    """The parts of a line, each of at most `most` pieces as `count` gives them for texts.

    A line that is not too long stays as it is. Others are cut at the ends of sentences; a sentence
    that is itself too long at those of clauses, such clauses between words, and such words between
    characters, of which one always stays whole, whatever its pieces. Neighbours share a part as
    far as they fit: no cut at the same borders has fewer parts, nor so many with a smaller largest
    one, if pieces do not reach over a border. Joined, the parts are `source` but for white space.
    """
    return _split(source, count, most, (sentence_ends, _clause_ends, _word_ends))


def sentence_ends(text: str) -> Iterator[int]:
    """Where sentences end within `text`, behind their marks and what closes a quotation.

    The dot of an initial or a number ends none.
    """
    for found in _SENTENCE_END.finditer(text):
        if not _is_abbreviating(text, found):
            yield found.end()


def _is_abbreviating(text: str, mark: re.Match[str]) -> bool:
    """Whether the mark is the dot behind a single capital letter or a digit."""
    start = mark.start()
    if mark[0] != "." or start == 0:
        return False
    last, before = text[start - 1], text[max(0, start - 2) : start - 1]
    return last.isdigit() or (last.isupper() and not before.isalnum())


def _clause_ends(text: str) -> Iterator[int]:
    return (found.end() for found in _CLAUSE_END.finditer(text))


def _word_ends(text: str) -> Iterator[int]:
    return (found.start() for found in _SPACE.finditer(text))


def _split(text: str, count: Count, most: int, levels: Sequence[Borders]) -> list[str]:
    if count([text])[0] <= most:
        return [text]
    if not levels:
        return _cut_evenly(text, count, most)
    units = _units(text, levels[0])
    if len(units) <= 1:
        return _split(text, count, most, levels[1:])
    parts: list[str] = []
    for part, n_units in _pack(text, units, count, most):
        deeper = levels[1:] if n_units == 1 else levels
        parts += _split(part, count, most, deeper)
    return parts


def _units(text: str, borders: Borders) -> list[tuple[int, int]]:
    """Begin and end of what lies between the borders and is not blank."""
    ends = sorted({0, *borders(text), len(text)})
    return [(begin, end) for begin, end in pairwise(ends) if not text[begin:end].isspace()]


def _pack(
    text: str, units: Sequence[tuple[int, int]], count: Count, most: int
) -> Iterator[tuple[str, int]]:
    """Parts of neighbouring units, with the number of units in each.

    One that is too long shares its part with none. Pieces may reach over the border of two units,
    so a part can still be too long; then it has fewer units than `units`.
    """
    sizes = count([text[begin:end].strip() for begin, end in units])
    groups = [
        (first + begin, first + end)
        for first, last in _runs(sizes, most)
        for begin, end in _even(sizes[first:last], most)
    ]
    if len(groups) == 1:  # too long together though not one by one
        middle = len(units) // 2
        groups = [(0, middle), (middle, len(units))]
    for first, last in groups:
        yield text[units[first][0] : units[last - 1][1]].strip(), last - first


def _runs(sizes: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Begin and end of runs of sizes of at most `most`, and of each larger size alone."""
    borders = {0, len(sizes)}
    for i, size in enumerate(sizes):
        if size > most:
            borders |= {i, i + 1}
    return list(pairwise(sorted(borders)))


def _even(sizes: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Begin and end of the fewest groups with sums of at most `most`, the largest sum least."""
    fewest = len(_greedy(sizes, most))
    least = max(sizes)
    caps = range(least, max(least, most))
    return _greedy(
        sizes,
        least + bisect_left(caps, True, key=lambda cap: len(_greedy(sizes, cap)) <= fewest),
    )


def _greedy(sizes: Sequence[int], cap: int) -> list[tuple[int, int]]:
    groups, begin, total = [], 0, 0
    for i, size in enumerate(sizes):
        if i > begin and total + size > cap:
            groups.append((begin, i))
            begin, total = i, 0
        total += size
    return [*groups, (begin, len(sizes))]


def _cut_evenly(text: str, count: Count, most: int) -> list[str]:
    """The fewest parts of nearly as many characters each of which none is too long."""
    n = -(-count([text])[0] // most)
    while n < len(text):
        borders = [len(text) * i // n for i in range(n + 1)]
        parts = [text[begin:end] for begin, end in pairwise(borders)]
        if max(count(parts)) <= most:
            return parts
        n += max(1, n // 8)
    return list(text)
