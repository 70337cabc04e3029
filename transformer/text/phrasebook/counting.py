"""How many sentences there are at least."""

from transformer.text.phrasebook.abstract import Verb
from transformer.text.phrasebook.adjectives import fitting
from transformer.text.phrasebook.choices import SELECTIVE, count_appointments, nouns_of
from transformer.text.phrasebook.nouns import nouns
from transformer.text.phrasebook.verbs import verbs


def count_sentences() -> int:
    """A lower bound: only affirmative statements about a date and time ahead, without places.

    Subject x object (noun, adjective or none, determiner; of the numbers only one) x time x
    whether the time comes first. Each slot shows in the sentence, so no two choices coincide.
    """
    subjects = len(nouns("kin")) + len(("I", "we", "he", "she"))
    plain = [
        v
        for v in verbs()
        if "f" in v.uses and "person" in v.subjects and "{o}" in v.en
        if "{r}" not in v.en and "{p}" not in v.zh
    ]
    return sum(subjects * _objects(verb) * count_appointments() * 2 for verb in plain)


def _objects(verb: Verb) -> int:
    """How many phrases the verb can take, adjectives that some determiner excludes left out."""
    described = sum(
        1 + len([a for a in fitting(noun, "a") if a.en not in SELECTIVE])
        for noun in nouns_of(verb.objects)
        if noun.kind not in ("kin", "table", "train", "ferry")
    )
    return len(set(verb.determiners)) * described
