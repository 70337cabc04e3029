"""Learning what pieces become, and the file that keeps it."""

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from transformer.config import CleaningConfig, FilesConfig, TokenizerConfig, TokenizerKind
from transformer.errors import InputError
from transformer.text import lexicon
from transformer.text.batching import Batch, pad
from transformer.text.dataset import PreparedData, prepare_data
from transformer.text.lexicon import IBM1, Lexicon, learn_lexicon
from transformer.text.tokenizer import EOS_ID, PAD_ID, Tokenizers, train_tokenizers

SIZE = 12  # of both toy vocabularies
SIDE = st.lists(st.integers(4, SIZE - 1), min_size=1, max_size=5)
TOY = st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=6)
Toy = list[tuple[list[int], list[int]]]


def batch(pairs: Toy) -> tuple[torch.Tensor, torch.Tensor]:
    """Sources with the empty word, targets without."""
    return (
        pad([[*source, EOS_ID] for source, _ in pairs], 7),
        pad([target for _, target in pairs], 6),
    )


def of_pairs(pairs: Toy, *, at_once: int = 100) -> IBM1:
    batches = [batch(pairs[i : i + at_once]) for i in range(0, len(pairs), at_once)]
    return IBM1(batches, SIZE)


def plain_iteration(table: dict[tuple[int, int], float], pairs: Toy) -> float:
    """An iteration by loops over Brown et al., 1993, section 4.1; the log-likelihood before it."""
    counts, totals, log_likelihood = dict.fromkeys(table, 0.0), dict.fromkeys(range(SIZE), 0.0), 0.0
    for source, target in pairs:
        for t in target:
            total = sum(table[s, t] for s in [*source, EOS_ID])
            log_likelihood += math.log(total)
            for s in [*source, EOS_ID]:
                counts[s, t] += table[s, t] / total
                totals[s] += table[s, t] / total
    for s, t in table:
        table[s, t] = counts[s, t] / totals[s] if totals[s] else 0.0
    return log_likelihood


@settings(max_examples=40)
@given(pairs=TOY, at_once=st.integers(1, 4))
def test_an_iteration_is_that_of_the_paper(pairs: Toy, at_once: int) -> None:
    model = of_pairs(pairs, at_once=at_once)
    table = {(s, t): 1 / SIZE for s in range(SIZE) for t in range(SIZE)}
    for _ in range(3):
        assert model.iterate() == pytest.approx(plain_iteration(table, pairs), abs=1e-10)
    best = model.best(SIZE, SIZE)
    for s in range(SIZE):
        found = [t for t in best[s].tolist() if t != PAD_ID]
        assert {t for t in range(SIZE) if table[s, t] > 0} == {*found}
        probabilities = [table[s, t] for t in found]
        assert probabilities == pytest.approx(sorted(probabilities, reverse=True), abs=1e-10)


@settings(max_examples=40)
@given(pairs=TOY)
def test_the_likelihood_never_falls(pairs: Toy) -> None:
    model = of_pairs(pairs)
    found = [model.iterate() for _ in range(8)]
    assert all(after >= before - 1e-9 for before, after in pairwise(found))


def test_a_dictionary_is_found_in_sentences_of_its_words() -> None:
    draw = np.random.default_rng(2)
    words = np.arange(4, SIZE)
    meaning = dict(zip(words.tolist(), draw.permutation(words).tolist(), strict=True))
    pairs: Toy = []
    for _ in range(60):
        source = draw.choice(words, 4, replace=False).tolist()
        pairs.append((source, draw.permutation([meaning[s] for s in source]).tolist()))
    model = of_pairs(pairs)
    for _ in range(5):
        model.iterate()
    best = model.best(SIZE, 1)
    assert {s: best[s, 0] for s in meaning} == meaning


def test_the_most_frequent_pieces_come_in_their_order() -> None:
    model = of_pairs([([4], [5, 5, 6, 5]), ([4, 4, 4], [6, 7])])
    assert model.most_frequent(2).tolist() == [5, 6]
    assert model.most_frequent(9).tolist() == [5, 6, 7]


@pytest.fixture
def data(
    pairs: list[tuple[str, str]],
    files_config: Callable[..., FilesConfig],
) -> PreparedData:
    config = TokenizerConfig(kind=TokenizerKind.unigram, vocab_size=70, byte_fallback=False)
    return prepare_data(files_config(train=pairs, valid=pairs[:9]), config, CleaningConfig())


def learn(data: PreparedData, **changed: int) -> Lexicon:
    asked = {"size": 3, "frequent": 5, "iterations": 3, **changed}
    return learn_lexicon(data.train, data.tokenizers, **asked)


def test_a_sentence_may_use_special_frequent_and_probable_pieces_and_its_own(
    data: PreparedData,
) -> None:
    found = learn(data)
    source, target = data.tokenizers.source, data.tokenizers.target
    assert {0, 1, 2, 3} < {*found.common.tolist()}
    (ids,) = source.encode(["koro zirka"])
    candidates = {*found.candidates(ids).tolist()}
    assert {*ids, *found.common.tolist()} <= candidates
    assert {*target.encode(["zirkel"])[0]} & candidates
    assert len(candidates) <= len(found.common) + len(ids) * 4
    assert {*found.candidates([]).tolist()} == {*found.common.tolist()}
    assert not {1, 2, 3} & {*found.targets.flatten().tolist()}
    assert (found.targets[:4] == PAD_ID).all()


def test_a_vocabulary_for_each_side_copies_the_pieces_that_both_have(
    pairs: list[tuple[str, str]], files_config: Callable[..., FilesConfig]
) -> None:
    config = TokenizerConfig(kind=TokenizerKind.char, vocab_size=300, joint=False)
    data = prepare_data(files_config(train=pairs, valid=pairs[:9]), config, CleaningConfig())
    source, target = data.tokenizers.source, data.tokenizers.target
    found = learn(data, size=1, frequent=0)
    ids = source.encode(["7 z"])[0]
    shared = {*source.pieces(ids)} & {*target.pieces(range(target.vocab_size))}
    assert {"7", "z"} <= shared
    candidates = np.unique(found.candidates(ids)).tolist()
    assert shared <= {*target.pieces(candidates)}
    assert max(candidates) < target.vocab_size


def test_of_a_large_corpus_evenly_spread_pairs_are_read(
    data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    read = data.train.batch

    def noted(asked: NDArray[np.int64]) -> Batch:
        rows.extend(asked.tolist())
        return read(asked)

    monkeypatch.setattr(data.train, "batch", noted)
    n_links = int((data.train.source_lengths * data.train.target_lengths).sum())
    monkeypatch.setattr(lexicon, "MOST_LINKS", -(-n_links // 3))
    learn(data)
    assert sorted(rows) == list(range(0, len(data.train), 3))


@pytest.fixture(scope="module")
def tokenizers() -> Tokenizers:
    config = TokenizerConfig(kind=TokenizerKind.char, vocab_size=280)
    return train_tokenizers([("abc def", "uvw xyz")] * 9, config)


SAVED = Lexicon(np.array([0, 1, 2, 3, 9], np.int32), np.arange(24, dtype=np.int32).reshape(8, 3))


def test_what_is_saved_is_loaded(tokenizers: Tokenizers, tmp_path: Path) -> None:
    for _ in range(2):  # what is there is replaced
        SAVED.save(tmp_path / "shortlist", tokenizers)
    assert [file.name for file in tmp_path.iterdir()] == ["shortlist"]
    found = Lexicon.load(tmp_path / "shortlist", tokenizers)
    assert found.candidates([2, 5]).tolist() == [0, 1, 2, 3, 9, 6, 7, 8, 15, 16, 17]
    assert found.common.dtype == found.targets.dtype == np.int32


@settings(max_examples=100)
@given(st.data())
def test_damage_is_one_line(
    tokenizers: Tokenizers, tmp_path_factory: pytest.TempPathFactory, drawn: st.DataObject
) -> None:
    file = tmp_path_factory.getbasetemp() / "damaged"
    SAVED.save(file, tokenizers)
    content = bytearray(file.read_bytes())
    place = drawn.draw(st.integers(0, len(content) - 1))
    if drawn.draw(st.booleans()):
        content[place] ^= drawn.draw(st.integers(1, 255))
    else:
        del content[place:]
    file.write_bytes(content)
    with pytest.raises(InputError) as raised:
        Lexicon.load(file, tokenizers)
    assert str(raised.value).startswith(f"shortlist={file} ")
    assert "\n" not in str(raised.value)


def test_a_shortlist_for_other_tokenizers_is_refused(
    tokenizers: Tokenizers, tmp_path: Path
) -> None:
    config = TokenizerConfig(kind=TokenizerKind.char, vocab_size=281)
    others = train_tokenizers([("abc def", "uvw xyz q")] * 9, config)
    SAVED.save(tmp_path / "shortlist", others)
    with pytest.raises(InputError, match="made for other tokenizers"):
        Lexicon.load(tmp_path / "shortlist", tokenizers)


@pytest.mark.parametrize("name", ["absent", "folder"])
def test_what_is_no_file_is_refused(name: str, tokenizers: Tokenizers, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="is no file"):
        Lexicon.load(tmp_path / name, tokenizers)


def test_a_place_that_cannot_be_written_is_one_line(tokenizers: Tokenizers, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^output=.* cannot be written: No such file"):
        SAVED.save(tmp_path / "absent" / "shortlist", tokenizers)
