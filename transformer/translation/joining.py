"""What was translated in parts or with stand-ins, as a whole again."""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, chain
from typing import TypeVar

from transformer.text.alignment import WORD
from transformer.translation.alignment import Link
from transformer.translation.protection import Span, found_in, restore
from transformer.translation.request import Output
from transformer.translation.splitting import join

Item = TypeVar("Item")


def joined(outputs: Sequence[Output], sources: Sequence[str], language: str) -> Output:
    """One output of the `outputs` for the parts of a line, whose texts are `sources`."""
    if len(outputs) == 1:
        return outputs[0]
    links: list[Link] | None = None
    if all(output.alignment is not None for output in outputs):
        links = [
            (i + past_source, j + past_target)
            for output, past_source, past_target in zip(
                outputs,
                _words_before(sources),
                _words_before([output.text for output in outputs]),
                strict=True,
            )
            for i, j in output.alignment or ()
        ]
    shown = all(output.attention is not None for output in outputs)
    return Output(
        text=join([output.text for output in outputs], language),
        score=math.fsum(output.score for output in outputs),
        log_probability=math.fsum(output.log_probability for output in outputs),
        tokens=_chained(output.tokens for output in outputs),
        token_log_probabilities=_chained(output.token_log_probabilities for output in outputs),
        alignment=links,
        attention=_chained(output.attention or () for output in outputs) if shown else None,
        finished=all(output.finished for output in outputs),
    )


def restored(output: Output, source: str, spans: Sequence[Span]) -> Output:
    """`output`, of the masked `source`, with what its stand-ins stand for.

    Tokens stay those that were searched for.
    """
    links = output.alignment
    if links is not None:
        sources, targets = (_restored_words(text, spans) for text in (source, output.text))
        links = [(m, n) for i, j in links for n in targets[j] for m in sources[i]]
    return replace(output, text=restore(output.text, spans), alignment=links)


def _restored_words(text: str, spans: Sequence[Span]) -> list[range]:
    """What becomes of each word of `text`: an original may have several words."""
    starts = [match.start() for match in WORD.finditer(restore(text, spans))]
    begins = [match.start() for match in WORD.finditer(text)]
    # A space that was put in beside a stand-in goes again, and two words become one.
    ends = [bisect_left(starts, place) for place in _restored_places(begins[1:], text, spans)]
    ends += [len(starts)] * bool(begins)
    firsts = [0, *ends]
    return [range(min(first, end - 1), end) for first, end in zip(firsts, ends, strict=False)]


def _restored_places(places: Sequence[int], text: str, spans: Sequence[Span]) -> Iterator[int]:
    """Where the characters at `places` of `text`, in ascending order, are when it is restored.

    One that is replaced is where its original begins.
    """
    found = deque(found_in(text, spans))
    shift = 0
    for place in places:
        while found and found[0].end <= place:
            done = found.popleft()
            shift += len(done.original) - (done.end - done.begin)
        yield (min(place, found[0].begin) if found else place) + shift


def _words_before(texts: Sequence[str]) -> list[int]:
    """The number of words before each of `texts`."""
    return list(accumulate((len(text.split()) for text in texts[:-1]), initial=0))


def _chained(parts: Iterable[Sequence[Item]]) -> list[Item]:
    return list(chain.from_iterable(parts))
