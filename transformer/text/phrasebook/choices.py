"""Random choices for the slots of a clause: who, what, where, when."""

from dataclasses import replace
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

ME, WE, YOU = PRONOUNS["i"], PRONOUNS["we"], PRONOUNS["you"]
_CONTAINERS = {
    "bottle glass": ("bottle", "glass"),
    "cup": ("cup",),
    "piece": ("piece",),
    "kilo": ("kilo",),
}
_FIRST_DATE, _DATES = 740_000, 730  # two years, so that each date has more than one weekday
_UNITS_AHEAD = (("hour", 2, 12), ("day", 2, 12), ("week", 2, 6))
_UNITS_PAST = (("hour", 2, 12), ("day", 2, 12), ("week", 2, 6), ("month", 2, 11))
CURRENCIES = ("EUR", "EUR", "USD", "GBP")
# Adjectives that do not go with a number, and those that do not tell which one is meant.
_UNCOUNTED = ("famous", "important", "good")
_UNDISTINGUISHING = ("cheap", "expensive", "clean", "quiet", "interesting", "elegant", "tasty")
SELECTIVE = _UNCOUNTED + _UNDISTINGUISHING
# The largest number of what one would buy, order or need.
_MOST = {
    "stamp": 60,
    "postcard": 40,
    "ticket": 50,
    "admission ticket": 50,
    "candle": 20,
    "battery": 24,
    "ware": 9,
    "clothes": 5,
    "carried": 5,
    "room": 3,
    "tableware": 30,
    "linen": 12,
    "bottle glass": 12,
    "kilo": 10,
}
_FLOWN_TO = ("overseas", "overseas", "city", "port")
_PRICES = {
    "ware": (1, 40),
    "clothes": (12, 180),
    "carried": (20, 400),
    "room": (50, 300),
    "booking": (30, 500),
    "ticket": (5, 90),
    "dish": (4, 35),
}


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
        return ME
    if draw < 0.55:
        return WE
    if draw < 0.69:
        return PRONOUNS["he" if draw < 0.62 else "she"]
    return kin(rng)


def kin(rng: Random, determiner: str = "owner", owner: str = "i") -> Phrase:
    """A relative or friend of the owner; only one person has the owner's husband."""
    strange = {"we": ("wife", "husband"), "he": ("husband",), "she": ("wife",)}.get(owner, ())
    of = rng.choice([n for n in nouns("kin") if n.en not in strange])
    return Phrase(of, determiner, owner=owner)


def adjective(rng: Random, of: Noun, uses: str = "a") -> Adjective | None:
    """An adjective that fits the noun in one of the uses, if there is any."""
    fit = [word for use in uses for word in fitting(of, use)]
    return rng.choice(fit) if fit else None


def thing(
    rng: Random, of: Noun, determiner: str, owner: str = "", described: float = 0.35
) -> Phrase:
    """A phrase for the noun; `described` is how likely it has an adjective."""
    number = (
        rng.randint(2, _MOST.get(of.en, _MOST.get(of.kind, 6))) if determiner == "number" else 1
    )
    mass = of if of.kind in _CONTAINERS else None
    if mass is not None:
        of = noun(rng.choice(_CONTAINERS[mass.kind]))
    word = None
    if rng.random() < described:
        use = "ai" if determiner == "a" else "a"
        word = _container_size(rng, of) if mass is not None else adjective(rng, of, use)
    unsaid = {"number": _UNCOUNTED, "the": _UNDISTINGUISHING}.get(determiner, ())
    if word is not None and word.en in unsaid:
        word = None
    bound = owner if determiner in ("own", "owner") else ""
    tail = None
    if of.en == "flight" and rng.random() < 0.7:
        tail = Place("to", Phrase(rng.choice(nouns_of(_FLOWN_TO)), "name"))
    return Phrase(of, determiner, word, number, bound, mass, tail)


def _container_size(rng: Random, of: Noun) -> Adjective | None:
    sizes = [a for a in fitting(of, "a") if a.en in ("large", "small")]
    return rng.choice(sizes) if sizes and of.en != "kilo" else None


def patient(rng: Random, verb: Verb, subject: Phrase | Pronoun, *, single: bool) -> Nominal | None:
    """An object for the verb; `single` excludes numbers."""
    if not verb.objects:
        return None
    if verb.objects == ("money",):
        return price(rng)
    determiner = rng.choice(verb.determiners)
    owner = rng.choice(("i", "we")) if determiner == "owner" else owner_of(subject)
    if single and determiner in ("number", "few"):
        determiner = verb.determiners[0]
    of = rng.choice(nouns_of(verb.objects))
    if of.kind == "kin":
        return kin(rng, "own", owner)
    return _goods(rng, of, determiner, owner, verb)


def _goods(rng: Random, of: Noun, determiner: str, owner: str, verb: Verb) -> Phrase:
    """A thing with what its kind needs: a table its guests, a train its destination."""
    if of.kind == "table":
        word = adjective(rng, of) if rng.random() < 0.3 else None
        return Phrase(of, "a", word, tail=Amount(rng.randint(2, 12), "person"))
    if of.kind in ("train", "ferry") and "{p}" not in verb.zh and rng.random() < 0.5:
        return Phrase(of, "the", tail=to_city(rng, of))
    if determiner == "few" and of.kind in _CONTAINERS:
        determiner = "number"
    made = thing(rng, of, determiner, owner)
    few = verb.key in ("eat", "drink") and determiner == "number"
    return replace(made, number=rng.randint(2, 3)) if few else made


def price(rng: Random, of: Noun | None = None) -> Amount:
    """A sum of money that the noun may cost, half of the time with cents."""
    low, high = _PRICES[of.kind] if of is not None else (20, 400)
    cents = rng.randint(low, high) * 100
    if rng.random() < 0.5:
        cents += rng.choice((50, 20, 80, 90, 95, 25, 75, 40))
    return Amount(cents, rng.choice(CURRENCIES))


def to_city(rng: Random, of: Noun | None = None) -> Place:
    """Where a train goes: any city; a ferry: a port."""
    ferry = of is not None and of.kind == "ferry"
    cities = nouns("port") if ferry else nouns("city") + nouns("port")[:1]
    return Place("to", Phrase(rng.choice(cities), "name"))


def somewhere(rng: Random, kinds: tuple[str, ...]) -> Place:
    """A place of one of the kinds; "to:" and "from:" before the first name the relation."""
    relation, _, rest = kinds[0].partition(":")
    spot = rng.choice(nouns_of(kinds))
    named = not spot.gender
    phrase = Phrase(spot, "name") if named else thing(rng, spot, "the", described=0.12)
    return Place(relation if rest else "at", phrase)


def clock(rng: Random) -> int:
    """Minutes since midnight, from 06:00 to 22:55, in steps of five."""
    return rng.randrange(6 * 60, 23 * 60, 5)


def _date(rng: Random) -> int:
    return _FIRST_DATE + rng.randrange(_DATES)


def past(rng: Random, *, far: bool = True) -> Time:
    """A time that lies behind, `far` even months."""
    draw = rng.random()
    if draw < 0.45:
        return Time("word", (rng.choice(words_of("past")),))
    if draw < 0.65:
        return Time("weekday", ("last", rng.randrange(7)))
    if draw < 0.85:
        unit, low, high = rng.choice(_UNITS_PAST if far else _UNITS_PAST[:2])
        return Time("distance", ("ago", rng.randint(low, high), unit))
    return Time("date", (_date(rng),))


def future(rng: Random, *, far: bool = True) -> Time:
    """A time that lies ahead, `far` even weeks."""
    draw = rng.random()
    if draw < 0.4:
        return Time("word", (rng.choice(words_of("future")),))
    if draw < 0.55:
        return Time("weekday", ("next", rng.randrange(7)))
    if draw < 0.65 and far:
        unit, low, high = rng.choice(_UNITS_AHEAD)
        return Time("distance", ("in", rng.randint(low, high), unit))
    return Time("date", (_date(rng),)) if draw < 0.8 else appointment(rng)


def appointment(rng: Random) -> Time:
    """A day ahead and a time of that day."""
    if rng.random() < 0.5:
        return Time("word clock", (rng.choice(DAYS[:2]), clock(rng)))
    return Time("date clock", (_date(rng), clock(rng)))


def day_time(rng: Random, tense: str) -> Time:
    """The time of day of something daily, from 06:00 to 09:55."""
    minutes = rng.randrange(6 * 60, 10 * 60, 5)
    if rng.random() < 0.3:
        return Time("date clock", (_date(rng), minutes))
    return Time("word clock", (rng.choice(DAYS[2:4] if tense == "past" else DAYS[:2]), minutes))


def count_appointments() -> int:
    """How many values `appointment` can take."""
    return (2 + _DATES) * len(range(6 * 60, 23 * 60, 5))
