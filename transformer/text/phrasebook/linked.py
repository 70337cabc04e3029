"""Sentences of two clauses: reasons, conditions, sequences and purposes."""

from dataclasses import replace
from random import Random

from transformer.text.phrasebook import choices
from transformer.text.phrasebook.abstract import (
    Clause,
    Noun,
    Phrase,
    Place,
    Predicate,
    Pronoun,
    Sentence,
)
from transformer.text.phrasebook.actions import act, in_tense, say, verbs_for
from transformer.text.phrasebook.adjectives import fitting
from transformer.text.phrasebook.choices import ME, WE, nouns_of
from transformer.text.phrasebook.nouns import noun, nouns
from transformer.text.phrasebook.pronouns import PRONOUNS
from transformer.text.phrasebook.travel import some_train
from transformer.text.phrasebook.verbs import verb, verbs


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
    train = some_train(rng, ("the",))
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
