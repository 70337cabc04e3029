"""Windows to text, in this process or in several."""

import logging
import os
import signal
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import replace
from functools import cache
from logging.handlers import QueueHandler
from multiprocessing import current_process, get_context
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from threading import Thread

import torch

from transformer.config import TranslateSettings
from transformer.device import choose_device
from transformer.errors import InputError, require
from transformer.signals import ASKING
from transformer.translation.ahead import Ahead
from transformer.translation.lines import Window
from transformer.translation.output import format_translations
from transformer.translation.translator import start

Work = Callable[[Window], str]
Translated = Generator[tuple[Window, str], None, None]


def translated(settings: TranslateSettings, windows: Iterator[Window]) -> Translated:
    """Each window, in order, with the output lines of its translations.

    To be closed, which ends the processes.
    """
    return (_in_processes if settings.processes > 1 else _here)(settings, windows)


def load(settings: TranslateSettings) -> Work:
    """What translates a window."""
    translator = start(settings)

    def work(window: Window) -> str:
        translations = translator.translate_together(
            window.requests,
            settings.search,
            first=window.first,
            alignment=settings.alignment,
            attention=settings.attention,
        )
        return format_translations(translations, window.first, settings)

    return work


def _here(settings: TranslateSettings, windows: Iterator[Window]) -> Translated:
    work = load(settings)
    for window in windows:
        yield window, work(window)


def shares(settings: TranslateSettings) -> list[TranslateSettings]:
    """The settings of each process: a GPU of its own, or its share of the cores.

    InputError where there are more processes than GPUs.
    """
    n = settings.processes
    if choose_device(settings.device).type == "cuda":
        n_gpus = torch.cuda.device_count()
        require(
            settings.device in ("auto", "cuda"),
            f"processes={n} share out all GPUs: give device=cuda instead of {settings.device}",
        )
        require(n <= n_gpus, f"processes={n}, each with a GPU of its own, but there are {n_gpus}")
        return [replace(settings, device=f"cuda:{i}") for i in range(n)]
    threads = settings.threads or max(1, len(os.sched_getaffinity(0)) // n)
    return [replace(settings, threads=threads)] * n


def _in_processes(settings: TranslateSettings, windows: Iterator[Window]) -> Translated:
    n = settings.processes
    choice = shares(settings)
    context = get_context("spawn")
    # Nothing is ever sent: a process ends when the other end is closed, as it is when we die.
    alive, lifeline = context.Pipe(duplex=False)
    level = logging.getLogger("transformer").level
    executor = ProcessPoolExecutor(n, context, _begin, (choice, alive, level))
    # Besides those in the queue, one is waited for on each side of it.
    tasks = Ahead(_submitted(executor, windows), n)
    try:
        for window, future in tasks:
            text, records = future.result()
            for record in records:
                logging.getLogger(record.name).handle(record)
            yield window, text
        executor.shutdown()
    except BrokenProcessPool as error:
        raise InputError(
            f"one of processes={n} was killed, as happens where memory runs out; give fewer"
        ) from error
    finally:
        tasks.close()
        lifeline.close()
        executor.shutdown(cancel_futures=True)
        alive.close()


Result = tuple[str, list[logging.LogRecord]]


def _submitted(
    executor: ProcessPoolExecutor, windows: Iterator[Window]
) -> Iterator[tuple[Window, "Future[Result]"]]:
    # Processes that this thread starts inherit its mask: what a terminal or a batch system tells
    # all of them is for the first to act on.
    signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
    for window in windows:
        yield window, executor.submit(_work, window)


# Of a process that was started here:
_settings: list[TranslateSettings] = []
_records: "SimpleQueue[logging.LogRecord]" = SimpleQueue()


def _begin(choice: list[TranslateSettings], alive: Connection, level: int) -> None:
    """Prepare this process, started as one of a row, to which the list `choice` belongs."""
    Thread(target=_end_with, args=(alive,), daemon=True).start()
    number = int(current_process().name.rpartition("-")[2])  # counted on from process to process
    _settings.append(choice[number % len(choice)])
    logging.getLogger().addHandler(QueueHandler(_records))
    logging.getLogger("transformer").setLevel(level)


def _end_with(alive: Connection) -> None:
    """End this process at once when the first one closes its end, or dies."""
    with suppress(EOFError, OSError):
        alive.recv()
    os._exit(1)


@cache
def _loaded() -> Work:
    return load(_settings[0])


def _work(window: Window) -> Result:
    """The output lines of `window`, and what was logged."""
    text = _loaded()(window)
    records = []
    with suppress(Empty):
        while True:
            records.append(_records.get_nowait())
    return text, records
