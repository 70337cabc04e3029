"""The grammar as a whole: the families of sentences and how often each is drawn."""

from collections.abc import Callable, Iterator
from itertools import accumulate
from random import Random

from transformer.text.phrasebook import actions, situations
from transformer.text.phrasebook.abstract import Sentence

FAMILIES: tuple[tuple[Callable[[Random], Sentence], int], ...] = (
    (actions.statement, 30),
    (actions.question, 7),
    (actions.ask_possession, 3),
    (actions.wh_question, 6),
    (actions.that, 7),
    (actions.infinitive, 6),
    (actions.request, 10),
    (actions.calling, 2),
    (situations.departure, 4),
    (situations.arrival, 2),
    (situations.cost, 4),
    (situations.existence, 4),
    (situations.where_is, 4),
    (situations.quality, 12),
    (situations.comparison, 4),
    (situations.liking, 4),
    (situations.event, 3),
    (situations.lasting, 2),
    (situations.opening, 2),
    (situations.pain, 4),
    (situations.waiting, 3),
    (situations.theft, 2),
    (situations.staying, 2),
    (situations.broken, 2),
    (situations.origin, 2),
    (situations.because, 4),
    (situations.conditional, 3),
    (situations.sequence, 3),
    (situations.which, 2),
    (situations.forbidden, 2),
    (situations.purpose, 4),
    (situations.direction, 2),
    (situations.distance, 2),
    (situations.delay, 2),
    (situations.flying, 3),
    (actions.service, 2),
    (actions.wish, 7),
)


def sentences(rng: Random) -> Iterator[Sentence]:
    """An endless stream of abstract sentences."""
    families = [family for family, _ in FAMILIES]
    weights = list(accumulate(weight for _, weight in FAMILIES))
    while True:
        yield rng.choices(families, cum_weights=weights)[0](rng)
