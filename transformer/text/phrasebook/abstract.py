"""The abstract syntax that one sentence shares in all languages."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, eq=False, slots=True)
class Noun:
    """A row of the lexicon; compared by identity."""

    kind: str
    en: str
    en_plural: str
    de: str
    de_plural: str
    gender: str  # "m", "f", "n"; "p" where the noun has a plural only
    weak: bool  # of the n-declension
    zh: str
    classifier: str
    en_at: str = ""
    de_at: str = ""  # the preposition of a place, with the dative
    de_to: str = ""  # the preposition of a direction: "zu" with the dative, others accusative


@dataclass(frozen=True, eq=False, slots=True)
class Adjective:
    en: str
    en_more: str
    de: str
    de_stem: str
    de_more: str
    zh: str
    zh_attribute: str
    kinds: frozenset[str]
    uses: str  # "a" attribute, "p" predicate, "t" also after "too", "c" comparative


@dataclass(frozen=True, eq=False, slots=True)
class Verb:
    """`en` and `zh` are patterns with {o}, {r} (recipient) and {p} (place); 了 goes to `*`."""

    key: str
    en: str
    en_past: str
    en_participle: str
    de_prefix: str
    de: str  # the infinitive without its prefix
    de_third: str
    de_participle: str
    de_aux: str
    de_object: str  # "A", "D" or a preposition and a case, as in "auf A"
    reflexive: bool
    zh: str
    subjects: tuple[str, ...]
    objects: tuple[str, ...]
    determiners: tuple[str, ...]
    places: tuple[str, ...]
    uses: frozenset[str]


@dataclass(frozen=True, eq=False, slots=True)
class Pronoun:
    """`person` selects the verb form: "1s", "1p", "2p" (polite), "3s" or "3p"."""

    key: str
    person: str
    en: tuple[str, str]  # subject, object
    de: tuple[str, str, str]  # nominative, accusative, dative
    zh: str


@dataclass(frozen=True, slots=True)
class Time:
    """`values` are what `kind` needs: a lexical key, a number and a unit, a date, a clock."""

    kind: str
    values: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Amount:
    """Money in hundredths, or a number of units."""

    value: int
    unit: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase.

    `determiner`: "a", "the", "this", "these", "which", "number", "few", "ordinal", "next", "last",
    "owner" (a possessive), "own" (one bound by the subject, which Chinese leaves out) or "name"
    (none). `owner` is the key of a pronoun; `mass` is what a container holds.
    """

    noun: Noun
    determiner: str
    adjective: Adjective | None = None
    number: int = 1
    owner: str = ""
    mass: Noun | None = None
    tail: "Place | Amount | None" = None
    other: "Phrase | None" = None  # joined by "and"
    relative: "Clause | None" = None


@dataclass(frozen=True, slots=True)
class Wh:
    """A questioned slot: "when", "where", "how long", "how far", "how much", "platform"."""

    word: str


@dataclass(frozen=True, slots=True)
class Place:
    relation: str  # "at", "to", "by" (to, in a vehicle), "from", "near"
    phrase: "Phrase"


@dataclass(frozen=True, slots=True)
class Predicate:
    adjective: Adjective
    degree: str = ""  # "", "very", "too", "than"
    standard: Phrase | None = None


Nominal = Phrase | Pronoun | Amount | Wh


@dataclass(frozen=True, slots=True)
class Clause:
    """`tense` is "present", "past", "perfect", "future", "since" or "passive" (in the past).

    `gap` is the slot that a relative clause lacks: "object" or "place". With `already`, a
    negated clause says "not yet". The pronoun "there" makes it existential.
    """

    subject: Phrase | Pronoun
    verb: Verb
    tense: str = "present"
    modal: str = ""
    negated: bool = False
    object: Nominal | None = None
    recipient: Phrase | Pronoun | None = None
    place: Place | Amount | Wh | None = None
    time: Time | Wh | None = None
    duration: Amount | Wh | None = None
    predicate: Predicate | None = None
    time_first: bool = False
    already: bool = False
    gap: str = ""


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """A pattern per language; `{0:mode}` is the first clause in a mode of that language."""

    key: str
    en: str
    de: str
    zh: str


@dataclass(frozen=True, slots=True)
class Sentence:
    frame: Frame
    clauses: tuple[Clause, ...]


Combination = tuple[str, str]


def combinations(sentence: Sentence) -> Iterator[Combination]:
    """The pairs of content words that stand in a grammatical relation, by their English lemmas."""
    for clause in sentence.clauses:
        yield from _clause_pairs(clause)


# Verbs without which their nouns, or they without them, would hardly occur.
_SINGULAR = ("hurt", "fill in", "depart", "be late", "speak", "learn")


def _clause_pairs(clause: Clause) -> Iterator[Combination]:
    verb = clause.verb.key
    for slot in (clause.subject, clause.object, clause.recipient):
        if isinstance(slot, Phrase):
            if verb not in _SINGULAR:
                yield verb, head(slot).en
                if slot.other is not None:
                    yield verb, head(slot.other).en
            yield from _phrase_pairs(slot)
    if isinstance(clause.place, Place):
        yield verb, clause.place.phrase.noun.en
        yield from _phrase_pairs(clause.place.phrase)
    if clause.predicate is not None and isinstance(clause.subject, Phrase):
        yield clause.predicate.adjective.en, clause.subject.noun.en
        if clause.predicate.standard is not None:
            yield from _phrase_pairs(clause.predicate.standard)


def head(phrase: Phrase) -> Noun:
    """The noun that the verb is about: what is in the container, if there is one."""
    return phrase.mass or phrase.noun


def _phrase_pairs(phrase: Phrase) -> Iterator[Combination]:
    noun = phrase.noun.en
    if phrase.adjective is not None:
        yield phrase.adjective.en, noun
    if phrase.determiner == "number":
        yield str(phrase.number), head(phrase).en
    if isinstance(phrase.tail, Place):
        yield noun, phrase.tail.phrase.noun.en
    if phrase.other is not None:
        yield from _phrase_pairs(phrase.other)
    if phrase.relative is not None:
        yield phrase.relative.verb.key, noun
        yield from _clause_pairs(phrase.relative)
