"""The grammar as a whole: the families of sentences and how often each is drawn."""

from collections.abc import Callable, Iterator
from itertools import accumulate
from random import Random

from transformer.text.phrasebook import actions, linked, orders, things, travel
from transformer.text.phrasebook.abstract import Sentence

FAMILIES: tuple[tuple[Callable[[Random], Sentence], int], ...] = (
    (actions.statement, 30),
    (actions.question, 7),
    (actions.ask_possession, 3),
    (actions.wh_question, 6),
    (actions.that, 7),
    (actions.infinitive, 6),
    (orders.request, 10),
    (orders.calling, 2),
    (travel.departure, 4),
    (travel.arrival, 2),
    (things.cost, 4),
    (travel.existence, 4),
    (things.where_is, 4),
    (things.quality, 17),
    (things.comparison, 4),
    (things.liking, 4),
    (things.event, 3),
    (things.lasting, 2),
    (travel.opening, 2),
    (things.pain, 4),
    (things.waiting, 3),
    (things.theft, 2),
    (travel.staying, 2),
    (things.broken, 2),
    (travel.origin, 2),
    (linked.because, 4),
    (linked.conditional, 3),
    (linked.sequence, 3),
    (travel.which, 2),
    (travel.forbidden, 2),
    (linked.purpose, 4),
    (travel.direction, 2),
    (travel.distance, 2),
    (travel.delay, 2),
    (travel.flying, 3),
    (orders.service, 2),
    (orders.wish, 7),
)


def sentences(rng: Random) -> Iterator[Sentence]:
    """An endless stream of abstract sentences."""
    families = [family for family, _ in FAMILIES]
    weights = list(accumulate(weight for _, weight in FAMILIES))
    while True:
        yield rng.choices(families, cum_weights=weights)[0](rng)
