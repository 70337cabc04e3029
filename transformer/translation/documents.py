"""The sentences before a line."""

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Document(Generic[T]):
    """The document that lines are of, as they come one by one: the last `size` sentences of it.

    A sentence is its text, or whatever stands for it.
    """

    def __init__(self, size: int) -> None:
        self._sentences: deque[T] = deque(maxlen=size)

    def before(
        self, sentence: T, *, blank: bool, given: Sequence[T] | None = None
    ) -> tuple[T, ...]:
        """The sentences before `sentence`, the nearest last, which is then one of the document.

        Those that are `given` count as the document so far. A blank one ends the document, and has
        none before it.
        """
        if blank or given is not None:
            self._sentences.clear()
        if blank:
            return ()
        self._sentences.extend(given or ())
        found = tuple(self._sentences)
        self._sentences.append(sentence)
        return found
