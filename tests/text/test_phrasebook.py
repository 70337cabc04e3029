"""The embedded corpus keeps its promises: determinism, distinctness, held-out combinations."""

import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import islice
from random import Random

import pytest

from transformer.errors import InputError
from transformer.text.phrasebook import PAIRS, chinese, count_sentences, english, german, phrasebook
from transformer.text.phrasebook.abstract import (
    Adjective,
    Clause,
    Noun,
    Phrase,
    Place,
    Predicate,
    Sentence,
    Verb,
    combinations,
)
from transformer.text.phrasebook.adjectives import adjectives
from transformer.text.phrasebook.frames import frames
from transformer.text.phrasebook.grammar import sentences
from transformer.text.phrasebook.nouns import all_nouns
from transformer.text.phrasebook.splits import belongs, split_of
from transformer.text.phrasebook.verbs import verbs

LANGUAGES = {"en": english.sentence, "de": german.sentence, "zh": chinese.sentence}


@cache
def triples(size: int = 20_000) -> list[dict[str, str]]:
    """What the grammar draws, in all languages, before duplicates are dropped."""
    drawn = islice(sentences(Random(11)), size)
    return [{name: write(s) for name, write in LANGUAGES.items()} for s in drawn]


@cache
def split(name: str, size: int) -> list[Sentence]:
    return list(islice((s for s in sentences(Random(5)) if belongs(s, name)), size))


def test_a_fresh_process_makes_the_same_sentences() -> None:
    script = (
        "from transformer.text.phrasebook import phrasebook\n"
        "for pair in phrasebook('en', 'de', 'train', 50, 3): print(pair)"
    )
    command = [sys.executable, "-X", "utf8", "-c", script]
    out = subprocess.run(command, capture_output=True, check=True, encoding="utf-8").stdout
    assert out.splitlines() == [str(pair) for pair in phrasebook("en", "de", "train", 50, 3)]


def test_both_directions_and_all_pairs_show_the_same_sentences() -> None:
    there = list(phrasebook("en", "de", "valid", 200, 1))
    assert [(de, en) for en, de in there] == list(phrasebook("de", "en", "valid", 200, 1))
    chinese_side = list(phrasebook("zh", "en", "valid", 200, 1))
    assert [en for _, en in chinese_side] == [en for en, _ in there]


def test_a_longer_corpus_begins_with_the_shorter_one() -> None:
    longer = list(phrasebook("en", "zh", "train", 300, 9))
    assert longer[:100] == list(phrasebook("en", "zh", "train", 100, 9))


def test_seeds_differ() -> None:
    one, other = (set(phrasebook("en", "de", "train", 200, seed)) for seed in (1, 2))
    assert len(one & other) < 40


@pytest.mark.parametrize("pair", sorted(PAIRS))
def test_sentences_are_distinct_on_both_sides(pair: tuple[str, str]) -> None:
    pairs = list(phrasebook(*pair, "train", 2000, 4))
    assert len({source for source, _ in pairs}) == len({target for _, target in pairs}) == 2000


def test_the_splits_share_no_sentence() -> None:
    sides = [set(phrasebook("en", "de", name, 1000, 6)) for name in ("train", "valid", "test")]
    assert len(set.union(*sides)) == 3000


def test_training_shows_no_held_out_combination_and_every_test_sentence_has_one() -> None:
    owners = {
        name: [{split_of(pair) for pair in combinations(s)} for s in split(name, 1000)]
        for name in ("train", "valid", "test")
    }
    assert all(o <= {"train"} for o in owners["train"])
    assert all("valid" in o and o <= {"train", "valid"} for o in owners["valid"])
    assert all("test" in o and o <= {"train", "test"} for o in owners["test"])


def test_about_a_tenth_of_the_combinations_is_held_out() -> None:
    pairs = {pair for s in islice(sentences(Random(1)), 5000) for pair in combinations(s)}
    held_out = Counter(split_of(pair) for pair in pairs)
    assert 0.03 < held_out["test"] / len(pairs) < 0.07
    assert 0.03 < held_out["valid"] / len(pairs) < 0.07


def lexical(node: object) -> Iterator[object]:
    """All entries of the lexicon in a piece of abstract syntax."""
    if isinstance(node, Noun | Adjective | Verb):
        yield node
    elif isinstance(node, tuple):
        for part in node:
            yield from lexical(part)
    elif isinstance(node, Sentence | Clause | Phrase | Place | Predicate):
        for name in type(node).__dataclass_fields__:
            yield from lexical(getattr(node, name))


def test_training_shows_every_entry_of_the_lexicon_and_every_frame() -> None:
    train = split("train", 20_000)
    counts = Counter(entry for s in train for entry in lexical(s))
    names = {entry: counts[entry] for entry in (*all_nouns(), *adjectives(), *verbs())}
    rare = {str(entry): count for entry, count in names.items() if count < 8}
    assert not rare
    assert {s.frame.key for s in train} == set(frames())


def test_there_are_hundreds_of_millions_of_sentences() -> None:
    assert count_sentences() >= 200_000_000


@pytest.mark.parametrize("source", LANGUAGES)
@pytest.mark.parametrize("target", LANGUAGES)
def test_a_sentence_has_one_translation(source: str, target: str) -> None:
    translations = defaultdict(set)
    for t in triples():
        translations[t[source]].add(t[target])
    assert [found for found in translations.values() if len(found) > 1] == []


def test_european_sentences_are_well_formed() -> None:
    for t in triples():
        for text in (t["en"], t["de"]):
            assert re.search(r"  | [.,?]|,,|,[.?]|[{}*~_|]|^\W", text) is None, text
            assert text[0] == text[0].upper(), text
            assert text[-1] in ".?", text
            assert text[:-1].count("?") == 0, text


def test_chinese_sentences_are_well_formed() -> None:
    for t in triples():
        assert re.search(r"[,?{}*~_|]|，，|，。|\.$", t["zh"]) is None, t["zh"]
        assert t["zh"][-1] in "。？"
        assert t["zh"].replace("T恤", "").isascii() is False


def test_questions_stay_questions() -> None:
    for t in triples():
        assert (t["en"][-1] == "?") == (t["de"][-1] == "?"), t
        # 请问 turns a request for information into a question; so does 您能.
        assert (t["en"][-1] == "?") == (t["zh"][-1] == "？"), t


@pytest.mark.parametrize("language", ["en", "de"])
def test_sentences_are_neither_short_nor_long(language: str) -> None:
    lengths = [len(t[language].split()) for t in triples()]
    assert 7 <= sum(lengths) / len(lengths) <= 16
    assert max(lengths) <= 30
    assert min(lengths) >= 3


def test_an_unknown_pair_is_an_input_error_that_names_the_keys() -> None:
    with pytest.raises(InputError, match=r"data\.source=de data\.target=zh.*en-de"):
        phrasebook("de", "zh", "train", 1, 0)


def test_an_unknown_split_is_an_input_error() -> None:
    with pytest.raises(InputError, match="dev"):
        phrasebook("en", "de", "dev", 1, 0)
