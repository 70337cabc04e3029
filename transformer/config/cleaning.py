"""Settings of what is changed in the training pairs and what is dropped from them."""

from dataclasses import dataclass
from enum import Enum

from transformer.errors import require


class UnicodeForm(Enum):
    """Which spellings of a character become one; the last changes what text looks like."""

    none = "none"
    nfc = "nfc"
    nfkc = "nfkc"


class Duplicates(Enum):
    """Which pairs count as the same as an earlier one."""

    none = "none"
    exact = "exact"  # both sides equal
    near = "near"  # equal but for case, punctuation, spaces and digits


class Leaks(Enum):
    """What becomes of training pairs with text of a validation or test set."""

    ignore = "ignore"  # they are not looked for
    warn = "warn"  # counted, and told
    remove = "remove"  # dropped
    fail = "fail"  # an error


class LeakSide(Enum):
    """Which sides of a training pair must occur in a validation or test set, in its language."""

    either = "either"
    both = "both"
    source = "source"
    target = "target"


@dataclass(kw_only=True)
class CleaningConfig:
    """Changes to the training pairs and rules that drop some; other pairs are never touched.

    First the changes are made, in the order of the fields, then the rules asked, in theirs.
    """

    mojibake: bool = False  # mend text that was decoded wrongly; needs the extra cleaning
    html: bool = False  # read entities as their characters, remove tags
    unicode: UnicodeForm = UnicodeForm.none  # form that all characters are brought into
    control: bool = False  # remove control characters and those of no width
    whitespace: bool = False  # spaces of all kinds become one; those at the ends go

    empty: bool = True  # drop pairs of which a side is blank
    copies: bool = False  # drop pairs whose sides are the same
    min_words: int | None = None  # of each side; parts between spaces
    max_words: int | None = None
    max_characters: int | None = None  # of each side
    max_word_ratio: float | None = None  # more words over fewer; not of languages without spaces
    min_word_length: float | None = None  # mean length of a side's words, in characters
    max_word_length: float | None = None  # the same; not of languages without spaces
    letters: float | None = None  # least share of letters in each side's characters but spaces
    script: bool = False  # drop sides most of whose letters are of no script of their language
    numbers: bool = False  # drop pairs whose sides do not hold the same numbers
    # Drop sides that are in another language for certain; needs the extra cleaning.
    language: bool = False
    duplicates: Duplicates = Duplicates.exact  # drop pairs that occurred before
    max_pieces: int | None = 256  # longest side, in subword pieces
    max_ratio: float | None = 6.0  # longer side over shorter side, in pieces

    n_examples: int = 3  # that the report keeps of each change and of each rule
    # File for what was dropped: reason, corpus, line or row, source, target, between tabs.
    keep_rejected: str | None = None

    def __post_init__(self) -> None:
        for name in ("min_words", "max_words", "max_characters", "max_pieces"):
            value = getattr(self, name)
            require(
                value is None or value >= 1, f"cleaning.{name}={value} must be null or at least 1"
            )
        for name in ("max_word_ratio", "max_ratio"):
            value = getattr(self, name)
            require(
                value is None or value >= 1, f"cleaning.{name}={value} must be null or at least 1"
            )
        for name in ("min_word_length", "max_word_length"):
            value = getattr(self, name)
            require(value is None or value > 0, f"cleaning.{name}={value} must be null or above 0")
        for low, high in (("min_words", "max_words"), ("min_word_length", "max_word_length")):
            least, most = getattr(self, low), getattr(self, high)
            require(
                least is None or most is None or least <= most,
                f"cleaning.{low}={least} is above cleaning.{high}={most}: nothing would be left",
            )
        require(
            self.letters is None or 0 <= self.letters <= 1,
            f"cleaning.letters={self.letters} must be null or lie in [0, 1]",
        )
        require(self.n_examples >= 0, f"cleaning.n_examples={self.n_examples} must be at least 0")
        require(
            self.keep_rejected != "",
            "cleaning.keep_rejected is empty; give a file, as in cleaning.keep_rejected=FILE",
        )
