"""The embedded corpus: a travel phrasebook made by a synchronous grammar.

A generator draws an abstract sentence (`abstract`, `grammar`), and one lineariser per language
(`english`, `german`, `chinese`) spells it out, so that a pair of languages is exactly parallel.
The splits differ in the combinations of words they show (`splits`).
"""

from collections.abc import Iterator
from hashlib import sha256
from random import Random

from transformer.errors import InputError
from transformer.text.phrasebook import chinese, english, german
from transformer.text.phrasebook.counting import count_sentences
from transformer.text.phrasebook.grammar import sentences
from transformer.text.phrasebook.splits import SPLITS, belongs

__all__ = ["PAIRS", "count_sentences", "phrasebook"]

PAIRS = frozenset({("en", "de"), ("de", "en"), ("en", "zh"), ("zh", "en")})
_LINEARISERS = {"en": english.sentence, "de": german.sentence, "zh": chinese.sentence}


def phrasebook(
    source: str, target: str, split: str, size: int, seed: int
) -> Iterator[tuple[str, str]]:
    """`size` distinct (source, target) sentence pairs of "train", "valid" or "test".

    A seed and a split give the same abstract sentences for every pair of languages, and no
    sentence comes twice in any of them. No sentence of train has a combination of words
    (`combinations`) that valid or test holds out; those of valid and test all have one.
    """
    if (source, target) not in PAIRS:
        known = ", ".join(f"{a}-{b}" for a, b in sorted(PAIRS))
        raise InputError(
            f"data.source={source} data.target={target} is no pair of "
            f"data=phrasebook, which has {known}"
        )
    if split not in SPLITS:
        raise InputError(f"split {split!r} is not one of {', '.join(SPLITS)}")
    return _pairs(source, target, split, size, seed)


def _pairs(source: str, target: str, split: str, size: int, seed: int) -> Iterator[tuple[str, str]]:
    digest = sha256(f"phrasebook {split} {seed}".encode()).digest()
    seen: set[str] = set()
    made = 0
    for abstract in sentences(Random(int.from_bytes(digest, "big"))):
        if made == size:
            return
        if not belongs(abstract, split):
            continue
        texts = {language: write(abstract) for language, write in _LINEARISERS.items()}
        if seen.isdisjoint(texts.values()):
            seen.update(texts.values())
            made += 1
            yield texts[source], texts[target]
