"""What a model reads: tags, sentences of the document before a line, and the line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from transformer.config import SEPARATOR, DataConfig, TrainSettings, language_tag
from transformer.errors import InputError, require
from transformer.text.tokenizer import UNK_ID, Tokenizer, Tokenizers

LONGEST = 256  # pieces of a line, where the training had no limit

Pieces = Sequence[int]


def longest_of(settings: TrainSettings) -> int:
    """The most pieces of a source that a model was trained with."""
    return settings.cleaning.max_pieces or LONGEST


def target_languages(data: DataConfig) -> list[str]:
    """What models trained on `data` translate into, each language once."""
    return list(dict.fromkeys(target for _, target in data.directions))


def chosen_language(asked: str | None, languages: Sequence[str]) -> str:
    """The language to translate into: the one `asked` for, or the only one of `languages`.

    InputError where the model does not translate into it, or nobody said which of several.
    """
    shown = ", ".join(languages)
    if asked is None:
        require(
            len(languages) == 1,
            f"the model translates into {shown}; give target_language={languages[0]}, say",
        )
        return languages[0]
    require(
        asked in languages,
        f"target_language={asked}, but the model translates into {shown}"
        + ("; give one of them" if len(languages) > 1 else " alone"),
    )
    return asked


@dataclass(frozen=True)
class Source:
    """A line, or a part of one, as a model reads it."""

    ids: list[int]  # without EOS
    first: int = 0  # of `ids` that is of the line itself: tags and other sentences come before
    n_sentences: int = 0  # of its document, before it
    # Of those whose translations are written before that of the line, separators counted.
    n_before: int = 0

    @property
    def length(self) -> int:
        """Pieces that are translated, by which the length of outputs is limited."""
        return len(self.ids) - self.first + self.n_before


class Sources:
    """Makes of lines what the models trained on `data` read, in at most `most` pieces.

    As in the training, a tag of the language comes first, then sentences of the document, each
    with a separator behind it, then the line. InputError where the tokenizers lack one of these.
    """

    def __init__(self, tokenizers: Tokenizers, data: DataConfig, most: int) -> None:
        self.tokenizers = tokenizers
        self.languages = target_languages(data)
        self.context = data.context
        self._most = most
        self._tags = {
            language: [_mark(tokenizers.source, language_tag(language))]
            for language in data.tagged_languages
        }
        sides = (tokenizers.source, self.context.source), (tokenizers.target, self.context.target)
        self._read, self.separator = (_mark(side, SEPARATOR) if n else None for side, n in sides)

    def require_context(self, sentences: Sequence[str]) -> None:
        """Raise InputError where there are `sentences` before a line, and the model takes none."""
        require(
            bool(self.context) or not sentences,
            "context has text, but the model was trained without data.context; leave them out",
        )

    def read(self, line: list[int], language: str, before: Sequence[Pieces] = ()) -> Source:
        """The source of a `line` into `language`, with as many of the sentences as fit.

        Those `before` it are of its document, the nearest last; they fit where there are no more
        than the model was trained with, and all with tag and line have the most pieces there may
        be. One without pieces ends the document before it.
        """
        tags = self._tags.get(language, [])
        context = _nearest(before, self.context.source, self._most - len(tags) - len(line))
        begin = [*tags, *_separated(context, self._read)]
        translated = context[max(0, len(context) - self.context.target) :]
        return Source(
            ids=[*begin, *line],
            first=len(begin),
            n_sentences=len(context),
            n_before=sum(len(sentence) + 1 for sentence in translated),
        )

    def written(self, line: list[int], before: Sequence[Pieces], n: int) -> tuple[list[int], int]:
        """What is written for a `line` that has `n` sentences before it, and where its own begins.

        Of the targets `before` that of the line, the nearest last, as many as fit come first.
        """
        context = _nearest(before, min(n, self.context.target), self._most - len(line))
        begin = _separated(context, self.separator)
        return [*begin, *line], len(begin)

    def own(self, tokens: Pieces) -> int:
        """Where in an output that of the line itself begins: behind the last separator."""
        if self.separator not in tokens:
            return 0
        return len(tokens) - tokens[::-1].index(self.separator)


def encoded(tokenizer: Tokenizer, texts: Iterable[str]) -> dict[str, list[int]]:
    """The pieces of each of `texts`."""
    distinct = list(dict.fromkeys(texts))
    return dict(zip(distinct, tokenizer.encode(distinct), strict=True))


def _nearest(sentences: Sequence[Pieces], most: int, room: int) -> list[Pieces]:
    """The last of `sentences`, `most` of them, in `room` pieces with a separator behind each."""
    found: list[Pieces] = []
    for sentence in sentences[::-1][:most]:
        room -= len(sentence) + 1
        if room < 0 or not sentence:
            break
        found.append(sentence)
    return found[::-1]


def _separated(sentences: Sequence[Pieces], separator: int | None) -> list[int]:
    found: list[int] = []
    for sentence in sentences:
        assert separator is not None
        found += [*sentence, separator]
    return found


def _mark(tokenizer: Tokenizer, piece: str) -> int:
    """The id of a `piece` that stands for no text."""
    (id_,) = tokenizer.ids([piece])
    if id_ == UNK_ID:
        raise InputError(
            f"the model's tokenizer has no piece {piece}, which its settings ask for; train it anew"
        )
    return id_
