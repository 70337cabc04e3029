"""Which combinations of words each split may show."""

from functools import cache
from hashlib import sha256

from transformer.text.phrasebook.abstract import Combination, Sentence, combinations

SPLITS = ("train", "valid", "test")
# Of many salts tried, the one that leaves the rarest word of training the most sentences.
_SALT = "2"
_HELD_OUT = {0: "valid", 1: "test"}  # of 20 buckets: 5 % of all combinations each


@cache
def split_of(combination: Combination) -> str:
    """The split that owns the combination, whatever the seed: 90 % belong to train."""
    digest = sha256(f"{_SALT}\t{combination[0]}\t{combination[1]}".encode()).digest()
    return _HELD_OUT.get(int.from_bytes(digest[:8], "big") % 20, "train")


def belongs(sentence: Sentence, split: str) -> bool:
    """Whether the split may show the sentence.

    A sentence of train has combinations of train only; one of valid or test has at least one of
    its own, the rest being those of train.
    """
    owners = {split_of(combination) for combination in combinations(sentence)}
    return owners - {"train"} == ({split} - {"train"})
