"""How many sentences there are at least."""

from transformer.text.phrasebook.abstract import Verb
from transformer.text.phrasebook.adjectives import fitting
from transformer.text.phrasebook.choices import count_future_times, nouns_of
from transformer.text.phrasebook.nouns import nouns
from transformer.text.phrasebook.verbs import verbs


def count_sentences() -> int:
    """A lower bound: the affirmative statements about the future alone, without places.

    Subject x object (noun, adjective or none, determiner, numbers up to 12) x time x whether the
    time comes first. All slots show in the sentence, so that two choices never coincide.
    """
    subjects = len(nouns("kin")) + 4
    plain = [
        v
        for v in verbs()
        if "f" in v.uses
        and "person" in v.subjects
        and "{o}" in v.en
        and "{r}" not in v.en
        and "{p}" not in v.zh
    ]
    return sum(subjects * _objects(verb) * count_future_times() * 2 for verb in plain)


def _objects(verb: Verb) -> int:
    determiners = sum(11 if d == "number" else 1 for d in verb.determiners)
    return determiners * sum(
        1 + len(fitting(noun, "a"))
        for noun in nouns_of(verb.objects)
        if noun.kind not in ("kin", "table", "train")
    )
