"""Sentences about what people do: the verbs of the lexicon in every tense, mood and frame."""

from dataclasses import replace
from functools import cache
from random import Random

from transformer.text.phrasebook import choices
from transformer.text.phrasebook.abstract import (
    Amount,
    Clause,
    Phrase,
    Pronoun,
    Sentence,
    Time,
    Verb,
    Wh,
)
from transformer.text.phrasebook.choices import ME, WE, YOU
from transformer.text.phrasebook.frames import frames
from transformer.text.phrasebook.verbs import verbs

Subject = Phrase | Pronoun
# Nobody does these on purpose or twice: their perfect takes neither "already" nor "yet".
_MISHAPS = ("lose", "leave", "miss")
# What one plans or remembers for longer than a few days.
_PLANNED = ("visit", "rent", "learn", "meet", "travel", "fly", "return", "book", "buy", "send")
# The modals of verbs that do not go with all of them.
_MODALS = {
    "eat": ("would", "wanted"),
    "drink": ("would", "wanted"),
    "order": ("would", "wanted"),
    "thank": ("would", "should", "wanted"),
    "complain about": ("would", "should", "wanted"),
    "exchange": ("would", "wanted"),
    "try on": ("would", "wanted", "can"),
    "find": ("can", "could"),
    "pay": ("must", "had"),
    "have repaired": ("must", "would", "should", "wanted", "had"),
    "have cleaned": ("must", "would", "should", "wanted", "had"),
}
_ANY_MODAL = ("can", "can", "must", "must", "would", "would", "should", "wanted", "had", "could")
# One does not ask when they happened, nor say that they did not.
_TRIFLES = ("eat", "drink", "order", "pay", "ask", "ask for", "thank")
# What one does not forget to do.
_MEMORABLE = ("travel", "fly", "return", "go", "visit", "rent", "meet", "help", "change trains")
_TENSES = {"p": "past", "f": "future", "n": "present", "r": "perfect"}


@cache
def verbs_for(use: str, subject: str = "person") -> tuple[Verb, ...]:
    """The verbs with that use and kind of subject."""
    return tuple(v for v in verbs() if use in v.uses and subject in v.subjects)


def say(key: str, *clauses: Clause) -> Sentence:
    return Sentence(frames()[key], clauses)


def act(
    rng: Random, verb: Verb, subject: Subject, *, single: bool = False, placed: float = 0.4
) -> Clause:
    """A clause of the verb with its arguments, in the present."""
    goal = "{p}" in verb.zh
    place = None
    if verb.places and (goal or rng.random() < placed):
        place = choices.somewhere(rng, verb.places)
    recipient = None
    if "{r}" in verb.en:
        recipient = _recipient(rng, subject)
    if isinstance(subject, Phrase) and "kin" in verb.objects:
        subject = rng.choice((ME, WE))
    thing = choices.patient(rng, verb, subject, single=single)
    return Clause(subject, verb, object=thing, recipient=recipient, place=place)


def _recipient(rng: Random, subject: Subject) -> Subject:
    if subject is YOU:
        return rng.choice((ME, WE))
    return choices.kin(rng, "own", subject.key) if isinstance(subject, Pronoun) else ME


def in_tense(
    rng: Random, c: Clause, use: str, *, negated: float = 0.15, fronted: bool = True
) -> Clause:
    """The clause in the tense of the letter, with a time that asks for it."""
    tense = _TENSES[use]
    denies = rng.random() < negated
    if tense == "perfect":
        mishap = c.verb.key in _MISHAPS
        only_yet = c.verb.key == "find"
        return replace(
            c, tense=tense, already=not mishap, negated=only_yet or (denies and not mishap)
        )
    if tense == "present":
        return replace(
            c, negated=c.verb.key == "have" or (denies and c.verb.key in ("need", "speak"))
        )
    time = _when(rng, c.verb, tense)
    denies = denies and not isinstance(c.object, Amount) and c.verb.key not in _TRIFLES
    denies = denies and c.verb.key not in _MISHAPS and not (c.place and c.verb.key != "go")
    return replace(
        c, tense=tense, negated=denies, time=time, time_first=fronted and rng.random() < 0.3
    )


def _when(rng: Random, verb: Verb, tense: str, *, near: bool = False) -> Time:
    """A time of that tense; of daily things one tells the day or the time of day."""
    if verb.key in ("get up", "have breakfast"):
        return choices.day_time(rng, tense)
    far = verb.key in _PLANNED and not near
    return choices.past(rng, far=far) if tense == "past" else choices.future(rng, far=far)


def in_mood(rng: Random, c: Clause, modal: str = "", *, fronted: bool = True) -> Clause:
    """The clause with a modal verb, about the future or (wanted, had, could) the past."""
    modal = modal or rng.choice(_MODALS.get(c.verb.key, _ANY_MODAL))
    back = modal in ("wanted", "had", "could")
    time = None
    if back or (rng.random() < 0.5 and c.verb.key != "find"):
        time = _when(rng, c.verb, "past" if back else "future", near=True)
    money = isinstance(c.object, Amount)
    if modal == "could" and (money or c.verb.key == "take"):
        modal = "had"
    deniable = not money and c.verb.key != "take"
    denies = (rng.random() < 0.4 and deniable) or c.verb.key == "find"
    negated = modal == "could" or (modal in ("can", "must") and denies)
    return replace(
        c,
        modal=modal,
        time=time,
        negated=negated,
        time_first=time is not None and fronted and rng.random() < 0.3,
    )


def _affirm(
    rng: Random, uses: str, *, subject: Subject, single: bool = False, placed: float = 0.4
) -> tuple[Clause, str]:
    use = rng.choice(uses)
    verb = rng.choice(verbs_for(use))
    return act(rng, verb, subject, single=single, placed=placed), use


def clause(
    rng: Random, uses: str, subject: Subject | None = None, *, fronted: bool = True, modal: str = ""
) -> Clause:
    """A finite clause in one of the uses (letters of the verb table)."""
    denies = rng.random() < 0.25
    c, use = _affirm(
        rng,
        uses,
        subject=subject or choices.person(rng),
        single=denies,
        placed=0.15 if denies else 0.4,
    )
    if use == "m":
        made = in_mood(rng, c, modal, fronted=fronted)
    else:
        made = in_tense(rng, c, use, negated=float(denies), fronted=fronted)
    return made if denies or not made.negated else _singular(made)


def _singular(c: Clause) -> Clause:
    if isinstance(c.object, Phrase) and c.object.determiner in ("number", "few"):
        return replace(c, object=replace(c.object, determiner="a", number=1))
    return c


def statement(rng: Random) -> Sentence:
    return say("say", clause(rng, "ppffmmmmnr"))


def question(rng: Random) -> Sentence:
    """A question that wants yes or no."""
    kind = rng.choice("rrmmmd")
    if kind == "r":
        c, _ = _affirm(rng, "r", subject=YOU, single=True)
        if c.verb.key in (*_MISHAPS, "find"):
            return question(rng)
        return say("ask", replace(c, tense="perfect", already=True))
    subject, modal = rng.choice(
        ((ME, "can"), (WE, "can"), (YOU, "would"), (WE, "must"), (ME, "must"), (WE, "should"))
    )
    c, _ = _affirm(rng, "m", subject=subject)
    if (
        modal not in _MODALS.get(c.verb.key, _ANY_MODAL)
        or c.verb.key == "find"
        or (subject is not YOU and _about_kin(c))
    ):
        return question(rng)
    c = in_mood(rng, c, modal, fronted=False)
    return say(
        rng.choice(("ask", "ask", "whether know you", "whether tell", "whether like know"))
        if subject is not YOU
        else "ask",
        replace(c, negated=False),
    )


def ask_possession(rng: Random) -> Sentence:
    """Like "Do you have a map?", "Do you need a taxi?", "Do you speak German?"."""
    c, _ = _affirm(rng, "n", subject=YOU, single=True, placed=0)
    if "g" in c.verb.uses or c.verb.key in ("like", "stay"):
        return ask_possession(rng)
    return say("ask", c)


# What one would not ask a stranger.
_PRIVATE = ("wh know not", "wh like know", "wh forgot")
_WH_FRAMES = ("ask", "ask", "wh tell", "wh know you", "wh know not", "wh like know", "wh forgot")


def wh_question(rng: Random) -> Sentence:
    """Like "Where can I buy ...", "When did you ...", alone or embedded."""
    kind = rng.choice(("where", "where", "when", "when past"))
    subject = rng.choice((ME, WE))
    if kind == "where":
        c = act(rng, rng.choice(verbs_for("w")), subject, placed=0)
        return say(rng.choice(_WH_FRAMES[:-1]), replace(c, modal="can", place=Wh("where")))
    if kind == "when":
        c, _ = _affirm(rng, "i", subject=subject)
        c = replace(c, modal=rng.choice(("can", "must")), time=Wh("when"))
        return say(rng.choice(_PRIVATE if _about_kin(c) else _WH_FRAMES), c)
    c, _ = _affirm(rng, "p", subject=rng.choice((YOU, choices.kin(rng))))
    if c.verb.key in _TRIFLES:
        return wh_question(rng)
    key = "ask" if c.subject is YOU else rng.choice(_PRIVATE)
    return say(key, replace(c, tense="past", time=Wh("when")))


def _about_kin(c: Clause) -> bool:
    return isinstance(c.object, Phrase) and c.object.noun.kind == "kin"


_THAT = (
    ("that hope", "f", ""),
    ("that hope", "m", "can"),
    ("that think", "m", "must"),
    ("that think", "m", "should"),
    ("that glad", "f", ""),
    ("that glad", "m", "can"),
    ("that pity", "m", "could"),
    ("that says", "m", "must"),
    ("that says", "m", "can"),
    ("that says", "m", "should"),
)


def that(rng: Random) -> Sentence:
    """A that-clause behind a verb of hope, opinion or regret."""
    key, uses, modal = rng.choice(_THAT)
    subject = WE if key in ("that says", "that think") else choices.person(rng)
    c = clause(rng, uses, subject, fronted=False, modal=modal)
    hopeful = key in ("that hope", "that glad")
    guided = key == "that says" and isinstance(c.object, Phrase) and c.object.noun.en == "guide"
    odd = modal and modal not in _MODALS.get(c.verb.key, _ANY_MODAL)
    if odd or guided or (hopeful and c.verb.key == "find"):
        return that(rng)
    return say(key, replace(c, negated=False) if hopeful else c)


def infinitive(rng: Random) -> Sentence:
    """An infinitive with zu."""
    key, subject = rng.choice(
        (
            ("to forgot", ME),
            ("to plan", WE),
            ("to time", ME),
            ("to decide", WE),
            ("to possible", WE),
            ("to forget not", YOU),
            ("to promise", ME),
        )
    )
    verb = rng.choice(verbs_for("i"))
    if key in ("to forgot", "to forget not") and verb.key in _MEMORABLE:
        return infinitive(rng)
    c = act(rng, verb, subject)
    if key in ("to plan", "to decide", "to promise", "to possible") and rng.random() < 0.4:
        c = replace(c, time=choices.future(rng))
    return say(key, c)
