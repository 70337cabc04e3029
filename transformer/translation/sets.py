"""Requests for the lines of a validation or test set."""

from collections.abc import Sequence

from transformer.config import DataConfig
from transformer.errors import require
from transformer.translation.request import Request


def requests_of(rows: Sequence[Sequence[str]], language: str, data: DataConfig) -> list[Request]:
    """A request for each row's source, in order, to a model that was trained on `data`.

    A row is source, target and, where documents have borders, its document, which ends where that
    value changes. Models of several target languages are told the `language`; InputError where it
    is none of theirs. Models with context are given the sources before each of the same document,
    the nearest last, and none to its first one.
    """
    tagged = data.tagged_languages
    require(
        not tagged or language in tagged,
        f"target_language={language} is none that the model translates into, which are "
        f"{', '.join(tagged)}",
    )
    asked = language if tagged else None
    if not data.context:
        return [Request(source=source, target_language=asked) for source, *_ in rows]
    requests: list[Request] = []
    first, document = 0, None
    for i, (source, _, *of) in enumerate(rows):
        if of != document:
            first, document = i, of
        before = rows[max(first, i - data.context.source) : i]
        context = [text for text, *_ in before]
        requests.append(Request(source=source, target_language=asked, context=context))
    return requests


def numbered_documents(sources: Sequence[str]) -> list[str]:
    """The document of each line where blank ones are the borders; each of these is one itself."""
    numbers, number = [], 0
    for source in sources:
        blank = not source.strip()
        number += blank
        numbers.append(str(number))
        number += blank
    return numbers
