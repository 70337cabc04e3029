"""Message catalogues of gettext, as text (.po) and compiled (.mo)."""

import importlib
import logging
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformer.errors import InputError
from transformer.text.readers.reader import FileReader, Meter, Run, flat
from transformer.text.readers.streams import plain_file

LOGGER = logging.getLogger(__name__)
# What the library raises for files that are none.
DAMAGE = (OSError, ValueError, LookupError, struct.error, AttributeError, TypeError, MemoryError)


class PoReader(FileReader):
    """Messages and their translations; a message with a plural gives a pair for each number.

    That is the singular with the first form and the plural with the second. Untranslated, fuzzy
    and obsolete messages are left out and counted in the log. The whole file is held in memory.
    """

    def _runs(self, meter: Meter | None) -> Iterator[Run]:
        library = _library()
        with plain_file(self._path) as path:
            entries = _entries(library, path, self._path)
        if meter is not None:
            meter(self.n_bytes or 0)
        # A compiled catalogue has no fuzzy messages.
        used = [x for x in entries if not (x.obsolete or getattr(x, "fuzzy", False))]
        pairs = [pair for entry in used for pair in _pairs(entry)]
        kept = [pair for pair in pairs if pair[1]]
        _report(self._path, len(entries) - len(used), len(pairs) - len(kept))
        if kept:
            sources, targets = zip(*kept, strict=True)
            yield [flat(text) for text in sources], [flat(text) for text in targets]


def _library() -> Any:
    try:
        return importlib.import_module("polib")
    except ImportError as error:
        raise InputError("needs polib: pip install 'transformer-mt[formats]'") from error


def _entries(library: Any, path: Path, name: Path) -> list[Any]:
    compiled = path.suffix.lower() == ".mo"
    try:
        read = library.mofile if compiled else library.pofile
        entries = list(read(str(path)))
        for entry in entries:
            "".join(text for pair in _pairs(entry) for text in pair).encode("utf-8")
    except DAMAGE as error:
        reason = " ".join(str(error).replace(str(path), "").split())[:200]
        raise InputError(f"{name} cannot be read as a catalogue: {reason}") from error
    return entries


def _pairs(entry: Any) -> Iterator[tuple[str, str]]:
    if not entry.msgid_plural:
        yield entry.msgid, entry.msgstr
        return
    forms = {int(number): text for number, text in entry.msgstr_plural.items()}
    yield entry.msgid, forms.get(0, "")
    if 1 in forms:  # languages with one form have no other to pair with the plural
        yield entry.msgid_plural, forms[1]


def _report(path: Path, n_unsure: int, n_untranslated: int) -> None:
    if n_unsure or n_untranslated:
        LOGGER.info(
            "%s: left out %d fuzzy or obsolete and %d untranslated messages",
            path,
            n_unsure,
            n_untranslated,
        )
