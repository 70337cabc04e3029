"""Random choices for the slots of a clause: who, what, where, when."""

from functools import cache
from random import Random

from transformer.text.phrasebook.abstract import (
    Adjective,
    Amount,
    Nominal,
    Noun,
    Phrase,
    Place,
    Pronoun,
    Time,
    Verb,
)
from transformer.text.phrasebook.adjectives import fitting
from transformer.text.phrasebook.nouns import noun, nouns
from transformer.text.phrasebook.pronouns import PRONOUNS, owner_of
from transformer.text.phrasebook.times import DAYS, words_of

I, WE, YOU = PRONOUNS["i"], PRONOUNS["we"], PRONOUNS["you"]
_CONTAINERS = {"bottle glass": ("bottle", "glass"), "cup": ("cup",), "piece": ("piece",),
               "kilo": ("kilo",)}
_FIRST_DATE, _DATES = 740_000, 730  # two years, so that each date has more than one weekday
_UNITS_AHEAD = (("hour", 2, 12), ("day", 2, 12), ("week", 2, 6))
_UNITS_PAST = (("hour", 2, 12), ("day", 2, 12), ("week", 2, 6), ("month", 2, 11))
CURRENCIES = ("EUR", "EUR", "USD", "GBP")


@cache
def nouns_of(kinds: tuple[str, ...]) -> tuple[Noun, ...]:
    """The nouns of several kinds; "=name" is one noun, a prefix like "to:" is ignored."""
    found: list[Noun] = []
    for kind in kinds:
        name = kind.partition(":")[2] or kind
        found += [noun(name[1:])] if name.startswith("=") else nouns(name)
    return tuple(found)


def person(rng: Random) -> Phrase | Pronoun:
    """Who acts in a statement."""
    draw = rng.random()
    if draw < 0.35:
        return I
    if draw < 0.55:
        return WE
    if draw < 0.69:
        return PRONOUNS["he" if draw < 0.62 else "she"]
    return kin(rng)


def kin(rng: Random) -> Phrase:
    return Phrase(rng.choice(nouns("kin")), "owner", owner="i")


def adjective(rng: Random, of: Noun, use: str = "a") -> Adjective | None:
    """An adjective that fits the noun, if there is any."""
    fit = fitting(of, use)
    return rng.choice(fit) if fit else None


def thing(rng: Random, of: Noun, determiner: str, owner: str = "", described: float = 0.35) -> Phrase:
    """A phrase for the noun; `described` is how likely it has an adjective."""
    number = 1
    if determiner == "number":
        number = rng.randint(2, 12) if rng.random() < 0.8 else rng.randint(13, 99)
    mass = of if of.kind in _CONTAINERS else None
    if mass is not None:
        of = noun(rng.choice(_CONTAINERS[mass.kind]))
    word = None
    if rng.random() < described:
        word = _container_size(rng, of) if mass is not None else adjective(rng, of)
    bound = owner if determiner in ("own", "owner") else ""
    return Phrase(of, determiner, word, number, bound, mass)


def _container_size(rng: Random, of: Noun) -> Adjective | None:
    sizes = [a for a in fitting(of, "a") if a.en in ("large", "small")]
    return rng.choice(sizes) if sizes and of.en not in ("kilo",) else None


def patient(rng: Random, verb: Verb, subject: Phrase | Pronoun, *, single: bool) -> Nominal | None:
    """An object for the verb; `single` excludes numbers."""
    if not verb.objects:
        return None
    if verb.objects == ("money",):
        return price(rng)
    determiner = rng.choice(verb.determiners)
    if single and determiner in ("number", "few"):
        determiner = verb.determiners[0]
    of = rng.choice(nouns_of(verb.objects))
    if determiner == "few" and of.kind in _CONTAINERS:
        determiner = "number"
    if of.kind == "table":
        return Phrase(of, "a", adjective(rng, of) if rng.random() < 0.3 else None,
                      tail=Amount(rng.randint(2, 12), "person"))
    if of.kind == "train" and determiner == "the" and rng.random() < 0.5:
        return Phrase(of, "the", tail=to_city(rng))
    return thing(rng, of, determiner, owner_of(subject))


def price(rng: Random, low: int = 20, high: int = 400) -> Amount:
    """A sum of money, half of the time without cents."""
    cents = rng.randint(low, high) * 100
    if rng.random() < 0.5:
        cents += rng.choice((50, 20, 80, 90, 95, 25, 75, 40))
    return Amount(cents, rng.choice(CURRENCIES))


def to_city(rng: Random) -> Place:
    return Place("to", Phrase(rng.choice(nouns("city")), "name"))


def somewhere(rng: Random, kinds: tuple[str, ...]) -> Place:
    """A place of one of the kinds; "to:" and "from:" before the first name the relation."""
    relation, _, rest = kinds[0].partition(":")
    spot = rng.choice(nouns_of(kinds))
    named = spot.kind in ("city", "country")
    phrase = Phrase(spot, "name") if named else thing(rng, spot, "the", described=0.12)
    return Place(relation if rest else "at", phrase)


def clock(rng: Random) -> int:
    """Minutes since midnight, from 06:00 to 22:55, in steps of five."""
    return rng.randrange(6 * 60, 23 * 60, 5)


def _date(rng: Random) -> int:
    return _FIRST_DATE + rng.randrange(_DATES)


def past(rng: Random) -> Time:
    """A time that lies behind."""
    draw = rng.random()
    if draw < 0.45:
        return Time("word", (rng.choice(words_of("past")),))
    if draw < 0.65:
        return Time("weekday", ("last", rng.randrange(7)))
    if draw < 0.85:
        unit, low, high = rng.choice(_UNITS_PAST)
        return Time("distance", ("ago", rng.randint(low, high), unit))
    return Time("date", (_date(rng),))


def future(rng: Random) -> Time:
    """A time that lies ahead."""
    draw = rng.random()
    if draw < 0.4:
        return Time("word", (rng.choice(words_of("future")),))
    if draw < 0.55:
        return Time("weekday", ("next", rng.randrange(7)))
    if draw < 0.65:
        unit, low, high = rng.choice(_UNITS_AHEAD)
        return Time("distance", ("in", rng.randint(low, high), unit))
    return Time("date", (_date(rng),)) if draw < 0.8 else appointment(rng)


def appointment(rng: Random) -> Time:
    """A day ahead and a time of that day."""
    if rng.random() < 0.5:
        return Time("word clock", (rng.choice(DAYS[:2]), clock(rng)))
    return Time("date clock", (_date(rng), clock(rng)))


def habit(rng: Random) -> Time:
    if rng.random() < 0.5:
        return Time("weekday", ("every", rng.randrange(7)))
    return Time("word", (rng.choice(words_of("habit")),))


def count_future_times() -> int:
    """How many values `future` can take."""
    clocks = len(range(6 * 60, 23 * 60, 5))
    ahead = sum(high - low + 1 for _, low, high in _UNITS_AHEAD)
    return len(words_of("future")) + 7 + ahead + _DATES + (2 + _DATES) * clocks
