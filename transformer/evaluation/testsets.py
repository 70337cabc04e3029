"""Test sets by the names that sacreBLEU gives them."""

import difflib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sacrebleu.dataset import DATASETS
from sacrebleu.utils import SACREBLEU_DIR

from transformer.errors import InputError, require
from transformer.evaluation.sets import EvaluationSet
from transformer.text.files import read_lines

TIMEOUT = 30  # seconds without a sign of life from the network


def named_set(name: str, direction: str) -> EvaluationSet:
    """The test set `name` of a `direction` such as en-de, from sacreBLEU's cache or the network.

    InputError where there is no such set or direction, or it is in neither place.
    """
    nearest = difflib.get_close_matches(name, DATASETS, n=3)
    hint = f"did you mean {' or '.join(nearest)}?" if nearest else "sacrebleu --list names all"
    require(name in DATASETS, f"test_set={name}: sacreBLEU has no such test set; {hint}")
    dataset: Any = DATASETS[name]
    pairs = list(dataset.langpairs)
    require(
        direction in pairs,
        f"test_set={name} has no direction {direction}; it has {', '.join(pairs)}",
    )
    with _patience():
        try:
            files = [dataset.get_source_file(direction), *dataset.get_reference_files(direction)]
        except (Exception, SystemExit) as error:  # of whatever kind its readers and the network are
            raise InputError(
                f"test_set={name}: {_reason(error)}; it is neither in {Path(SACREBLEU_DIR) / name} "
                f"nor to be had from the network: where there is one, run sacrebleu -t {name} "
                f"-l {direction} --echo src, and copy that folder"
            ) from error
    sources, *streams = [[line.strip() for line in read_lines(Path(file))] for file in files]
    require(
        bool(streams) and all(len(stream) == len(sources) for stream in streams),
        f"test_set={name}: {Path(SACREBLEU_DIR) / name} is damaged: sources and references have "
        "different numbers of lines; delete it",
    )
    source, _, target = direction.partition("-")
    return EvaluationSet(target, sources, streams, name=name, source_language=source)


@contextmanager
def _patience() -> Iterator[None]:
    """Lets what connects to the network meanwhile fail after a while rather than hang."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if text and not isinstance(error, SystemExit) else type(error).__name__
