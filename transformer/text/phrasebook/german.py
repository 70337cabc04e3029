"""German linearisation of clauses; noun phrases are in `german_phrases`.

A main clause is Vorfeld, finite verb, Mittelfeld, right bracket; the other clause types differ
in where the finite verb stands. The relative clause of a subject follows its noun, all others
are extraposed behind the right bracket.
"""

from dataclasses import dataclass, field, replace

from transformer.text.phrasebook.abstract import (
    Amount,
    Clause,
    Phrase,
    Pronoun,
    Sentence,
    Time,
    Wh,
)
from transformer.text.phrasebook.german_phrases import (
    definite,
    nominal,
    place,
    predicate,
    relative_pronoun,
)
from transformer.text.phrasebook.german_verbs import infinitive, verb_forms, zu_infinitive
from transformer.text.phrasebook.patterns import fill, question_word, tidy
from transformer.text.phrasebook.pronouns import person_of
from transformer.text.phrasebook.quantities import measure
from transformer.text.phrasebook.times import time_text

_WORDS = {
    "when": "wann",
    "where": "wo",
    "how much": "wie viel",
    "how long": "wie lange",
    "platform": "von welchem Gleis",
    "how far": "wie weit",
}
_REFLEXIVES = {"1s": "mich", "1p": "uns"}


@dataclass(slots=True)
class _Field:
    """The parts of a clause that do not depend on its type."""

    subject: str
    subject_relative: str
    subject_first: bool  # before the pronouns
    finite: str
    bracket: str
    prefix: str
    pronouns: list[str] = field(default_factory=list)
    middle: list[str] = field(default_factory=list)
    relatives: list[str] = field(default_factory=list)


def sentence(abstract: Sentence) -> str:
    """The sentence in German."""
    return tidy(fill(abstract.frame.de, abstract.clauses, clause))


def clause(c: Clause, mode: str) -> str:
    """`mode`: "main", "question", "then" (verb first), "sub", "zu", "request" (bare infinitive)."""
    f = _field(c)
    wh = _WORDS.get(question_word(c), "")
    if mode == "zu":
        words = [*f.pronouns, *f.middle, zu_infinitive(c.verb)]
    elif mode == "request":
        words = [*f.pronouns, "bitte", *f.middle, infinitive(c.verb)]
    elif mode == "sub":
        words = _subordinate(f, wh)
    elif mode == "question" and wh:
        words = [wh, f.finite, *_inverted(f)]
    elif mode in ("question", "then") and not _which(c):
        words = [f.finite, *_inverted(f)]
    elif c.time_first and isinstance(c.time, Time):
        words = [time_text(c.time, "de"), f.finite, *_inverted(f)]
    else:
        words = [
            f.subject,
            f.subject_relative,
            f.finite,
            *f.pronouns,
            *f.middle,
            f.bracket,
            f.prefix,
        ]
    return " ".join(filter(None, words + f.relatives))


def _subordinate(f: _Field, wh: str) -> list[str]:
    start = _around_subject(f)
    if not f.middle and not f.bracket and f.subject_relative:
        f.relatives.insert(0, f.subject_relative)
        start.remove(f.subject_relative)
    return [wh, *start, *f.middle, f.bracket, f.prefix + f.finite]


def _inverted(f: _Field) -> list[str]:
    return [*_around_subject(f), *f.middle, f.bracket, f.prefix]


def _around_subject(f: _Field) -> list[str]:
    """A subject that is a pronoun stands before the other pronouns, a noun behind them."""
    subject = [f.subject, f.subject_relative]
    return [*subject, *f.pronouns] if f.subject_first else [*f.pronouns, *subject]


def _which(c: Clause) -> bool:
    return isinstance(c.subject, Phrase) and c.subject.determiner == "which"


def _field(c: Clause) -> _Field:
    experiencer = None
    if c.verb.de_object == "N" and isinstance(c.object, Phrase):
        experiencer, c = c.subject, replace(c, subject=c.object, object=None)
    forms = verb_forms(c, person_of(c.subject))
    f = _Field(nominal(c.subject, "N"), relative(c.subject), isinstance(c.subject, Pronoun), *forms)
    if c.verb.reflexive:
        f.pronouns.append(_REFLEXIVES.get(person_of(c.subject), "sich"))
    recipient = experiencer or c.recipient
    if isinstance(recipient, Pronoun):
        f.pronouns.append(nominal(recipient, "D"))
        recipient = None
    f.middle = _middle(c, recipient)
    f.relatives = [relative(slot) for slot in (recipient, c.object) if isinstance(slot, Phrase)]
    return f


def _middle(c: Clause, recipient: Phrase | None) -> list[str]:
    """The Mittelfeld behind the pronouns: time, dative, definite object, negation, the rest."""
    early, late = _objects(c)
    near, far = _places(c)
    words = [time_text(c.time, "de")] if isinstance(c.time, Time) and not c.time_first else []
    words.append(nominal(recipient, "D") if recipient is not None else "")
    words += [early, near]
    if c.already:
        words.append("noch" if c.negated else "schon")
    if c.negated and not _negates_article(c):
        words.append("nicht")
    if isinstance(c.duration, Amount):
        words.append(measure(c.duration.value, c.duration.unit, "de"))
    words += [late, far]
    if c.predicate is not None:
        words.append(predicate(c.predicate))
    return [word for word in words if word]


def _negates_article(c: Clause) -> bool:
    if not c.negated or not isinstance(c.object, Phrase):
        return False
    return c.object.determiner == "a" or c.object.noun.kind == "language"


def _objects(c: Clause) -> tuple[str, str]:
    """The object as a text before the negation, or as one behind it."""
    if c.object is None or c.gap == "object" or isinstance(c.object, Wh):
        return "", ""
    preposition, _, case = c.verb.de_object.rpartition(" ")
    text = nominal(c.object, case, negative=_negates_article(c))
    if preposition:
        return "", f"{preposition} {text}"
    return (text, "") if definite(c.object) else ("", text)


def _places(c: Clause) -> tuple[str, str]:
    """A place where something happens, before the negation; one that the verb needs, behind."""
    if c.gap == "place" or c.place is None or isinstance(c.place, Wh):
        return "", ""
    text = place(c.place)
    needed = "{p}" in c.verb.zh or "{t}" in c.verb.zh
    return ("", text) if needed else (text, "")


def relative(n: object) -> str:
    """The relative clause of a phrase between commas, or nothing."""
    if not isinstance(n, Phrase) or n.relative is None:
        return ""
    c = n.relative
    if c.gap == "place":
        pronoun = relative_pronoun(n, f"{n.noun.de_at or 'in'} D")
    else:
        pronoun = relative_pronoun(n, c.verb.de_object)
    return f", {pronoun} {clause(c, 'sub')},"
