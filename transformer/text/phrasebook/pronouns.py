"""The personal pronouns, and the possessives that go with their keys."""

from transformer.text.phrasebook.abstract import Phrase, Pronoun

PRONOUNS = {
    p.key: p
    for p in (
        Pronoun("i", "1s", ("I", "me"), ("ich", "mich", "mir"), "我"),
        Pronoun("we", "1p", ("we", "us"), ("wir", "uns", "uns"), "我们"),
        Pronoun("you", "2p", ("you", "you"), ("Sie", "Sie", "Ihnen"), "您"),
        Pronoun("he", "3s", ("he", "him"), ("er", "ihn", "ihm"), "他"),
        Pronoun("she", "3s", ("she", "her"), ("sie", "sie", "ihr"), "她"),
        Pronoun("it m", "3s", ("it", "it"), ("er", "ihn", "ihm"), ""),
        Pronoun("it f", "3s", ("it", "it"), ("sie", "sie", "ihr"), ""),
        Pronoun("it n", "3s", ("it", "it"), ("es", "es", "ihm"), ""),
        Pronoun("there", "3s", ("there", "there"), ("es", "es", "es"), ""),
    )
}
# English, German stem, Chinese
POSSESSIVES = {
    "i": ("my", "mein", "我"),
    "we": ("our", "unser", "我们"),
    "you": ("your", "Ihr", "您"),
    "he": ("his", "sein", "他"),
    "she": ("her", "ihr", "她"),
    "they": ("their", "ihr", "他们"),
}


def person_of(subject: Phrase | Pronoun) -> str:
    """What the verb agrees with: "1s", "1p", "2p", "3s" or "3p"."""
    if isinstance(subject, Pronoun):
        return subject.person
    plural = subject.noun.gender == "p" or subject.determiner in ("number", "few", "these")
    return "3p" if plural else "3s"


def owner_of(subject: Phrase | Pronoun) -> str:
    """The key of the possessive that a subject binds."""
    if isinstance(subject, Pronoun):
        return subject.key
    if person_of(subject) == "3p":
        return "they"
    return "she" if subject.noun.gender == "f" else "he"
