"""Sentences that want something from somebody: requests, orders, services."""

from dataclasses import replace
from functools import cache
from random import Random

from transformer.text.phrasebook import choices
from transformer.text.phrasebook.abstract import (
    Phrase,
    Sentence,
    Verb,
    head,
)
from transformer.text.phrasebook.actions import act, in_mood, say, verbs_for
from transformer.text.phrasebook.choices import ME, WE, YOU


@cache
def _requests() -> tuple[Verb, ...]:
    """The verbs of requests; what is brought is asked for most."""
    staff = verbs_for("q", "staff")
    return tuple(v for v in staff for _ in range(6 if v.key == "bring" else 2)) + verbs_for("q")


def request(rng: Random) -> Sentence:
    """A request to a waiter, a receptionist, a shop."""
    verb = rng.choice(_requests())
    c = act(rng, verb, YOU, placed=0.2)
    personal = "{r}" in verb.en or "person" in verb.subjects
    if verb.key.startswith("recommend") and isinstance(c.object, Phrase):
        c = replace(c, object=choices.thing(rng, c.object.noun, "a", described=1))
    return say("request" if personal or rng.random() < 0.7 else "please", c)


def calling(rng: Random) -> Sentence:
    """Why somebody calls."""
    keys = ("book", "reserve", "cancel", "postpone", "rent", "order")
    verb = rng.choice([v for v in verbs_for("r") if v.key in keys])
    return say("calling", replace(act(rng, verb, ME, placed=0), modal="would"))


def service(rng: Random) -> Sentence:
    """What somebody has done by others."""
    c = act(rng, rng.choice(verbs_for("L")), choices.person(rng))
    modal = rng.choice(("must", "would", "should", "wanted", "had"))
    made = in_mood(rng, c, modal)
    return say("say", replace(made, negated=False))


def wish(rng: Random) -> Sentence:
    """An order in a restaurant: one or two things to eat or drink."""
    c = act(rng, rng.choice(verbs_for("o")), rng.choice((ME, WE)))
    assert isinstance(c.object, Phrase)
    other = choices.patient(rng, c.verb, c.subject, single=False)
    assert isinstance(other, Phrase)
    both = (head(c.object), head(other))
    if both[0] is not both[1] and rng.random() < 0.7:
        c = replace(c, object=replace(c.object, other=other))
    return say("say", c)
