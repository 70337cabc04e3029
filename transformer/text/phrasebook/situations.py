"""Sentences of typical situations: transport, prices, directions, rooms, events, health."""

from dataclasses import replace
from functools import cache
from random import Random

from transformer.text.phrasebook import choices
from transformer.text.phrasebook.abstract import (
    Amount,
    Clause,
    Noun,
    Phrase,
    Place,
    Predicate,
    Pronoun,
    Sentence,
    Time,
    Verb,
    Wh,
)
from transformer.text.phrasebook.actions import act, in_mood, in_tense, say, verbs_for
from transformer.text.phrasebook.adjectives import adjectives, fitting
from transformer.text.phrasebook.choices import ME, WE, YOU, nouns_of
from transformer.text.phrasebook.nouns import noun, nouns
from transformer.text.phrasebook.pronouns import PRONOUNS
from transformer.text.phrasebook.verbs import verbs

_THAT = ("that hope", "that think", "that glad", "that pity")
_WHETHER = ("whether know you", "whether tell", "whether know not", "whether like know")
_WH = ("ask", "wh tell", "wh know you", "wh know not", "wh like know")


@cache
def verb(key: str, use: str = "") -> Verb:
    """The first verb of that name (and use)."""
    return next(v for v in verbs() if v.key == key and (not use or use in v.uses))


def _train(rng: Random, determiners: tuple[str, ...] = ("the", "next", "last")) -> Phrase:
    of = rng.choice(nouns_of(("train", "train", "ferry")))
    tail = choices.to_city(rng, of) if rng.random() < 0.8 else None
    return Phrase(of, rng.choice(determiners), tail=tail)


def departure(rng: Random) -> Sentence:
    """When and from which platform a train leaves."""
    train = _train(rng)
    on_rails = train.noun.en != "bus" and train.noun.kind == "train"
    c = Clause(train, verb("depart"), time=_timetable(rng))
    if on_rails and rng.random() < 0.7:
        c = replace(c, place=Amount(rng.randint(2, 24), "platform"))
    kind = rng.choice(("say", "say", "say", "when", "platform", "whether"))
    if kind == "when":
        return say(rng.choice(_WH), replace(c, time=Wh("when"), place=None))
    if kind == "platform" and on_rails:
        return say(rng.choice(_WH), replace(c, place=Wh("platform"), time=None))
    return say(rng.choice(_WHETHER) if kind == "whether" else "say", c)


def _timetable(rng: Random) -> Time:
    return Time("clock", (choices.clock(rng),)) if rng.random() < 0.5 else choices.appointment(rng)


def arrival(rng: Random) -> Sentence:
    train = _train(rng, ("the", "next"))
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
        return say(rng.choice(_WH), replace(c, time=Wh("when")))
    return say(rng.choice(_WHETHER) if kind == "whether" else "say", c)


def cost(rng: Random) -> Sentence:
    """Prices."""
    kinds = ("ware", "clothes", "carried", "room", "booking", "ticket", "dish")
    of = rng.choice(nouns_of(kinds))
    determiner = "a" if of.kind in ("ticket", "dish", "booking") else "this"
    if of.kind in ("ticket", "ware") and rng.random() < 0.4:
        determiner = "number"
    subject = choices.thing(rng, of, determiner)
    if rng.random() < 0.5:
        return say(rng.choice(_WH), Clause(subject, verb("cost"), object=Wh("how much")))
    c = Clause(subject, verb("cost"), object=choices.price(rng, of))
    return say(rng.choice(("say", "say", "that think")), c)


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
    return say(rng.choice(_WHETHER) if kind < 0.7 else "say", replace(c, negated=kind > 0.85))


def _relative(rng: Random, of: Noun) -> Clause | None:
    """A relative clause with the noun as its object, or as the place where somebody stays."""
    subject = rng.choice((ME, WE, choices.kin(rng)))
    if of.kind == "lodging":
        return Clause(rng.choice((ME, WE)), verb("stay", "n"), gap="place")
    fit = _relatives(of)
    if not fit:
        return None
    v = rng.choice(fit)
    c = Clause(subject, v, gap="object")
    if "D" in v.uses or (rng.random() < 0.35 and v.key != "lose"):
        return in_mood(rng, c, "wanted", fronted=False)
    return in_tense(rng, c, "p", negated=0, fronted=False)


@cache
def _relatives(of: Noun) -> tuple[Verb, ...]:
    return tuple(
        v
        for v in (*verbs_for("c"), *verbs_for("D"))
        if of in nouns_of(v.objects) and (v.determiners[0] != "own" or of.kind == "carried")
    )


def where_is(rng: Random) -> Sentence:
    """Where a place or a lost thing is."""
    of = rng.choice(
        nouns_of(("sight", "office", "stop", "venue", "lodging", "shop", "carried", "outdoors"))
    )
    determiner = (
        "the" if of.kind in ("carried", "sight", "venue", "lodging", "outdoors") else "next"
    )
    subject = choices.thing(rng, of, determiner, described=0.25)
    if of.kind in ("carried", "sight"):
        subject = replace(subject, relative=_relative(rng, of))
    return say(rng.choice(_WH), Clause(subject, verb("be", "y"), place=Wh("where")))


_JUDGED = (
    "carried",
    "clothes",
    "ware",
    "linen",
    "tableware",
    "dish",
    "sight",
    "lodging",
    "room",
    "vehicle",
    "facility",
    "event",
    "outdoors",
    "kin",
    "staff",
)


def quality(rng: Random) -> Sentence:
    """What something or somebody is like."""
    use = rng.choice("pptx")
    word = rng.choice([a for a in adjectives() if use in a.uses])
    of = rng.choice([n for n in nouns_of(_JUDGED) if word in fitting(n, use)])
    degree = {"p": rng.choice(("", "very")), "t": "too", "x": ""}[use]
    subject = _described(rng, of)
    c = Clause(subject, verb("be"), predicate=Predicate(word, degree))
    return say("say", c) if of.kind == "kin" else _quality_frame(rng, c, degree, use)


def _described(rng: Random, of: Noun) -> Phrase:
    if of.kind == "kin":
        return Phrase(of, "owner", owner="i")
    many = of.kind in ("clothes", "ware", "linen", "tableware")
    if many and rng.random() < 0.3:
        return choices.thing(rng, of, "these", described=0.2)
    relative = _relative(rng, of) if rng.random() < 0.35 else None
    unique = of.kind in ("sight", "lodging", "outdoors", "facility", "event", "staff")
    return Phrase(of, "the" if relative is not None or unique else "this", relative=relative)


def _quality_frame(rng: Random, c: Clause, degree: str, use: str) -> Sentence:
    assert c.predicate is not None
    draw = rng.random()
    if draw < 0.2 and not degree and use == "p":
        return say("say", replace(c, negated=True))
    if draw < 0.4:
        return say("that think", c)
    if draw < 0.55 and isinstance(c.subject, Phrase) and c.subject.relative is None:
        simple = replace(c, predicate=replace(c.predicate, degree=""))
        if "t" not in use:
            return say("whether know you", simple) if use == "x" else say("say", c)
    return say("say", c)


_COMPARED = (
    ("=suitcase", "=bag", "=backpack"),
    ("=coat", "=jacket", "=raincoat", "=sweater", "=suit"),
    ("=dress", "=skirt", "=shirt", "=T-shirt"),
    ("=necklace", "=ring", "=watch"),
    ("=laptop", "=camera", "=mobile phone"),
    ("room",),
    ("lodging",),
    ("sight",),
    ("sight",),
    ("staff",),
    ("=car", "=bicycle", "=motorbike", "=camper van"),
)


def comparison(rng: Random) -> Sentence:
    """One thing against another: "this coat is warmer than the blue jacket"."""
    kinds = rng.choice(_COMPARED)
    one, other = rng.choice(nouns_of(kinds)), rng.choice(nouns_of(kinds))
    shared = [a for a in fitting(one, "c") if a in fitting(other, "c")]
    if one is other or not shared:
        return comparison(rng)
    word = rng.choice(shared)
    determiner = "the" if kinds[0] in ("lodging", "sight", "staff") else "this"
    subject = choices.thing(rng, one, determiner, described=0.15)
    standard = choices.thing(rng, other, determiner, described=0.15)
    if any(a is not None and a.uses != "a" for a in (subject.adjective, standard.adjective)):
        return comparison(rng)
    c = Clause(subject, verb("be"), predicate=Predicate(word, "than", standard))
    return say(rng.choice(("say", "say", "that think")), c)


def liking(rng: Random) -> Sentence:
    """ "I like this coat, but it is too expensive": the pronoun agrees with the noun."""
    v = verb("like")
    of = rng.choice(nouns_of(v.objects))
    liked = choices.thing(rng, of, "this")
    c = Clause(rng.choice((ME, WE, choices.kin(rng))), v, object=liked)
    fit = [a for a in fitting(of, "t") if a is not liked.adjective]
    draw = rng.random()
    if draw < 0.55 and fit:
        it = PRONOUNS["it " + of.gender]
        return say("but", c, Clause(it, verb("be"), predicate=Predicate(rng.choice(fit), "too")))
    if draw < 0.75:
        return say("ask", replace(c, subject=YOU))
    return say("say", replace(c, negated=draw > 0.9))


def event(rng: Random) -> Sentence:
    """When and where something takes place."""
    subject = choices.thing(rng, rng.choice(nouns("event")), "the", described=0.2)
    v = verb(rng.choice(("take place", "take place", "begin", "end")))
    place = choices.somewhere(rng, v.places) if v.places else None
    c = Clause(subject, v, place=place, time=choices.appointment(rng))
    draw = rng.random()
    if draw < 0.25:
        return say(rng.choice(_WH), replace(c, time=Wh("when")))
    if draw < 0.4:
        return say(rng.choice(_WHETHER), c)
    if draw < 0.5 and v.key == "take place":
        return say(rng.choice(_WH), replace(c, place=Wh("where")))
    return say("say", c)


def lasting(rng: Random) -> Sentence:
    """How long something takes."""
    subject = choices.thing(
        rng,
        rng.choice(nouns_of(("event", "=excursion", "=boat trip", "=flight"))),
        "the",
        described=0.2,
    )
    if rng.random() < 0.4:
        return say(rng.choice(_WH), Clause(subject, verb("last"), duration=Wh("how long")))
    unit, most = rng.choice((("minute", 90), ("hour", 12)))
    return say(
        rng.choice(("say", "that think")),
        Clause(subject, verb("last"), duration=Amount(rng.randint(2, most), unit)),
    )


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
        return say(rng.choice(("say", "say", *_WHETHER[:2])), c)
    v = verb(rng.choice(("open", "close")), "h")
    opens = v.key == "open"
    minutes = rng.randrange(*(7 * 60, 11 * 60 + 1) if opens else (16 * 60, 22 * 60 + 1), 15)
    c = Clause(subject, v, time=Time("word clock", ("every day", minutes)))
    if draw < 0.55:
        return say(rng.choice(_WH), replace(c, time=Wh("when")))
    return say("say", c)


def pain(rng: Random) -> Sentence:
    """What has been hurting for how long."""
    of = rng.choice(nouns_of(("limb", "body")))
    side = rng.choice(fitting(of, "a")) if of.kind == "limb" else None
    unit, most = rng.choice((("hour", 12), ("day", 12), ("week", 8)))
    since = Time("distance", ("since", rng.randint(2, most), unit))
    c = Clause(Phrase(of, "owner", side, owner="i"), verb("hurt"), "since", time=since)
    return say("say", c)


def waiting(rng: Random) -> Sentence:
    """What somebody has been doing for how long."""
    v = rng.choice(verbs_for("s"))
    subject = choices.person(rng)
    c = act(rng, v, subject, placed=0.3)
    units = (("week", 8), ("month", 11)) if v.key == "learn" else (("minute", 60), ("hour", 5))
    unit, most = rng.choice(units)
    return say(
        "say",
        replace(c, tense="since", time=Time("distance", ("since", rng.randint(2, most), unit))),
    )


def theft(rng: Random) -> Sentence:
    """What was stolen: a passive."""
    of = rng.choice(nouns_of(("carried", "=passport", "=credit card", "=bicycle", "=car")))
    subject = choices.thing(rng, of, "owner", rng.choice(("i", "we")), described=0.3)
    v = verb("steal")
    c = Clause(
        subject,
        v,
        "passive",
        time=choices.past(rng),
        time_first=rng.random() < 0.3,
        place=choices.somewhere(rng, v.places) if rng.random() < 0.6 else None,
    )
    return say("say", c)


def staying(rng: Random) -> Sentence:
    """For how long somebody stays."""
    v = verb("stay", "d")
    subject = choices.person(rng)
    place = choices.somewhere(rng, v.places)
    if rng.random() < 0.25:
        c = Clause(rng.choice((ME, WE)), v, modal="can", place=place, duration=Wh("how long"))
        return say(rng.choice(_WH), c)
    unit, most = rng.choice((("day", 12), ("night", 12), ("week", 6)))
    c = Clause(
        subject,
        v,
        modal=rng.choice(("would", "must", "should")),
        place=place,
        duration=Amount(rng.randint(2, most), unit),
    )
    return say("say", c)


def broken(rng: Random) -> Sentence:
    """What does not work in the room."""
    of = rng.choice(nouns("facility"))
    room = Phrase(noun("room"), "owner", owner=rng.choice(("i", "we")))
    subject = Phrase(of, "the", tail=Place("at", room))
    c = Clause(subject, verb("work"), negated=rng.random() < 0.75)
    if not c.negated:
        return say(rng.choice(_WHETHER[2:]), c)
    return say(rng.choice(("say", "that think", "calling")), c)


def origin(rng: Random) -> Sentence:
    v = verb("come")
    return say("say", Clause(choices.person(rng), v, place=choices.somewhere(rng, v.places)))


def because(rng: Random) -> Sentence:
    """A wish or a duty and its reason."""
    subject = rng.choice((ME, WE))
    draw = rng.random()
    if draw < 0.4:
        return _exchange(rng)
    if draw < 0.65:
        office = Phrase(noun(rng.choice(("police station", "embassy"))), "the")
        main = Clause(subject, verb("go"), modal="must", place=Place("to", office))
        reason = act(rng, verb("lose"), subject, placed=0)
        tense = rng.choice("pr")
        if office.noun.en == "embassy":
            papers = rng.choice(nouns_of(("=passport", "=identity card", "=driving licence")))
            reason = replace(reason, object=Phrase(papers, "own", owner=subject.key))
    else:
        main = _next_connection(rng, subject, choices.to_city(rng))
        tense = "r"
        missed = Phrase(rng.choice(nouns_of(("train", "=flight"))), "the")
        reason = Clause(subject, verb("miss"), object=missed)
    return say("because", main, in_tense(rng, reason, tense, negated=0, fronted=False))


def _next_connection(rng: Random, subject: Pronoun, city: Place) -> Clause:
    other = Phrase(rng.choice(nouns("train")), "next")
    return Clause(subject, verb("take"), modal="must", place=city, object=other)


def _exchange(rng: Random) -> Sentence:
    of = rng.choice(nouns("clothes"))
    fit = fitting(of, "t")
    swap = Clause(ME, verb("exchange"), modal="would", object=choices.thing(rng, of, "this"))
    it = Clause(
        PRONOUNS["it " + of.gender], verb("be"), predicate=Predicate(rng.choice(fit), "too")
    )
    return say("because", swap, it)


def conditional(rng: Random) -> Sentence:
    """If or as soon as something happens, somebody will do something."""
    if rng.random() < 0.5:
        subject = rng.choice((ME, WE))
        there = choices.somewhere(rng, verb("arrive").places)
        arrival = Clause(subject, verb("arrive"), place=there)
        main = act(rng, rng.choice([v for v in verbs() if v.key == "call"]), subject, placed=0)
        return say("as soon as", replace(main, tense="future"), arrival)
    train = _train(rng, ("the",))
    draw = rng.random()
    if draw < 0.4:
        city = train.tail if isinstance(train.tail, Place) else choices.to_city(rng)
        main = replace(_next_connection(rng, WE, city), modal="")
    elif draw < 0.6:
        v = rng.choice([v for v in verbs() if v.key == "call" and "lodging" not in v.objects])
        main = act(rng, v, WE, placed=0)
    elif draw < 0.8:
        car = rng.choice(nouns_of(("=car", "=camper van", "=motorbike", "=bicycle")))
        main = Clause(WE, verb("rent"), object=choices.thing(rng, car, "a"))
    else:
        there = choices.somewhere(rng, ("to:venue", "shop", "=park"))
        main = Clause(WE, verb("go"), place=there)
    return say("if", replace(main, tense="future"), Clause(train, verb("be late")))


_ERRANDS = (
    "buy",
    "call",
    "pay",
    "change",
    "pick up",
    "book",
    "fill in",
    "sign",
    "reserve",
    "have breakfast",
    "rent",
)
_GOALS = ("visit", "go", "travel", "fly", "return", "meet")


def sequence(rng: Random) -> Sentence:
    """Before doing one thing, somebody has to do another."""
    subject = rng.choice((ME, WE))
    errand = rng.choice([v for v in verbs_for("m") if v.key in _ERRANDS])
    goal = rng.choice([v for v in verbs_for("f") if v.key in _GOALS])
    first = act(rng, errand, subject, placed=0)
    first = replace(first, modal=rng.choice(("must", "would")))
    return say("before", first, act(rng, goal, subject, placed=0))


# Where one goes, and for what.
_PURPOSES = (
    (("=bank", "=post office"), "change", ("money",)),
    (("=post office",), "send", ()),
    (("=supermarket", "=market"), "buy", ("kilo",)),
    (("=department store", "=market"), "buy", ("ware", "clothes")),
    (("=bookshop",), "buy", ("=book", "=map", "=guidebook", "=magazine", "=notebook")),
    (("=railway station",), "buy", ("=ticket",)),
    (("=railway station", "=airport", "=bus stop"), "pick up", ("kin",)),
    (("venue",), "meet", ("kin",)),
    (("=café", "=restaurant"), "have breakfast", ()),
    (("sight", "=harbour", "=beach"), "take photos", ()),
)


def purpose(rng: Random) -> Sentence:
    """Where somebody goes and what for: um ... zu."""
    places, key, objects = rng.choice(_PURPOSES)
    subject = rng.choice((ME, WE))
    goal = choices.somewhere(rng, ("to:" + places[0], *places[1:]))
    fit = [
        v
        for v in verbs()
        if v.key == key and (not objects or set(nouns_or(objects)) <= set(nouns_or(v.objects)))
    ]
    v = rng.choice(fit)
    aim = act(rng, v, subject, placed=0)
    if objects and objects not in (("money",), ("kin",)):
        determiner = "number" if objects == ("kilo",) else rng.choice(("a", "number"))
        aim = replace(aim, object=choices.thing(rng, rng.choice(nouns_of(objects)), determiner))
    go = Clause(subject, verb("go"), modal=rng.choice(("must", "would", "should")), place=goal)
    if rng.random() < 0.5:
        go = replace(go, time=choices.future(rng, far=False), time_first=True)
    return say("purpose", go, aim)


def nouns_or(kinds: tuple[str, ...]) -> tuple[Noun | str, ...]:
    """The nouns of the kinds; money has none."""
    return kinds if kinds == ("money",) else nouns_of(kinds)


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
            rng.choice(_WH), Clause(subject, verb("be", "u"), place=start, duration=Wh("how far"))
        )
    c = Clause(subject, verb("be", "u"), place=start, duration=Amount(metres, "metre"))
    return say(rng.choice(("say", "that think")), c)


def which(rng: Random) -> Sentence:
    """Which bus goes where."""
    train = Phrase(rng.choice(nouns_of(("train", "tram"))), "which")
    place = choices.to_city(rng)
    if train.noun.kind == "tram" or train.noun.en == "bus":
        place = choices.somewhere(rng, ("to:sight", "=railway station", "=airport", "=harbour"))
    return say(rng.choice(_WH), Clause(train, verb("go", "W"), place=place))


def forbidden(rng: Random) -> Sentence:
    """What must not be done, where."""
    v = rng.choice(verbs_for("O"))
    there = choices.somewhere(rng, v.places)
    if rng.random() < 0.5:
        c = Clause(rng.choice((ME, WE)), v, place=there, modal="can")
        return say(rng.choice(("ask", *_WHETHER)), c)
    return say("say", Clause(YOU, v, place=there, modal="may", negated=True))


def delay(rng: Random) -> Sentence:
    """The train that somebody is waiting for, or something else about a train, and its delay."""
    if rng.random() < 0.4:
        return say(
            "say" if rng.random() < 0.5 else rng.choice(_WHETHER),
            Clause(_train(rng, ("the", "next")), verb("be late")),
        )
    of = rng.choice(nouns_of(("train", "ferry")))
    wait = Clause(rng.choice((ME, WE, choices.kin(rng))), verb("wait for", "C"), gap="object")
    train = Phrase(of, "the", relative=wait)
    if rng.random() < 0.5:
        return say(rng.choice(("say", "that think")), Clause(train, verb("be late")))
    return say(rng.choice(_WH), Clause(train, verb("depart"), time=Wh("when")))


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
