"""Word alignments in Pharaoh's format, and the pieces that they link."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import lru_cache

import sentencepiece

from transformer.errors import InputError, require
from transformer.text.tokenizer import Tokenizers

LINK = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")
WORD = re.compile(r"\S+")  # what str.split() gives


def read_links(alignment: str) -> list[tuple[int, int]]:
    """The distinct links of a line such as `0-0 1-2`, in ascending order.

    A link is a source and a target word's number, counted from 0. InputError for what is none.
    """
    links = set()
    for text in alignment.split():
        found = LINK.fullmatch(text)
        if found is None:
            raise InputError(
                f"{text!r} is no link; write a source and a target word's number, as in 0-0 1-2"
            )
        links.add((int(found[1]), int(found[2])))
    return sorted(links)


def check_alignment(alignment: str, source: str, target: str) -> None:
    """Raise InputError unless all links are between words of `source` and `target`.

    Words are what is parted by white space, also in scripts that do without: there, alignments
    of words that a segmenter found need text with spaces between those words.
    """
    n_source, n_target = len(source.split()), len(target.split())
    for i, j in read_links(alignment):
        for number, n_words, side in ((i, n_source, "source"), (j, n_target, "target")):
            require(
                number < n_words,
                f"{i}-{j} links {side} word {number}, but that sentence has {n_words} between "
                "spaces; the first is number 0",
            )


def piece_links(
    tokenizers: Tokenizers,
    sources: Sequence[str],
    targets: Sequence[str],
    alignments: Sequence[str],
) -> Iterator[list[int]]:
    """The linked pieces of each pair as blocks: all pieces of a target word, all of a source word.

    A block is four numbers: first target piece, the one after the last, and so for the source.
    """
    sides = (
        word_starts(tokenizers.source.model, sources),
        word_starts(tokenizers.target.model, targets),
    )
    for source, target, alignment in zip(*sides, alignments, strict=True):
        blocks = []
        for i, j in read_links(alignment):
            block = [target[j], target[j + 1], source[i], source[i + 1]]
            # Normalisation may leave nothing of a word.
            if block[0] < block[1] and block[2] < block[3]:
                blocks += block
        yield blocks


@lru_cache(maxsize=4)
def processor_of(model: bytes) -> sentencepiece.SentencePieceProcessor:
    """The processor of a SentencePiece `model`, loaded once."""
    return sentencepiece.SentencePieceProcessor(model_proto=model)


def word_starts(model: bytes, lines: Sequence[str]) -> Iterator[list[int]]:
    """The number of the first piece of each word of each line, and of the first behind them all.

    A piece belongs to the first word that ends behind the character at which the piece begins.
    So the mark of a space and white space that has a piece of its own belong to the word after
    them, all bytes of a character to its word, and a piece that normalisation made of several
    characters to the word of the first. What follows the last word belongs to none.
    """
    encoded = processor_of(model).encode(list(lines), return_type="offset_mapping")
    for line, found in zip(lines, encoded, strict=True):
        begins = [begin for begin, _ in found["offsets"]]  # in characters of the line
        ends = (word.end() for word in WORD.finditer(line))
        yield [0, *(bisect_left(begins, end) for end in ends)]
