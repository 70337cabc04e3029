"""What is asked of all lines alike, and what it needs of the target side."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from transformer.config import Protected, RequestSettings
from transformer.text.tokenizer import Tokenizers
from transformer.translation.protection import StandIns
from transformer.translation.request import named
from transformer.translation.tasks import TargetVocabulary, excluded, phrase_of
from transformer.translation.terminology import Terminology, read_terminology


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is asked of all lines alike."""

    terminology: Terminology | None = None
    exclude: Sequence[str] = ()
    protect: Sequence[Protected] = ()
    max_source_pieces: int  # longer lines are translated in parts
    target_language: str | None = None  # of lines that do not say their own; None: the only one


def options_of(settings: RequestSettings, longest: int) -> Options:
    """What `settings` ask of all lines; `longest` pieces is what the models were trained with."""
    terminology = None
    if settings.terminology is not None:
        terminology = read_terminology(settings.terminology)
    return Options(
        terminology=terminology,
        exclude=settings.exclude,
        protect=[Protected(each) for each in settings.protect],
        max_source_pieces=settings.max_source_pieces or longest,
        target_language=settings.target_language,
    )


class TargetSide:
    """The target side of a language, with or without `spaces` between words, for all requests.

    InputError where `options` ask for what cannot be written.
    """

    def __init__(self, tokenizers: Tokenizers, options: Options, *, spaces: bool) -> None:
        self.vocabulary = TargetVocabulary(tokenizers.target, spaces=spaces)
        self.exclude = [excluded(phrase, self.vocabulary) for phrase in options.exclude]
        self._source = tokenizers.source
        if options.terminology is not None:
            for target, place in options.terminology.places.items():
                with named(place):
                    phrase_of(target, self.vocabulary)

    @cached_property
    def stand_ins(self) -> StandIns:
        """What may stand for protected text."""
        return StandIns(self._source, self.vocabulary)
