"""The files of an encoded split, written part by part."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from transformer.text.encoded import description
from transformer.text.ragged import Lists, RaggedWriter

WIDEST = 1 << 30  # numbers of links are places in a sentence


class SplitWriter:
    """Writes the pairs that an EncodedSplit reads; `largest` is the largest id that may come."""

    def __init__(self, stem: Path, largest: int, *, aligned: bool) -> None:
        self._stem = stem
        self._aligned = aligned
        self._rows = 0
        self._stack = ExitStack()
        sizes = {"source": largest, "target": largest} | ({"links": WIDEST} if aligned else {})
        self._writers = {
            name: self._stack.enter_context(RaggedWriter(stem.with_name(f"{stem.name}.{name}"), n))
            for name, n in sizes.items()
        }

    def append(self, sides: Mapping[str, Lists]) -> int:
        """Write further pairs, those of a corpus without links with none; gives their number."""
        n = len(sides["source"].lengths)
        none = Lists(np.zeros(0, np.int32), np.zeros(n, np.int32))
        for name, writer in self._writers.items():
            writer.append(none if name not in sides and name == "links" else sides[name])
        self._rows += n
        return n

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if error is None:
            content = {"rows": self._rows, "aligned": self._aligned}
            description(self._stem).write_text(json.dumps(content), encoding="utf-8")
