"""What a model has seen: words of its training text, and test sentences that occur in it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from transformer.config import STDIN, CorpusConfig, DataConfig, Leaks, LeakSide
from transformer.errors import InputError, require
from transformer.evaluation.analysis.words import folded, parts
from transformer.text.cleaning import language_of
from transformer.text.corpus import Corpus, open_corpora, text_sets
from transformer.text.matching import SOURCE, TARGET, LeakIndex, match_key
from transformer.text.readers.reader import Run

MAX_LINES = 2_000_000  # pairs that are read at most, of all corpora together
_RUN = 10_000  # pairs read at once

Direction = tuple[str, str]
# Sources and streams of references, each of which may be None or empty.
TestText = tuple[Sequence[str] | None, Sequence[Sequence[str]]]


@dataclass(frozen=True)
class TrainingText:
    """Source words of raw training text, and the texts of test sets that occur in it.

    Words are those of `words.words`. What is raw has not been cleaned, but pairs that data.leaks=
    remove drops are left out.
    """

    counts: Counter[str]  # occurrences by word, source side
    n_lines: int  # pairs that were read
    n_total: int | None  # pairs there are; an estimate where not all were read, None: not known
    seen_sources: frozenset[str]  # by text.matching.match_key
    seen_references: frozenset[str]

    @classmethod
    def read(
        cls,
        data: DataConfig,
        sets: Sequence[TestText],
        *,
        direction: Direction | None = None,
        max_lines: int = MAX_LINES,
    ) -> "TrainingText":
        """One pass over the training corpora of `data`, of a `direction` if one is given.

        Of several corpora, runs of pairs are read in turn until `max_lines` have been, so each has
        its share. InputError where the text is not at hand.
        """
        corpora = _corpora(data, direction)
        reading = _Reading(corpora)
        dropped = _Dropped(data, corpora)
        index = LeakIndex([("test", *_texts(each)) for each in sets])
        raw: Counter[str] = Counter()
        seen: tuple[set[str], set[str]] = set(), set()
        for corpus, run in reading.runs(max_lines):
            sources, targets = dropped.rest(corpus, run)
            for source in sources:
                raw.update(parts(source))
            bits = index.find(sources, targets)
            for side, bit, texts in zip(seen, (SOURCE, TARGET), (sources, targets), strict=True):
                side.update(match_key(texts[row]) for row in (bits & bit).nonzero()[0].tolist())
        counts: Counter[str] = Counter()
        for part, n in raw.items():
            counts[folded(part)] += n
        del counts[""]
        return cls(counts, reading.n_lines, reading.n_total, *map(frozenset, seen))

    def source_rows(self, sources: Sequence[str]) -> list[int]:
        """Which of `sources`, as they were given to `read`, occur as a source."""
        return _rows(sources, self.seen_sources)

    def reference_rows(self, references: Sequence[str]) -> list[int]:
        """Which of `references`, a stream that was given to `read`, occur as a target."""
        return _rows(references, self.seen_references)

    @property
    def note(self) -> str | None:
        """How much of the training text was read; None where all was."""
        if self.n_total == self.n_lines:
            return None
        of = "more" if self.n_total is None else f"about {self.n_total:,}"
        return f"Of the training text, {self.n_lines:,} pairs of {of} were read."


def training_text(
    data: DataConfig,
    sets: Sequence[TestText],
    *,
    direction: Direction | None = None,
    max_lines: int = MAX_LINES,
) -> tuple[TrainingText | None, str | None]:
    """What `TrainingText.read` gives, or None; and what is to be known of it, in a line."""
    try:
        text = TrainingText.read(data, sets, direction=direction, max_lines=max_lines)
    except InputError as error:
        return None, f"The training text is not at hand: {error}"
    return text, text.note


class _Reading:
    """Runs of pairs of several corpora in turn, and how much of all they are."""

    def __init__(self, corpora: Sequence[Corpus]) -> None:
        self._corpora = corpora
        self._n_bytes = 0
        self.n_lines = 0
        self.n_total: int | None = None

    def runs(self, max_lines: int) -> Iterator[tuple[CorpusConfig, Run]]:
        left = [(each.config, each.reader.columns(_RUN, self._read)) for each in self._corpora]
        while left:
            for pair in list(left):
                corpus, runs = pair
                run = next(runs, None)
                if run is None:
                    left.remove(pair)
                    continue
                if self.n_lines >= max_lines:
                    self.n_total = self._estimate()
                    return
                run = tuple(column[: max_lines - self.n_lines] for column in run)
                self.n_lines += len(run[0])
                yield corpus, run
        self.n_total = self.n_lines

    def _read(self, n_bytes: int) -> None:
        self._n_bytes += n_bytes

    def _estimate(self) -> int | None:
        """How many pairs there are, by the bytes that those read have taken."""
        sizes = [each.reader.n_bytes for each in self._corpora]
        if None in sizes or not self._n_bytes:
            return None
        # Readers take in blocks, so that more bytes than those of these pairs may have been read.
        n_total = round(self.n_lines * sum(filter(None, sizes)) / self._n_bytes)
        return max(n_total, self.n_lines + 1)


def _corpora(data: DataConfig, direction: Direction | None) -> list[Corpus]:
    """The corpora of a direction: of its very codes, else of the same languages."""
    # Standard input would be that of this process, and is read when corpora are opened.
    for each in data.corpora("train"):
        require(each.path != STDIN, "it came from standard input")
        require(not each.streaming, f"{each.path} is read over the network (streaming=true)")
    corpora = open_corpora(data, "train")
    if direction is not None:
        exact = [each for each in corpora if each.config.direction == direction]
        wanted = _languages(direction)
        corpora = exact or [each for each in corpora if _languages(each.config.direction) == wanted]
        require(bool(corpora), f"no corpus of data.train is of the direction {'-'.join(direction)}")
    for corpus in corpora:
        require(not corpus.is_prepared, f"{corpus.config.path} holds encoded pairs and no text")
    return corpora


def _languages(direction: Direction) -> Direction:
    return language_of(direction[0]), language_of(direction[1])


class _Dropped:
    """The pairs that data.leaks=remove keeps out of training."""

    def __init__(self, data: DataConfig, corpora: Sequence[Corpus]) -> None:
        self._is_dropped = _SIDES[data.leaks_side]
        self._indices: dict[Direction, LeakIndex] = {}
        if data.leaks is not Leaks.remove:
            return
        sets = [*text_sets(data, "valid"), *text_sets(data, "test")]
        for source, target in {each.config.direction for each in corpora}:
            texts = [(each.name, each.texts_in(source), each.texts_in(target)) for each in sets]
            self._indices[source, target] = LeakIndex(texts)

    def rest(self, corpus: CorpusConfig, run: Run) -> tuple[list[str], list[str]]:
        """Sources and targets of the pairs of a run that are kept."""
        sources, targets = run[:2]
        index = self._indices.get(corpus.direction)
        if index is None:
            return sources, targets
        bits = index.find(sources, targets).tolist()
        kept = [row for row, each in enumerate(bits) if not self._is_dropped(each)]
        return [sources[row] for row in kept], [targets[row] for row in kept]


_SIDES: dict[LeakSide, Callable[[int], bool]] = {
    LeakSide.source: lambda bits: bool(bits & SOURCE),
    LeakSide.target: lambda bits: bool(bits & TARGET),
    LeakSide.both: lambda bits: bits == SOURCE | TARGET,
    LeakSide.either: bool,
}


def _texts(test: TestText) -> tuple[list[str], list[str]]:
    sources, streams = test
    return list(sources or ()), [text for stream in streams for text in stream]


def _rows(texts: Sequence[str], keys: frozenset[str]) -> list[int]:
    return [row for row, text in enumerate(texts) if match_key(text) in keys]
