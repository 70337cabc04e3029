"""Work ahead of need: a thread that makes what is asked for next, and copies beside computing."""

import atexit
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from queue import SimpleQueue
from typing import Generic, TypeVar

import torch
from torch import Tensor

from transformer.text.batching import Batch

T = TypeVar("T")
END_S = 1.0  # how long to wait for a thread that is to end, before it ends on its own


def ahead(items: Generator[T], n: int) -> Generator[T]:
    """`items`, of which a thread makes up to `n` before they are asked for; 0: no thread.

    The thread begins with the first item asked for, and ends with this generator; where the item
    that it makes just then takes longer than END_S, after that item (see `wait_for_closing`). What
    `items` raises is raised here, after the items before it. Whoever makes items closes `items`.
    """
    if n == 0:
        with closing(items):
            yield from items
        return
    maker = _Maker(items, n)
    atexit.register(maker.close)  # a thread that runs while the interpreter goes down may crash it
    try:
        maker.start()
        while (found := maker.take()) is not None:
            yield found[0]
    finally:
        maker.close()
        if not maker.is_alive():
            atexit.unregister(maker.close)


def wait_for_closing() -> None:
    """Wait, however long it takes, for the threads whose generator has been closed."""
    while makers := [t for t in threading.enumerate() if isinstance(t, _Maker) and t.closing]:
        makers[0].join()  # which may leave another one that closes


class _Maker(threading.Thread, Generic[T]):
    """Makes items, and holds at most `n` that nobody has taken."""

    def __init__(self, items: Generator[T], n: int) -> None:
        super().__init__(name="ahead", daemon=True)
        self._items = items
        self._free = threading.Semaphore(n)
        self._made: SimpleQueue[tuple[T] | BaseException] = SimpleQueue()
        self.closing = False

    def run(self) -> None:
        """Make items until there are none, one fails, or nobody wants more; then close them."""
        try:
            with closing(self._items):
                while self._free.acquire() and not self.closing:
                    item = (next(self._items),)
                    self._made.put(item)
                    del item
        except BaseException as error:  # raised by `take`
            self._made.put(error)

    def take(self) -> tuple[T] | None:
        """The next item; None: there are no more."""
        found = self._made.get()
        if isinstance(found, StopIteration):
            return None
        if isinstance(found, BaseException):
            try:
                raise found
            finally:
                del found  # an error that holds its own frame would outlive the run
        self._free.release()
        return found

    def close(self) -> None:
        """End the thread after what it makes just then, for which END_S are waited."""
        self.closing = True
        self._free.release()
        if self.is_alive():
            self.join(END_S)


class Upload:
    """Copies of batches to a GPU, made on a stream of their own while another one computes."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._events: dict[int, torch.cuda.Event] = {}  # the end of a copy, by its batch

    def send(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches, on their way to the GPU; `receive` them before use.

        Where the GPU has no memory left they stay where they are, for the update to deal with.
        """
        torch.cuda.set_device(self.device)  # otherwise a thread works on the first GPU
        for batch in batches:
            try:
                with torch.cuda.stream(self.stream):
                    moved = batch.to(self.device, non_blocking=True)
            except torch.OutOfMemoryError:
                yield batch
                continue
            self._events[id(moved)] = self.stream.record_event()
            yield moved

    def receive(self, batch: Batch) -> None:
        """Let the current stream wait for `batch`, and its memory last as long as it is used."""
        event = self._events.pop(id(batch), None)
        if event is None:
            return
        current = torch.cuda.current_stream(self.device)
        current.wait_event(event)
        for value in vars(batch).values():
            if isinstance(value, Tensor):
                value.record_stream(current)
