"""The side of a decoding contender: it decodes the work of a file, as often as it is told.

It needs the standard library alone, so that systems run in environments of their own. The work is a
JSON object: `sources`, lists of ids without EOS; `batches`, for each beam size lists of the
numbers of sources; `model`, its shape, by the names of the project's settings; `vocab_size`,
`device`, `precision`, `threads`; `warm_up`, batches to be decoded before the first turn;
`checkpoint`, a folder or null. A turn names the beam size, and batches where they are others.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from serving import seconds_since_start, serve

Work = dict[str, Any]
# Sources without EOS, how many tokens each output is to have, and the beam size to the number of
# tokens written for each source; it waits for the device.
Decode = Callable[[list[list[int]], int, int], list[int]]
# What decodes, and its final words: peak memory in bytes (None: unknown) and versions.
System = tuple[Decode, Callable[[], dict[str, Any]]]


def serve_decoding(build: Callable[[Work], System]) -> None:
    """Decode the work of the file that the command line names with what `build` makes of it."""

    def begin() -> Any:
        work = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
        decode, final = build(work)
        for beam_size, batches in work["batches"].items():
            timed(decode, work, batches[: work["warm_up"]], int(beam_size))

        def answer(request: dict[str, Any]) -> dict[str, Any]:
            beam_size = request["beam_size"]
            batches = request.get("batches", work["batches"][str(beam_size)])
            return timed(decode, work, batches, beam_size)

        return {"start_s": seconds_since_start()}, answer, final

    serve(begin)


def timed(
    decode: Decode, work: Work, batches: Sequence[Sequence[int]], beam_size: int
) -> dict[str, Any]:
    """Seconds that each batch took, and the tokens written for each of its sources."""
    seconds, written = [], []
    for batch in batches:
        sources = [work["sources"][number] for number in batch]
        started = time.perf_counter()
        lengths = decode(sources, forced_length(sources), beam_size)
        seconds.append(time.perf_counter() - started)
        written.append(lengths)
    return {"seconds": seconds, "written": written}


def forced_length(sources: Sequence[Sequence[int]]) -> int:
    """Tokens that every output of a batch is to have: those of its longest source, with EOS."""
    return max(map(len, sources)) + 1
