"""What a caller asks for a line, and what it gets."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from transformer.errors import InputError, require

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Request:
    """A line to translate, and what its translation must be like."""

    source: str
    prefix: str = ""  # the translation begins with it; its last word may be unfinished
    include: Sequence[str] = ()  # phrases that must occur
    exclude: Sequence[str] = ()  # words and phrases that must not
    target_language: str | None = None  # None: that of the translator
    context: Sequence[str] = ()  # sentences of its document before it, the nearest last

    def __post_init__(self) -> None:
        for name in ("include", "exclude", "context"):
            listed(name, getattr(self, name))


def listed(name: str, values: Sequence[T]) -> list[T]:
    """The `values` as a list; InputError where they are one text, which would be its letters."""
    require(not isinstance(values, str), f"{name}={values!r} is one text; give a list of them")
    return list(values)


@contextmanager
def named(place: str) -> Iterator[None]:
    """Lets an InputError begin with the `place` of what it is about."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Output:
    """One translation of a line."""

    text: str
    # By which the search ranks; of MBR, the expected utility; of a line in parts, their sum. Where
    # the model writes sentences of the document before that of the line, of all that it wrote.
    score: float
    log_probability: float  # the model's, of all tokens and EOS; the same
    tokens: Sequence[str]  # pieces, without EOS
    # Of each of them and of EOS; no EOS where the output was cut at its greatest length.
    token_log_probabilities: Sequence[float]
    # Links of source and target words, counted from 0 between spaces; None: not asked for.
    alignment: Sequence[tuple[int, int]] | None = None
    # Of each target piece and of EOS over the line's own pieces and EOS, so that what goes to tags
    # and to sentences before the line is missing from the sum 1 of each; None: not asked for.
    # Of a line in parts, those of a part look at that part alone: its rows are as long.
    attention: Sequence[Sequence[float]] | None = None
    finished: bool = True  # False: cut at the greatest length


@dataclass(frozen=True, kw_only=True)
class Translation:
    """The outputs of one line, best first; a blank line has a single empty one."""

    source: str
    outputs: Sequence[Output]

    @property
    def text(self) -> str:
        """The best output."""
        return self.outputs[0].text

    @property
    def texts(self) -> list[str]:
        """All outputs."""
        return [output.text for output in self.outputs]

    @property
    def scores(self) -> list[float]:
        """Those of `texts`."""
        return [output.score for output in self.outputs]


BLANK = Output(
    text="", score=0.0, log_probability=0.0, tokens=(), token_log_probabilities=()
)  # of a blank line
