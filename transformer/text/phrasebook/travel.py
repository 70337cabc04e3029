"""Sentences of travelling: trains, flights, ways, places and their opening hours."""

from dataclasses import replace
from random import Random

from transformer.text.phrasebook import choices
from transformer.text.phrasebook.abstract import (
    Amount,
    Clause,
    Phrase,
    Place,
    Predicate,
    Sentence,
    Time,
    Wh,
)
from transformer.text.phrasebook.actions import in_mood, in_tense, say, verbs_for
from transformer.text.phrasebook.adjectives import fitting
from transformer.text.phrasebook.choices import ME, WE, YOU, nouns_of
from transformer.text.phrasebook.frames import WH, WHETHER
from transformer.text.phrasebook.nouns import noun
from transformer.text.phrasebook.pronouns import PRONOUNS
from transformer.text.phrasebook.verbs import verb


def some_train(rng: Random, determiners: tuple[str, ...] = ("the", "next", "last")) -> Phrase:
    of = rng.choice(nouns_of(("train", "train", "ferry")))
    tail = choices.to_city(rng, of) if rng.random() < 0.8 else None
    return Phrase(of, rng.choice(determiners), tail=tail)


def departure(rng: Random) -> Sentence:
    """When and from which platform a train leaves."""
    train = some_train(rng)
    on_rails = train.noun.en != "bus" and train.noun.kind == "train"
    c = Clause(train, verb("depart"), time=_timetable(rng))
    if on_rails and rng.random() < 0.7:
        c = replace(c, place=Amount(rng.randint(2, 24), "platform"))
    kind = rng.choice(("say", "say", "say", "when", "platform", "whether"))
    if kind == "when":
        return say(rng.choice(WH), replace(c, time=Wh("when"), place=None))
    if kind == "platform" and on_rails:
        return say(rng.choice(WH), replace(c, place=Wh("platform"), time=None))
    return say(rng.choice(WHETHER) if kind == "whether" else "say", c)


def _timetable(rng: Random) -> Time:
    return Time("clock", (choices.clock(rng),)) if rng.random() < 0.5 else choices.appointment(rng)


def arrival(rng: Random) -> Sentence:
    train = some_train(rng, ("the", "next"))
    train = replace(train, tail=None)
    c = Clause(
        train,
        verb("arrive"),
        time=_timetable(rng),
        place=choices.somewhere(rng, ("city", "=railway station")),
    )
    if train.noun.en == "ferry":
        c = replace(c, place=choices.somewhere(rng, ("port",)))
    kind = rng.choice(("say", "when", "whether"))
    if kind == "when":
        return say(rng.choice(WH), replace(c, time=Wh("when")))
    return say(rng.choice(WHETHER) if kind == "whether" else "say", c)


def existence(rng: Random) -> Sentence:
    """What there is near here."""
    of = rng.choice(nouns_of(("office", "stop", "lodging", "shop", "venue", "outdoors")))
    near = rng.choice(nouns_of(("sight", "lodging", "stop", "office", "outdoors")))
    if near is of:
        return existence(rng)
    c = Clause(
        PRONOUNS["there"],
        verb("be", "z"),
        object=choices.thing(rng, of, "a", described=0.3),
        place=Place("near", choices.thing(rng, near, "the", described=0.2)),
    )
    kind = rng.random()
    if kind < 0.5:
        return say("ask", c)
    return say(rng.choice(WHETHER) if kind < 0.7 else "say", replace(c, negated=kind > 0.85))


def opening(rng: Random) -> Sentence:
    """Opening hours."""
    of = rng.choice(
        nouns_of(
            (
                "sight",
                "shop",
                "=bank",
                "=pharmacy",
                "=bakery",
                "=post office",
                "=bookshop",
                "=library",
                "=swimming pool",
            )
        )
    )
    subject = choices.thing(rng, of, "the", described=0.15)
    draw = rng.random()
    if draw < 0.25:
        closed = next(a for a in fitting(of, "x") if a.en == "closed")
        time = Time("weekday", ("every", rng.randrange(7)))
        c = Clause(subject, verb("be"), predicate=Predicate(closed), time=time)
        return say(rng.choice(("say", "say", *WHETHER[:2])), c)
    v = verb(rng.choice(("open", "close")), "h")
    opens = v.key == "open"
    minutes = rng.randrange(*(7 * 60, 11 * 60 + 1) if opens else (16 * 60, 22 * 60 + 1), 15)
    c = Clause(subject, v, time=Time("word clock", ("every day", minutes)))
    if draw < 0.55:
        return say(rng.choice(WH), replace(c, time=Wh("when")))
    return say("say", c)


def staying(rng: Random) -> Sentence:
    """For how long somebody stays."""
    v = verb("stay", "d")
    subject = choices.person(rng)
    place = choices.somewhere(rng, v.places)
    if rng.random() < 0.25:
        c = Clause(rng.choice((ME, WE)), v, modal="can", place=place, duration=Wh("how long"))
        return say(rng.choice(WH), c)
    unit, most = rng.choice((("day", 12), ("night", 12), ("week", 6)))
    c = Clause(
        subject,
        v,
        modal=rng.choice(("would", "must", "should")),
        place=place,
        duration=Amount(rng.randint(2, most), unit),
    )
    return say("say", c)


def origin(rng: Random) -> Sentence:
    v = verb("come")
    return say("say", Clause(choices.person(rng), v, place=choices.somewhere(rng, v.places)))


def direction(rng: Random) -> Sentence:
    """Where to turn."""
    v = rng.choice(verbs_for("k"))
    landmark = rng.random() < 0.4
    if landmark:
        kinds = (
            "=cathedral",
            "=church",
            "=town hall",
            "=castle",
            "=railway station",
            "=petrol station",
        )
        spot = choices.thing(rng, rng.choice(nouns_of(kinds)), "the", described=0.3)
    else:
        of = rng.choice(nouns_of(("=crossing", "=traffic light")))
        spot = Phrase(of, rng.choice(("ordinal", "ordinal", "next")), number=rng.randint(2, 6))
    c = Clause(YOU, v, place=Place("at", spot))
    return say("please", c) if rng.random() < 0.5 else say("say", replace(c, modal="must"))


def distance(rng: Random) -> Sentence:
    """How far one place is from another."""
    kinds = ("sight", "lodging", "=railway station", "=airport", "=harbour", "=beach", "=hospital")
    one, other = (rng.choice(nouns_of(kinds)) for _ in range(2))
    if one is other:
        return distance(rng)
    start = Place("from", choices.thing(rng, other, "the", described=0.15))
    subject = choices.thing(rng, one, "the", described=0.15)
    metres = rng.randint(1, 9) * rng.choice((100, 100, 50))
    if rng.random() < 0.5:
        return say(
            rng.choice(WH), Clause(subject, verb("be", "u"), place=start, duration=Wh("how far"))
        )
    c = Clause(subject, verb("be", "u"), place=start, duration=Amount(metres, "metre"))
    return say(rng.choice(("say", "that think")), c)


def which(rng: Random) -> Sentence:
    """Which bus goes where."""
    train = Phrase(rng.choice(nouns_of(("train", "tram"))), "which")
    place = choices.to_city(rng)
    if train.noun.kind == "tram" or train.noun.en == "bus":
        place = choices.somewhere(rng, ("by:sight", "=railway station", "=airport", "=harbour"))
    return say(rng.choice(WH), Clause(train, verb("go", "W"), place=place))


def forbidden(rng: Random) -> Sentence:
    """What must not be done, where."""
    v = rng.choice(verbs_for("O"))
    there = choices.somewhere(rng, v.places)
    if rng.random() < 0.5:
        c = Clause(rng.choice((ME, WE)), v, place=there, modal="can")
        return say(rng.choice(("ask", *WHETHER)), c)
    return say("say", Clause(YOU, v, place=there, modal="may", negated=True))


def delay(rng: Random) -> Sentence:
    """The train that somebody is waiting for, or something else about a train, and its delay."""
    if rng.random() < 0.4:
        return say(
            "say" if rng.random() < 0.5 else rng.choice(WHETHER),
            Clause(some_train(rng, ("the", "next")), verb("be late")),
        )
    of = rng.choice(nouns_of(("train", "ferry")))
    wait = Clause(rng.choice((ME, WE, choices.kin(rng))), verb("wait for", "C"), gap="object")
    train = Phrase(of, "the", relative=wait)
    if rng.random() < 0.5:
        return say(rng.choice(("say", "that think")), Clause(train, verb("be late")))
    return say(rng.choice(WH), Clause(train, verb("depart"), time=Wh("when")))


def flying(rng: Random) -> Sentence:
    """Where somebody flies, and how long that takes."""
    there = choices.somewhere(
        rng, ("to:overseas", "country") if rng.random() < 0.5 else ("to:overseas",)
    )
    if rng.random() < 0.3:
        flight = Phrase(noun("flight"), "the", tail=there)
        hours = Amount(rng.randint(2, 16), "hour")
        return say(rng.choice(("say", "that think")), Clause(flight, verb("last"), duration=hours))
    c = Clause(choices.person(rng), verb("fly"), place=there)
    if rng.random() < 0.4:
        return say("say", in_mood(rng, c))
    return say("say", in_tense(rng, c, rng.choice("pf"), negated=0.1))
