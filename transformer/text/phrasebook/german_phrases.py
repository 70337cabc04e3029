"""German noun phrases: declension of articles, adjectives and nouns; case is N, A, D or G."""

from functools import cache

from transformer.text.phrasebook.abstract import (
    Amount,
    Nominal,
    Noun,
    Phrase,
    Place,
    Predicate,
    Pronoun,
)
from transformer.text.phrasebook.pronouns import POSSESSIVES, person_of
from transformer.text.phrasebook.quantities import measure, money, number_word, ordinal_word

# Columns: masculine, feminine, neuter, plural.
_COLUMNS = {"m": 0, "f": 1, "n": 2, "p": 3}
_THE = {
    "N": "der die das die",
    "A": "den die das die",
    "D": "dem der dem den",
    "G": "des der des der",
}
_EIN = {"N": " e  e", "A": "en e  e", "D": "em er em en", "G": "es er es er"}
_STRONG = {"N": "er e es e", "A": "en e es e", "D": "em er em en", "G": "en er en er"}
_WEAK = {"N": "e e e en", "A": "en e e en", "D": "en en en en", "G": "en en en en"}
_MIXED = {"N": "er e es en", "A": "en e es en", "D": "en en en en", "G": "en en en en"}
_CONTRACTIONS = {
    "in dem": "im",
    "an dem": "am",
    "zu dem": "zum",
    "zu der": "zur",
    "in das": "ins",
    "an das": "ans",
    "von dem": "vom",
}
_ARTICLELESS = ("name", "number", "few")
INDEFINITE = ("a", "number", "few", "name")


def _cell(table: dict[str, str], gender: str, case: str) -> str:
    return table[case].split(" ")[_COLUMNS[gender]]


def gender_of(p: Phrase) -> str:
    """The column of the tables: "p" in the plural, else the gender."""
    return "p" if person_of(p) == "3p" else p.noun.gender


def definite(p: object) -> bool:
    return isinstance(p, Phrase) and p.determiner not in INDEFINITE


@cache
def noun_form(noun: Noun, column: str, case: str) -> str:
    """The noun in its case; `column` is "p" for the plural."""
    if column == "p":
        added = "n" if case == "D" and noun.de_plural[-1] not in "ns" else ""
        measures = noun.kind == "container" and noun.de_plural == noun.de
        return noun.de_plural + ("" if measures else added)
    if noun.weak:
        return noun.de if case == "N" else noun.de_plural
    if case != "G" or column == "f" or not column:
        return noun.de
    return noun.de + ("es" if noun.de[-1] in "sßzx" else "s")


def _determiner(p: Phrase, column: str, case: str, negative: bool) -> str:
    kind = p.determiner
    if negative:
        return "kein" + _ein_ending(column, case)
    if kind == "a":
        return "ein" + _ein_ending(column, case)
    if kind in ("own", "owner"):
        return POSSESSIVES[p.owner][1] + _ein_ending(column, case)
    if kind in ("this", "these", "which"):
        stem = "welch" if kind == "which" else "dies"
        return stem + _cell(_STRONG, column, case).replace("en", "es" if case == "G" else "en")
    if kind == "number":
        return number_word(p.number, "de")
    return "ein paar" if kind == "few" else _cell(_THE, column, case)


def _ein_ending(column: str, case: str) -> str:
    return _EIN[case].split(" ")[_COLUMNS[column]]


def _adjective(adjective: str, p: Phrase, column: str, case: str, negative: bool) -> str:
    if negative or p.determiner in ("a", "own", "owner"):
        table = _MIXED
    elif p.determiner in _ARTICLELESS:
        table = _STRONG
    else:
        table = _WEAK
    return adjective + _cell(table, column, case)


def phrase(p: Phrase, case: str, *, negative: bool = False) -> str:
    """The noun phrase in its case, without its relative clause."""
    noun = p.noun
    if p.determiner == "name":
        return f"kein {noun.de}" if negative else noun.de
    column = gender_of(p)
    words = [_determiner(p, column, case, negative)]
    ordinal = {"next": "nächst", "last": "letzt"}.get(p.determiner)
    if p.determiner == "ordinal":
        ordinal = ordinal_word(p.number, "de")
    if ordinal:
        words.append(_adjective(ordinal, p, column, case, negative))
    if p.adjective is not None:
        words.append(_adjective(p.adjective.de_stem, p, column, case, negative))
    words.append(noun_form(noun, column, case))
    words += _after_noun(p)
    if p.other is not None:
        words.append("und " + phrase(p.other, case, negative=negative))
    return " ".join(filter(None, words))


def _after_noun(p: Phrase) -> list[str]:
    words = [p.mass.de] if p.mass is not None else []
    if isinstance(p.tail, Place):
        words.append(place(p.tail))
    elif isinstance(p.tail, Amount):
        words.append("für " + measure(p.tail.value, p.tail.unit, "de"))
    return words


def place(where: Place | Amount) -> str:
    """The adverbial of place, with its contraction."""
    if isinstance(where, Amount):
        return f"von Gleis {number_word(where.value, 'de')}"
    noun = where.phrase.noun
    if where.relation == "near":
        return "in der Nähe " + phrase(where.phrase, "G")
    if where.relation == "from" and not noun.gender:
        return "aus " + noun.de
    if not noun.gender:
        return ("in " if where.relation == "at" else "nach ") + noun.de
    preposition = {"to": noun.de_to, "by": "zu", "from": "von"}.get(
        where.relation, noun.de_at or "in"
    )
    case = "A" if where.relation == "to" and preposition != "zu" else "D"
    text = f"{preposition} {phrase(where.phrase, case)}"
    if where.phrase.determiner in ("the", "next"):
        first, second, rest = text.split(" ", 2)
        joined = f"{first} {second}"
        text = f"{_CONTRACTIONS.get(joined, joined)} {rest}"
    return text


def nominal(n: Nominal | None, case: str, *, negative: bool = False) -> str:
    """An argument of a verb in its case."""
    if isinstance(n, Pronoun):
        return n.de["NAD".index(case)]
    if isinstance(n, Amount):
        return money(n.value, n.unit, "de")
    assert isinstance(n, Phrase)
    return phrase(n, case, negative=negative)


def predicate(p: Predicate) -> str:
    """The undeclined adjective, or its comparative with what it is compared to."""
    if p.standard is not None:
        return f"{p.adjective.de_more} als {phrase(p.standard, 'N')}"
    return " ".join(filter(None, ({"very": "sehr", "too": "zu"}.get(p.degree), p.adjective.de)))


def relative_pronoun(p: Phrase, governs: str) -> str:
    """The relative pronoun for what a verb governs: "A", "D" or as in "auf A"."""
    preposition, _, case = governs.rpartition(" ")
    column = gender_of(p)
    pronoun = "denen" if column == "p" and case == "D" else _cell(_THE, column, case)
    return f"{preposition} {pronoun}".strip()
