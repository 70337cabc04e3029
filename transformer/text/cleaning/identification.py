"""Whether a text is in another language for certain."""

from collections.abc import Callable
from functools import cache
from typing import Any

from transformer.errors import InputError
from transformer.text.cleaning.changes import needs_extra
from transformer.text.cleaning.languages import has_spaces, language_of

# Measured on 4,000 pairs each of Tatoeba, Multi30k, 3AM and newstest2014: of good text they drop
# at most 0.03 %, of text in another language 93 to 99.9 %.
_LEAST_LETTERS = 10  # fewer tell too little
_LEAST_SIGNS = 5  # the same in languages without spaces, whose signs tell more
_SURE = 0.3  # least probability of another language
_UNLIKELY = 0.05  # that of the language expected lies below

# Languages that the identifier has under one name, or does not tell apart in short texts.
_GROUPS = (
    {"no", "nb", "nn"},
    {"hr", "sr", "bs", "sh"},
    {"id", "ms"},
    {"zh", "wuu", "yue"},
    {"ar", "ary", "arz"},
    {"fil", "tl"},
)


@cache
def _identifier() -> Any:
    """The identifier of py3langid, which takes about a second to load; one for each process."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415  # of an extra
    except ImportError:
        raise InputError(needs_extra("language", "py3langid")) from None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def in_language(code: str) -> Callable[[str], bool] | None:
    """Whether a text may be in the language `code`; None where the identifier does not know it.

    A text may not be that has 10 letters or more (5 in languages without spaces), where another
    language has a probability of 0.3 or more and that of `code` is below 0.05. InputError where
    the identifier is not installed.
    """
    identifier = _identifier()
    language = language_of(code)
    group = next((group for group in _GROUPS if language in group), {language})
    labels = group & set(identifier.labels)
    if not labels:
        return None
    least = _LEAST_LETTERS if has_spaces(code) else _LEAST_SIGNS

    def check(text: str) -> bool:
        if sum(map(str.isalpha, text)) < least:
            return True
        label, probability = identifier.classify(text)
        if label in labels or probability < _SURE:
            return True
        ranked: dict[str, float] = dict(identifier.rank(text))
        return sum(ranked[label] for label in labels) >= _UNLIKELY

    return check
