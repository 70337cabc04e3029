"""Translations that may have nothing to do with their source."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transformer.evaluation.analysis.lines import Lines
from transformer.evaluation.analysis.repetition import top_count
from transformer.evaluation.analysis.words import is_single

# Raunak et al., 2021, section 3: the count of the top n-gram over that of the source; with the
# numbers of Guerreiro et al., 2023, section 3.
OSCILLATION = 2
# Longer than so many times what is expected, and than so many words more.
LONG, LONG_MORE = 2.0, 5
# Shorter texts say too little: they may rightly come again, or share nothing with a synonym. A
# character of a script without spaces is half a word.
ENOUGH_WORDS = 4
# Words of a source that others with the same translation have too, below which it is another.
SAME_SHARE = 0.5
# ChrF in percent. Unrelated text in an alphabet has about 15, in Han characters 0 to 5.
CHRF_SPACED, CHRF_SINGLE = 10.0, 2.0

# One to four letters, five times in a row. No digits: a million is a number.
_STUTTER = re.compile(r"([^\W\d_]{1,4}?)\1{4}")

CRITERIA = {
    "oscillation": "a phrase of four words comes again and again, at least "
    f"{OSCILLATION} times more often than in source and references (Raunak et al., 2021)",
    "stuttering": "one to four letters five times in a row, in no source and no reference",
    "too long": f"over {LONG:g} times the words expected of the source, and {LONG_MORE} more",
    "detached": f"the same {ENOUGH_WORDS} or more words for sources that share less than "
    f"{SAME_SHARE:.0%} of theirs, as do the references (Raunak et al., 2021)",
    "unrelated": f"chrF below {CHRF_SPACED:g} against each reference (below {CHRF_SINGLE:g} for "
    f"scripts without spaces), both sides with {ENOUGH_WORDS} words or more (after Lee et al., "
    "2018)",
}


@dataclass(frozen=True)
class Suspect:
    """A row, and by which of CRITERIA it is suspicious."""

    row: int  # from 0
    criteria: tuple[str, ...]


def suspects(lines: Lines, chrf: Sequence[float]) -> list[Suspect]:
    """Rows that look like hallucinations, in order; `chrf` is that of each sentence."""
    rows = {
        "oscillation": _oscillating(lines),
        "stuttering": _stuttering(lines),
        "too long": _too_long(lines),
        "detached": _detached(lines),
        "unrelated": _unrelated(lines, chrf),
    }
    found = defaultdict(list)
    for name in CRITERIA:
        for row in rows[name]:
            found[row].append(name)
    return [Suspect(row, tuple(found[row])) for row in sorted(found)]


def _oscillating(lines: Lines) -> Iterator[int]:
    for row, ours in enumerate(lines.translation_words):
        count = top_count(ours)
        if count <= OSCILLATION:
            continue
        others = [top_count(each) for each in lines.reference_words[row]]
        if lines.source_words is not None:
            others.append(top_count(lines.source_words[row]))
        if count >= max(others) + OSCILLATION:
            yield row


def _stuttering(lines: Lines) -> Iterator[int]:
    for row, ours in enumerate(lines.translations):
        others = [stream[row] for stream in lines.references]
        if lines.sources is not None:
            others.append(lines.sources[row])
        if _STUTTER.search(ours) and not any(map(_STUTTER.search, others)):
            yield row


def _too_long(lines: Lines) -> Iterator[int]:
    """Those longer than their longest reference and what the corpus lets expect of the source."""
    n_references = sum(len(each) for texts in lines.reference_words for each in texts)
    n_sources = sum(map(len, lines.source_words or ())) * len(lines.references)
    per_word = n_references / n_sources if n_sources else 0.0
    for row, ours in enumerate(lines.translation_words):
        expected = float(max(map(len, lines.reference_words[row])))
        if lines.source_words is not None:
            expected = max(expected, len(lines.source_words[row]) * per_word)
        if len(ours) > LONG * expected + LONG_MORE:
            yield row


def _detached(lines: Lines) -> Iterator[int]:
    """Those with the translation of other rows whose sources and references are different."""
    groups: dict[str, list[int]] = defaultdict(list)
    for row, key in enumerate(lines.translation_keys):
        if _says_enough(lines.translation_words[row]) and key not in lines.reference_keys[row]:
            groups[key].append(row)
    firsts = [each[0] for each in lines.reference_words]
    for rows in groups.values():
        different = set(_different(rows, firsts))
        if lines.source_words is not None:
            different &= set(_different(rows, lines.source_words))
        if len(different) > 1:
            yield from different


def _different(rows: Sequence[int], texts: Sequence[Sequence[str]]) -> Iterator[int]:
    """Rows whose words are, on average over the other texts, for less than SAME_SHARE theirs."""
    by_text = {tuple(texts[row]): set(texts[row]) for row in rows}
    if len(by_text) < 2:
        return
    counts = Counter(word for words in by_text.values() for word in words)
    for row in rows:
        words = by_text[tuple(texts[row])]
        shared = sum(counts[word] - 1 for word in words)
        if shared < SAME_SHARE * len(words) * (len(by_text) - 1):
            yield row


def _unrelated(lines: Lines, chrf: Sequence[float]) -> Iterator[int]:
    for row, (ours, theirs) in enumerate(
        zip(lines.translation_words, lines.reference_words, strict=True)
    ):
        if not all(map(_says_enough, [ours, *theirs])):
            continue
        n_single = sum(map(is_single, ours))
        if chrf[row] < (CHRF_SINGLE if 2 * n_single > len(ours) else CHRF_SPACED):
            yield row


def _says_enough(words: Sequence[str]) -> bool:
    return len(words) - sum(map(is_single, words)) / 2 >= ENOUGH_WORDS
