"""The side of a decoding contender: it decodes the work of a file, as often as it is told.

It needs the standard library alone, so that systems run in environments of their own. The work is a
JSON object: `sources`, lists of ids without EOS; `batches`, for each beam size lists of the
numbers of sources; `model`, its shape, by the names of the project's settings; `vocab_size`,
`device`, `precision`, `threads`; `warm_up`, batches to be decoded before the first turn; `search`,
the project's settings of it. With a checkpoint, `checkpoint` is its folder, `weights` a file of its
weights (see `baselines.weights`), and `request` the project's settings of its translate command;
these are null where weights are random and lengths forced. A turn names the beam size, and batches
where they are others.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from serving import LeftOut, seconds_since_start, serve

Work = dict[str, Any]
Rows = list[list[int]]  # sentences as ids
# Sources without EOS, how many tokens each output is to have, or at most where there is a
# checkpoint, and the beam size to the outputs, EOS included; it waits for the device.
Decode = Callable[[Rows, int, int], Rows]
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
    """Seconds that each batch took, and the tokens written for each of its sources.

    With a checkpoint also which tokens they are.
    """
    seconds, outputs = [], []
    for batch in batches:
        sources = [work["sources"][number] for number in batch]
        started = time.perf_counter()
        outputs.append(decode(sources, greatest_length(work, sources), beam_size))
        seconds.append(time.perf_counter() - started)
    written = [[len(ids) for ids in batch] for batch in outputs]
    found = {"seconds": seconds, "written": written}
    return found | ({"outputs": outputs} if work["checkpoint"] else {})


def greatest_length(work: Work, sources: Sequence[Sequence[int]]) -> int:
    """Tokens that every output of a batch is to have, or may have, with EOS."""
    return natural_length(work, sources) if work["checkpoint"] else forced_length(sources)


def forced_length(sources: Sequence[Sequence[int]]) -> int:
    """Tokens that every output of a batch is to have: those of its longest source, with EOS."""
    return max(map(len, sources)) + 1


def natural_length(work: Work, sources: Sequence[Sequence[int]]) -> int:
    """The most tokens that the longest source of a batch may become, with EOS."""
    search = work["search"]
    longest = int(search["max_length_ratio"] * max(map(len, sources)))
    limit: int = longest + search["max_length_offset"]
    return limit if search["max_length"] is None else min(limit, search["max_length"])


def most_positions(work: Work) -> int:
    """How long sources and outputs may be."""
    return max(512, forced_length(work["sources"]) + 1, natural_length(work, work["sources"]) + 1)


def exponent(work: Work) -> float:
    """x where a finished output of T tokens, EOS counted, ranks by log-probability / T ** x."""
    search = work["search"]
    known: dict[str, float] = {"plain": search["length_penalty"], "none": 0.0}
    return known.get(search["normalization"], 1.0)


def differences(work: Work, *own: str) -> dict[str, str]:
    """What to say of a system with a checkpoint's weights: what it does not do as the project."""
    if not work["checkpoint"]:
        return {}
    normalization = work["search"]["normalization"]
    if normalization not in {"plain", "none"}:
        own = (f"ranks by log-probability / T ** {exponent(work)}, not by {normalization}", *own)
    return {"differs": "; ".join(("limits lengths by a batch's longest source", *own))}


def require_shared_embeddings(work: Work) -> None:
    """LeftOut where the checkpoint has more than one embedding."""
    tying = work["model"]["tying"]
    if work["checkpoint"] and tying != "three_way":
        raise LeftOut(f"it has one embedding, but the checkpoint was trained with tying={tying}")
