"""German verb forms: finite verb, right bracket and separable prefix."""

from functools import cache

from transformer.text.phrasebook.abstract import Clause, Verb

_SEIN = {"1s": "bin", "3s": "ist"}
_WAR = {"1s": "war", "3s": "war"}
_HABEN = {"1s": "habe", "3s": "hat"}
# Singular and plural; the singular serves the first and the third person.
_MODALS = {
    "can": ("kann", "können"),
    "must": ("muss", "müssen"),
    "would": ("möchte", "möchten"),
    "should": ("sollte", "sollten"),
    "wanted": ("wollte", "wollten"),
    "had": ("musste", "mussten"),
    "could": ("konnte", "konnten"),
    "may": ("darf", "dürfen"),
}


def verb_forms(c: Clause, person: str) -> tuple[str, str, str]:
    """The finite verb, what closes the clause, and the prefix if it is separated."""
    verb = c.verb
    participle = verb.de_prefix + verb.de_participle
    if c.modal:
        return _MODALS[c.modal][person not in ("1s", "3s")], infinitive(verb), ""
    if c.tense == "passive":
        return ("wurde" if person in ("1s", "3s") else "wurden"), participle, ""
    if verb.de == "sein" and c.tense == "past":
        return _WAR.get(person, "waren"), "", ""
    if c.tense in ("past", "perfect"):
        auxiliary = _SEIN if verb.de_aux == "s" else _HABEN
        return auxiliary.get(person, "sind" if verb.de_aux == "s" else "haben"), participle, ""
    return present(verb, person), "", verb.de_prefix


@cache
def present(verb: Verb, person: str) -> str:
    """The finite present without prefix."""
    if verb.de == "sein":
        return _SEIN.get(person, "sind")
    if person == "3s":
        return verb.de_third
    if person != "1s":
        return verb.de
    if verb.de.endswith("eln"):
        return verb.de[:-3] + "le"
    return verb.de[:-1] if verb.de.endswith("en") else verb.de[:-1] + "e"


def infinitive(verb: Verb) -> str:
    return verb.de_prefix + verb.de


def zu_infinitive(verb: Verb) -> str:
    """Like "zu kaufen", "anzurufen"."""
    return f"{verb.de_prefix}zu{verb.de}" if verb.de_prefix else f"zu {verb.de}"
