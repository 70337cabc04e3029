"""English linearisation."""

from functools import cache

from transformer.text.phrasebook.abstract import (
    Amount,
    Clause,
    Nominal,
    Phrase,
    Place,
    Predicate,
    Pronoun,
    Sentence,
    Time,
    Verb,
    Wh,
)
from transformer.text.phrasebook.patterns import fill, question_word, tidy
from transformer.text.phrasebook.pronouns import POSSESSIVES, person_of
from transformer.text.phrasebook.quantities import measure, money, number_word, ordinal_word
from transformer.text.phrasebook.times import time_text

_BE = {"1s": "am", "3s": "is"}
_FINITE_MODALS = {
    "can": "can",
    "would": "would",
    "should": "should",
    "could": "could",
    "may": "must",
}
_WORDS = {"platform": "from which platform"}
_DOUBLING = {"get": "getting"}


def sentence(abstract: Sentence) -> str:
    """The sentence in English."""
    return tidy(fill(abstract.frame.en, abstract.clauses, clause))


def clause(c: Clause, mode: str) -> str:
    """`mode`: "main", "question" (inverted), "sub" or "inf" (without subject, bare)."""
    wh = question_word(c)
    which = isinstance(c.subject, Phrase) and c.subject.determiner == "which"
    inverted = mode == "question" and not which
    first, rest = _verb_group(c, inverted=inverted, infinitive=mode == "inf")
    subject = "" if mode == "inf" else nominal(c.subject, 0)
    core = [first, subject] if inverted else [subject, first]
    words = [_WORDS.get(wh, wh), *core, _complement(c, rest), *_adverbials(c)]
    if c.time_first and mode != "inf" and isinstance(c.time, Time):
        words = [time_text(c.time, "en") + ",", *words]
    return " ".join(filter(None, words))


def _verb_group(c: Clause, *, inverted: bool, infinitive: bool) -> tuple[str, str]:
    """The finite auxiliary, if any, and the rest of the verb (its first word inflected)."""
    base = c.verb.en.partition(" ")[0]
    if infinitive:
        return "", base
    first, rest = _affirmative(c, base)
    if (c.negated or inverted) and not first:
        first, rest = _do_support(c, base)
    if c.negated and c.verb.en != "be {o}":
        first = "cannot" if first == "can" else first + " not"
    elif c.already:
        rest = "already " + rest
    return first, rest


def _affirmative(c: Clause, base: str) -> tuple[str, str]:
    person = person_of(c.subject)
    if c.modal:
        return _modal(c.modal, person, base)
    verb = c.verb
    forms = {
        "past": ("", verb.en_past),
        "future": ("will", base),
        "perfect": (_have(person), verb.en_participle),
        "since": (_have(person), "been " + progressive(base)),
        "passive": (_was(person), verb.en_participle),
    }
    return forms[c.tense] if c.tense in forms else _present(verb, person, base)


def _present(verb: Verb, person: str, base: str) -> tuple[str, str]:
    if base == "would":
        return base, ""
    if base == "be":
        return _BE.get(person, "are"), ""
    if "g" in verb.uses:
        return _BE.get(person, "are"), progressive(base)
    return "", third_person(base) if person == "3s" else base


def _modal(modal: str, person: str, base: str) -> tuple[str, str]:
    if modal in ("must", "had"):
        have = "had" if modal == "had" else _have(person)
        return "", f"{have} to {base}"
    if modal == "wanted":
        return "", f"wanted to {base}"
    return _FINITE_MODALS[modal], f"like to {base}" if modal == "would" else base


def _do_support(c: Clause, base: str) -> tuple[str, str]:
    past = c.tense == "past" or c.modal in ("had", "wanted")
    do = "did" if past else "does" if person_of(c.subject) == "3s" else "do"
    if c.modal in ("must", "had"):
        return do, f"have to {base}"
    return do, f"want to {base}" if c.modal == "wanted" else base


def _have(person: str) -> str:
    return "has" if person == "3s" else "have"


def _was(person: str) -> str:
    return "was" if person in ("1s", "3s") else "were"


@cache
def progressive(verb: str) -> str:
    """The -ing form."""
    if verb in _DOUBLING:
        return _DOUBLING[verb]
    return (verb[:-1] if verb.endswith("e") and verb != "be" else verb) + "ing"


@cache
def third_person(verb: str) -> str:
    """The form that goes with "she"."""
    if verb == "have":
        return "has"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "o")) else "s")


def _complement(c: Clause, verb: str) -> str:
    """The verb with its objects in their places."""
    text = c.verb.en.partition(" ")[2]
    if "{o}" in text:
        empty = c.gap == "object" or isinstance(c.object, Wh) or c.object is None
        text = text.replace("{o}", "" if empty else nominal(c.object, 1))
        if c.negated and c.verb.en == "be {o}":
            text = "no " + text.partition(" ")[2]
    if "{r}" in text and c.recipient is not None:
        text = text.replace("{r}", nominal(c.recipient, 1))
    if "{t}" in text:
        bare = isinstance(c.duration, Amount)
        text = text.replace("{t}", measure_text(c.duration) if bare else "")
    return f"{verb} {text}".strip()


def measure_text(amount: Amount | Wh | None) -> str:
    assert isinstance(amount, Amount)
    return measure(amount.value, amount.unit, "en")


def _adverbials(c: Clause) -> list[str]:
    words = []
    if c.predicate is not None:
        words.append(_predicate(c.predicate))
    if c.gap != "place" and c.place is not None and not isinstance(c.place, Wh):
        words.append(place(c.place))
    if isinstance(c.duration, Amount) and "{t}" not in c.verb.en:
        words.append("for " + measure_text(c.duration))
    if isinstance(c.time, Time) and not c.time_first:
        words.append(time_text(c.time, "en"))
    if c.already and c.negated:
        words.append("yet")
    return words


def _predicate(predicate: Predicate) -> str:
    if predicate.standard is not None:
        return f"{predicate.adjective.en_more} than {phrase(predicate.standard)}"
    return f"{predicate.degree} {predicate.adjective.en}".strip()


def place(where: Place | Amount) -> str:
    """The adverbial of place."""
    if isinstance(where, Amount):
        return f"from platform {number_word(where.value, 'en')}"
    preposition = {"at": where.phrase.noun.en_at or "in", "by": "to"}.get(
        where.relation, where.relation
    )
    return f"{preposition} {phrase(where.phrase)}"


def nominal(n: Nominal | None, case: int) -> str:
    """A subject (case 0) or object (case 1)."""
    if isinstance(n, Pronoun):
        return n.en[case]
    if isinstance(n, Amount):
        return money(n.value, n.unit, "en")
    assert isinstance(n, Phrase)
    return phrase(n)


def phrase(p: Phrase) -> str:
    """The noun phrase with its relative clause."""
    noun = p.noun.en_plural if person_of(p) == "3p" else p.noun.en
    words = [p.adjective.en] if p.adjective else []
    words.append(noun)
    determiner = _determiner(p, words[0])
    words = [determiner, *words] if determiner else words
    if p.mass is not None:
        words.append("of " + p.mass.en)
    if isinstance(p.tail, Place):
        words.append(place(p.tail))
    elif isinstance(p.tail, Amount):
        words.append("for " + measure_text(p.tail))
    if p.other is not None:
        words.append("and " + phrase(p.other))
    if p.relative is not None:
        words += ["where" if p.relative.gap == "place" else "that", clause(p.relative, "sub")]
    return " ".join(words)


def _determiner(p: Phrase, following: str) -> str:
    kind = p.determiner
    if kind == "a":
        return "an" if following[0] in "aeiouAEIOU" and following[:3] != "uni" else "a"
    if kind in ("own", "owner"):
        return POSSESSIVES[p.owner][0]
    if kind == "number":
        return number_word(p.number, "en")
    if kind == "ordinal":
        return "the " + ordinal_word(p.number, "en")
    if kind == "next":
        return "the next" if p.noun.kind in ("train", "tram", "ferry") else "the nearest"
    return {"few": "a few", "name": "", "last": "the last"}.get(kind, kind)
