"""Sentences about things, people and events: prices, qualities, comparisons, mishaps, health."""

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
    Sentence,
    Time,
    Verb,
    Wh,
)
from transformer.text.phrasebook.actions import act, in_mood, in_tense, say, verbs_for
from transformer.text.phrasebook.adjectives import adjectives, fitting
from transformer.text.phrasebook.choices import ME, WE, YOU, nouns_of
from transformer.text.phrasebook.frames import WH, WHETHER
from transformer.text.phrasebook.nouns import noun, nouns
from transformer.text.phrasebook.pronouns import PRONOUNS
from transformer.text.phrasebook.verbs import verb


def cost(rng: Random) -> Sentence:
    """Prices."""
    kinds = ("ware", "clothes", "carried", "room", "booking", "ticket", "dish")
    of = rng.choice(nouns_of(kinds))
    determiner = "a" if of.kind in ("ticket", "dish", "booking") else "this"
    if of.kind in ("ticket", "ware") and rng.random() < 0.4:
        determiner = "number"
    subject = choices.thing(rng, of, determiner)
    if rng.random() < 0.5:
        return say(rng.choice(WH), Clause(subject, verb("cost"), object=Wh("how much")))
    c = Clause(subject, verb("cost"), object=choices.price(rng, of))
    return say(rng.choice(("say", "say", "that think")), c)


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
    return say(rng.choice(WH), Clause(subject, verb("be", "y"), place=Wh("where")))


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
    """Like "I like this coat, but it is too expensive": the pronoun agrees with the noun."""
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
        return say(rng.choice(WH), replace(c, time=Wh("when")))
    if draw < 0.4:
        return say(rng.choice(WHETHER), c)
    if draw < 0.5 and v.key == "take place":
        return say(rng.choice(WH), replace(c, place=Wh("where")))
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
        return say(rng.choice(WH), Clause(subject, verb("last"), duration=Wh("how long")))
    unit, most = rng.choice((("minute", 90), ("hour", 12)))
    return say(
        rng.choice(("say", "that think")),
        Clause(subject, verb("last"), duration=Amount(rng.randint(2, most), unit)),
    )


def pain(rng: Random) -> Sentence:
    """What has been hurting for how long."""
    of = rng.choice(nouns_of(("limb", "body")))
    side = rng.choice(fitting(of, "a")) if of.kind == "limb" and rng.random() < 0.75 else None
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


def broken(rng: Random) -> Sentence:
    """What does not work in the room."""
    of = rng.choice(nouns("facility"))
    room = Phrase(noun("room"), "owner", owner=rng.choice(("i", "we")))
    subject = Phrase(of, "the", tail=Place("at", room))
    c = Clause(subject, verb("work"), negated=rng.random() < 0.75)
    if not c.negated:
        return say(rng.choice(WHETHER[2:]), c)
    return say(rng.choice(("say", "that think", "calling")), c)
