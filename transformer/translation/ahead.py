"""Reading ahead in a thread."""

from collections.abc import Iterable, Iterator
from queue import Empty, Queue
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class _End(Exception):  # noqa: N818  # no error
    """There is no further item."""


class Ahead(Generic[T]):
    """The items of an iterable, which a thread reads, at most `size` ahead.

    What reading raises is raised behind the items that came before it.
    """

    def __init__(self, items: Iterable[T], size: int) -> None:
        self._queue: Queue[tuple[T] | Exception] = Queue(size)
        self._closed = False
        Thread(target=self._read, args=(items,), daemon=True).start()

    def __iter__(self) -> Iterator[T]:
        for (item,) in self.chunks(1):
            yield item

    def chunks(self, most: int) -> Iterator[list[T]]:
        """Lists of the items that have come already: at least one, which is waited for."""
        chunk: list[T] = []
        while True:
            try:
                found = self._queue.get(block=not chunk)
            except Empty:
                yield chunk
                chunk = []
                continue
            if isinstance(found, Exception):
                break
            chunk.extend(found)
            if len(chunk) == most:
                yield chunk
                chunk = []
        if chunk:
            yield chunk
        if not isinstance(found, _End):
            raise found

    def close(self) -> None:
        """Let the thread end where it waits for somebody to take what it has read."""
        self._closed = True
        while not self._queue.empty():
            self._queue.get()

    def _read(self, items: Iterable[T]) -> None:
        end: Exception = _End()
        try:
            for item in items:
                if self._closed:
                    return
                self._queue.put((item,))
        except Exception as error:  # raised where the items are taken
            end = error
        self._queue.put(end)
