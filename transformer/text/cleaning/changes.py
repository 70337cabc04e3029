"""The changes to a text, in the order of their settings."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from transformer.config import CleaningConfig, UnicodeForm
from transformer.errors import InputError
from transformer.text.cleaning.markup import without_markup

Change = Callable[[str], str]
Form = Literal["NFC", "NFKC"]

_FORMS: dict[UnicodeForm, Form | None] = {
    UnicodeForm.none: None,
    UnicodeForm.nfc: "NFC",
    UnicodeForm.nfkc: "NFKC",
}

# Those that Python takes for white space, so that text has as many words afterwards.
_BLANK_CONTROLS = re.compile("[\t-\r\x1c-\x1f\x85\u2028\u2029]")
# Other controls; soft hyphen; marks of direction; spaces and joiners of no width; byte order mark.
# U+200C and U+200D stay, which scripts need.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u206f\ufeff]"
)

# Text in UTF-8 that was read in an encoding of one byte a character shows as pairs of these (the
# second perhaps lost to a space or a mark); one read as Latin-1 in place of Windows-1252 shows as
# controls. Nothing else is worth the time of asking ftfy.
_ODD = "\x80-\u052f\u2000-\u25ff\uf8ff\ufb00-\ufb06\ufffd"
_SUSPECT = re.compile(f"[{_ODD}][{_ODD} ?\x1a]|[\x80-\x9f]")


def changes(config: CleaningConfig) -> list[tuple[str, Change]]:
    """The changes asked for and their names; InputError where ftfy is needed but missing."""
    made: list[tuple[str, Change]] = []
    form = _FORMS[config.unicode]
    if config.mojibake:
        made.append(("mojibake", _mending()))
    if config.html:
        made.append(("html", without_markup))
    if form is not None:
        made.append(("unicode", partial(unicodedata.normalize, form)))
    if config.control:
        made.append(("control", partial(without_controls, form=form)))
    if config.whitespace:
        made.append(("whitespace", with_single_spaces))
    return made


def change_all(
    texts: Sequence[str], steps: Sequence[tuple[str, Change]]
) -> tuple[list[str], dict[str, dict[int, tuple[str, str]]]]:
    """The texts after the changes; of each change, by row, a text before and after it."""
    found: dict[str, dict[int, tuple[str, str]]] = {name: {} for name, _ in steps}
    after = list(texts)
    for row in _rows_to_ask(after) if steps else ():
        text = after[row]
        for name, change in steps:
            changed = change(text)
            if changed != text:
                found[name][row] = (text, changed)
                text = changed
        after[row] = text
    return after, found


def _rows_to_ask(texts: list[str]) -> list[int]:
    """Rows whose text a change might alter: no other is worth asking each change."""
    return [
        row
        for row, text in enumerate(texts)
        if not (
            text.isascii()
            and text.isprintable()
            and "  " not in text
            and "&" not in text
            and "<" not in text
            and text == text.strip()
        )
    ]


def without_controls(text: str, form: Form | None = None) -> str:
    """The text without control characters and those of no width; blank ones become a space.

    What stood apart may then compose, so the text is brought into `form` again.
    """
    if text.isprintable():
        return text
    text = _BLANK_CONTROLS.sub(" ", text)
    plain = _INVISIBLE.sub("", text)
    return plain if form is None or plain == text else unicodedata.normalize(form, plain)


def with_single_spaces(text: str) -> str:
    """The text with one ASCII space for each run of spaces of any kind, and none at its ends."""
    return " ".join(text.split())


def _mending() -> Change:
    """What mends wrong decodings and nothing else: quotes, widths and ligatures stay."""
    try:
        from ftfy import TextFixerConfig, fix_encoding  # noqa: PLC0415  # of an extra
    except ImportError:
        raise InputError(needs_extra("mojibake", "ftfy")) from None
    settings = TextFixerConfig(explain=False)

    def mend(text: str) -> str:
        if _SUSPECT.search(text) is None:
            return text
        return fix_encoding(text, settings)

    return mend


def needs_extra(setting: str, library: str) -> str:
    """The error for a setting whose library is not installed."""
    return (
        f"cleaning.{setting}=true needs {library}: pip install 'transformer-mt[cleaning]', "
        f"or set cleaning.{setting}=false"
    )
