"""Properties of cuts drawn anew."""

import io
import multiprocessing
import pickle
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
import pytest
import sentencepiece
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from sentencepiece import sentencepiece_model_pb2

from transformer.config import (
    CleaningConfig,
    FilesConfig,
    TextNormalization,
    TokenizerConfig,
    TokenizerKind,
)
from transformer.errors import InputError
from transformer.text import cutting, encoded
from transformer.text import sampling as sampling_module
from transformer.text.batching import pad
from transformer.text.dataset import EncodedSplit, PreparedData, prepare_data
from transformer.text.sampling import (
    SOURCE,
    SPACE,
    TARGET,
    Resampler,
    Sampling,
    Seeds,
    batch_of,
    build_sampling,
    check_sampling,
    sampling_seed,
    sampling_seeds,
    unpadded,
)
from transformer.text.tokenizer import EOS_ID, UNK_ID, Tokenizer, Tokenizers, train_tokenizers

proto: Any = sentencepiece_model_pb2
WORDS = ["son", "nen", "blu", "men", "topf", "lam", "pe", "lau", "fen", "kauf", "haus", "ü", "ber"]
DRAW = random.Random(5)
LINES = [
    " ".join("".join(DRAW.choices(WORDS, k=DRAW.randint(1, 3))) for _ in range(5))
    for _ in range(400)
]
SYMBOL = "<br>"
# Its letters, marks of spaces, symbols, and what nobody has seen in training.
TEXT = st.one_of(
    st.text(st.sampled_from("sonebluatpfhz  \u2581\u00e9\u00fc<br>7"), max_size=30),
    st.lists(st.sampled_from([*WORDS, SYMBOL, " ", "\u2581"]), max_size=8).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
SEED = st.integers(0, 2**64 - 1)
ALPHA = st.sampled_from([0.0, 0.1, 0.5, 1.0])


CHANGES: list[dict[str, Any]] = [
    {"vocab_size": 420},
    {"vocab_size": 160, "byte_fallback": False, "joint": False},
    {"vocab_size": 420, "normalization": TextNormalization.nmt_nfkc},
]
NAMES = [f"{kind} {number}" for kind in ("unigram", "bpe") for number in range(len(CHANGES))]


@cache
def models(name: str) -> Tokenizers:
    """The tokenizers of one of NAMES, learnt from LINES."""
    kind, number = name.split()
    config = TokenizerConfig(
        kind=TokenizerKind[kind], user_symbols=[SYMBOL], **CHANGES[int(number)]
    )
    return train_tokenizers([(line, line) for line in LINES], config)


@cache
def resampler(name: str, alpha: float) -> Resampler:
    return Resampler(models(name).source, alpha)


def altered(tokenizer: Tokenizer, change: Any) -> Tokenizer:
    """The tokenizer of the same model after `change` was made to it."""
    model = proto.ModelProto.FromString(tokenizer.model)
    change(model)
    return Tokenizer(model.SerializeToString())


def with_tag(tokenizer: Tokenizer) -> tuple[Tokenizer, int]:
    """The same with the control piece <2de>, and its id."""

    def add(model: Any) -> None:
        control = proto.ModelProto.SentencePiece.CONTROL
        model.pieces.append(proto.ModelProto.SentencePiece(piece="<2de>", score=0, type=control))

    tagged = altered(tokenizer, add)
    return tagged, tagged.ids(["<2de>"])[0]


@pytest.mark.parametrize("name", NAMES)
@given(text=TEXT, alpha=ALPHA, seed=SEED)
@example(text="  sonne  ", alpha=0.5, seed=1)
@example(text="\u2581\u2581sonne", alpha=0.5, seed=1)
@example(text=f"{SYMBOL}sonne{SYMBOL}{SYMBOL} \u2581", alpha=0.5, seed=1)
@example(text="\0 sonne \u4e2d\u6587 \x7f", alpha=0.5, seed=1)
def test_another_cut_reads_the_same(name: str, text: str, alpha: float, seed: int) -> None:
    tokenizer = models(name).source
    (ids,) = tokenizer.encode([text])
    found = resampler(name, alpha).resample(ids, seed)
    assert tokenizer.decode([found]) == tokenizer.decode([ids])
    assert not {UNK_ID} & {*found} - {*ids}


@given(st.lists(st.integers(0, 419), max_size=20), ALPHA, SEED)
def test_any_ids_read_the_same(ids: list[int], alpha: float, seed: int) -> None:
    found = resampler("unigram 0", alpha).resample(ids, seed)
    assert models("unigram 0").source.decode([found]) == models("unigram 0").source.decode([ids])


@given(text=TEXT, seed=SEED)
def test_bpe_without_dropout_cuts_as_ever_and_with_all_of_it_into_characters(
    text: str, seed: int
) -> None:
    (ids,) = models("bpe 0").source.encode([text])
    assert resampler("bpe 0", 0.0).resample(ids, seed) == ids
    found = resampler("bpe 0", 1.0).resample(ids, seed)
    pieces = [piece for id_, piece in zip(found, models("bpe 0").source.pieces(found), strict=True)]
    assert all(len(p) == 1 or p.startswith("<0x") or p == SYMBOL for p in pieces)


def test_unigram_draws_all_cuts_alike_at_0_and_by_their_probabilities_at_1() -> None:
    tokenizer = resampler("unigram 0", 0.0).tokenizer
    (ids,) = tokenizer.encode(["lampe"])
    model = proto.ModelProto.FromString(tokenizer.model)
    scores = {piece.piece: piece.score for piece in model.pieces if piece.type == 1}

    def cuts(rest: str) -> list[tuple[str, ...]]:
        if not rest:
            return [()]
        heads = [rest[:n] for n in range(1, len(rest) + 1) if rest[:n] in scores]
        return [(head, *tail) for head in heads for tail in cuts(rest[len(head) :])]

    every = cuts("\u2581lampe")
    assert len(every) > 5
    n = 4_000
    for alpha in (0.0, 0.3):
        weights = np.exp([alpha * sum(scores[piece] for piece in cut) for cut in every])
        rows = resampler("unigram 0", alpha).resample_rows(
            [ids] * n, np.arange(n).astype(np.uint64)
        )
        found = Counter(tuple(tokenizer.pieces(row)) for row in rows)
        shares = np.array([found[cut] / n for cut in every])
        assert np.abs(shares - weights / weights.sum()).max() < 0.04


@pytest.mark.parametrize("name", ["unigram 0", "bpe 0"])
def test_tags_bytes_unknown_pieces_and_symbols_stay_where_they_are(name: str) -> None:
    tokenizer, tag = with_tag(models(name).source)
    (ids,) = tokenizer.encode([f"sonnenblumen {SYMBOL} lampe \u4e2d haus"])
    ids = [tag, *ids, UNK_ID, tag, tag, *ids]
    sampler = Resampler(tokenizer, 0.5 if name.startswith("bpe") else 0.0)
    kept = {tag, UNK_ID, *tokenizer.ids([SYMBOL, "<0xE4>", "<0xB8>", "<0xAD>"])}
    for seed in range(20):
        found = sampler.resample(ids, seed)
        assert [i for i in found if i in kept] == [i for i in ids if i in kept]
        assert tokenizer.decode([found]) == tokenizer.decode([ids])
        assert found[0] == tag
    assert len({tuple(sampler.resample(ids, seed)) for seed in range(20)}) > 10


@pytest.mark.parametrize(("name", "alpha"), [("unigram 1", 0.0), ("bpe 1", 0.7)])
def test_what_only_an_unknown_piece_could_spell_otherwise_stays(name: str, alpha: float) -> None:
    tokenizer = models(name).source
    unused = proto.ModelProto.SentencePiece.UNUSED

    def without_o(model: Any) -> None:
        for piece in model.pieces:
            if piece.piece in ("o", "\u2581o"):
                piece.type = unused

    lacking = altered(tokenizer, without_o)
    (ids,) = lacking.encode(["sonne"])
    assert UNK_ID not in ids
    sampler = Resampler(lacking, alpha)
    for seed in range(50):
        assert lacking.decode([sampler.resample(ids, seed)]) == lacking.decode([ids])


@given(
    rows=st.lists(st.integers(0, len(LINES) - 1), min_size=1, max_size=12),
    epoch=st.integers(0, 3),
    before=st.lists(SEED, max_size=3),
    name=st.sampled_from(["unigram 0", "bpe 0"]),
)
def test_a_cut_depends_on_seed_epoch_row_and_side_alone(
    rows: list[int], epoch: int, before: list[int], name: str
) -> None:
    tokenizer = models(name).source
    sampler = resampler(name, 0.5)
    for seed in before:  # what others draw
        sampler.resample(tokenizer.encode([LINES[0]])[0], seed)
    ids = tokenizer.encode([LINES[row] for row in rows])
    for side in (SOURCE, TARGET):
        found = sampler.resample_rows(ids, sampling_seeds(7, epoch, np.array(rows), side))
        for row, each, cut in zip(rows, ids, found, strict=True):
            assert cut == sampler.resample(each, sampling_seed(7, epoch, row, side))


@pytest.mark.parametrize("name", ["unigram 0", "bpe 0"])
def test_what_is_remembered_and_made_ahead_changes_no_cut(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [[*chain(*models(name).source.encode(LINES[i : i + 9]))] for i in range(0, 90, 9)]
    seeds = sampling_seeds(1, 1, np.arange(len(rows)), SOURCE)
    expected = resampler(name, 0.5).resample_rows(rows, seeds)
    for module, values in (
        (cutting, {"WORDS": 3, "CUTS": 3}),
        (cutting, {"LONGEST": 4}),
        (cutting, {"MANY_GAPS": 0}),
        (sampling_module, {"DRAWS": 2}),
    ):
        with monkeypatch.context() as patch:
            for key, value in values.items():
                patch.setattr(module, key, value)
            fresh = Resampler(models(name).source, 0.5)
            assert fresh.resample_rows(rows, seeds) == expected


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("suffix", [False, True])
def test_pieces_that_go_beyond_words_are_found_and_cut(kind: str, suffix: bool) -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES),
        model_writer=model,
        model_type=kind,
        vocab_size=200,
        split_by_whitespace=suffix,
        treat_whitespace_as_suffix=suffix,
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=3,
        minloglevel=3,
    )
    tokenizer = Tokenizer(model.getvalue())
    rows = tokenizer.encode(LINES[:20])
    seeds = sampling_seeds(1, 0, np.arange(20), SOURCE)
    for alpha in (0.0, 0.3):
        found = Resampler(tokenizer, alpha).resample_rows(rows, seeds)
        assert tokenizer.decode(found) == tokenizer.decode(rows)
        assert (found == rows) is (kind == "bpe" and alpha == 0)
    inner = {piece for piece in tokenizer.pieces(range(200)) if SPACE in piece[1:]}
    assert inner & {*tokenizer.pieces([*chain(*found)])}


@pytest.mark.parametrize(("name", "alpha"), [("unigram 0", 0.2), ("bpe 0", 0.3)])
def test_cuts_are_as_frequent_as_those_that_sentencepiece_draws(name: str, alpha: float) -> None:
    n = 3_000
    tokenizer = models(name).source
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model)
    for word in ("lampe", "topfhaus"):
        (ids,) = tokenizer.encode([word])
        seeds = sampling_seeds(3, 0, np.arange(n), SOURCE)
        own = Counter(map(tuple, resampler(name, alpha).resample_rows([ids] * n, seeds)))
        sampled = [
            processor.encode(word, enable_sampling=True, nbest_size=-1, alpha=alpha)
            for _ in range(n)
        ]
        others = Counter(map(tuple, sampled))
        assert len(own) > 3
        for cut in own | others:
            assert abs(own[cut] - others[cut]) < 0.07 * n


def draws(sampler: Resampler, rows: list[list[int]], seeds: Seeds) -> list[list[int]]:
    return sampler.resample_rows(rows, seeds)


def test_threads_and_other_processes_draw_the_same_cuts() -> None:
    for name in ("unigram 0", "bpe 0"):
        rows = models(name).source.encode(LINES[:50])
        sampler = resampler(name, 0.3)
        jobs = [sampling_seeds(1, epoch, np.arange(len(rows)), SOURCE) for epoch in range(6)]
        expected = [sampler.resample_rows(rows, seeds) for seeds in jobs]
        assert expected[0] != expected[1]
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda seeds, s=sampler, r=rows: draws(s, r, seeds), jobs))
        assert found == expected
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as processes:
        assert processes.apply(draws, (sampler, rows, jobs[0])) == expected[0]


def test_seeds_are_all_different_and_evenly_spread() -> None:
    rows = np.arange(20_000)
    found = [
        seed
        for epoch in range(2)
        for side in (SOURCE, TARGET)
        for seed in sampling_seeds(1, epoch, rows, side)
    ]
    assert len({*found}) == len(found)
    bits = np.array(found)[:, None] >> np.arange(64).astype(np.uint64) & np.uint64(1)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.01
    assert {*found}.isdisjoint(sampling_seeds(2, 0, rows, SOURCE))
    assert sampling_seed(2**63 - 1, 10**6, 2**40, TARGET) < 2**64


def test_a_resampler_travels_and_finds_what_it_found() -> None:
    sampler = resampler("bpe 0", 0.3)
    copy = pickle.loads(pickle.dumps(sampler))
    ids = models("bpe 0").source.encode([LINES[3]])[0]
    assert [copy.resample(ids, n) for n in range(9)] == [sampler.resample(ids, n) for n in range(9)]


def test_pieces_without_other_cuts_and_aligned_corpora_are_refused() -> None:
    config = TokenizerConfig(source_sampling=0.1, init_from="runs/A")
    other = TokenizerConfig(kind=TokenizerKind.bpe, target_sampling=0.1)
    chars = train_tokenizers(
        [(line, line) for line in LINES],
        TokenizerConfig(kind=TokenizerKind.char, vocab_size=300),
    )
    with pytest.raises(InputError, match=r"source_sampling=0\.1 .*runs/A are of kind char"):
        check_sampling(config, chars, aligned=False)
    with pytest.raises(InputError, match=r"tokenizer\.source_sampling .* not char"):
        Resampler(chars.source, 0.1)
    with pytest.raises(InputError, match=r"target_sampling=0\.1 does not go with alignments"):
        build_sampling(other, models("bpe 0"), seed=1, aligned=True)
    check_sampling(TokenizerConfig(), chars, aligned=True)
    assert build_sampling(TokenizerConfig(), chars, seed=1, aligned=True) is None


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """LINES in pieces of BPE, each with the next one."""
    folder = tmp_path_factory.mktemp("sampling")
    for name, lines in (("text.xx", LINES[1:]), ("text.yy", LINES[:-1])):
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    stem = str(folder / "text")
    data = FilesConfig(source="xx", target="yy", train=stem, valid=stem, cache_dir=str(folder))
    config = TokenizerConfig(kind=TokenizerKind.bpe, vocab_size=420)
    return prepare_data(data, config, CleaningConfig())


@given(rows=st.lists(st.integers(0, 300), min_size=1, max_size=20), no=st.booleans())
def test_a_batch_of_cuts_that_do_not_change_is_the_split_s_own(
    prepared: PreparedData, rows: list[int], no: bool
) -> None:
    expected = prepared.train.batch(np.array(rows))
    unchanged = Resampler(prepared.tokenizers.target, 0.0)
    sampling = Sampling(None if no else unchanged, unchanged, 1)
    split = EncodedSplit(prepared.folder / "train", sampling)
    found = split.batch(np.array(rows), 3)
    for name, value in vars(expected).items():
        other = getattr(found, name)
        assert torch.equal(other, value) if isinstance(value, torch.Tensor) else other == value
        assert type(other) is type(value)


@given(rows=st.lists(st.integers(0, 300), min_size=1, max_size=20), epoch=st.integers(0, 3))
def test_lengths_are_those_of_the_batch(
    prepared: PreparedData, rows: list[int], epoch: int
) -> None:
    config = TokenizerConfig(kind=TokenizerKind.bpe, source_sampling=0.3, target_sampling=0.5)
    split = prepared.sampled(config, 7).train
    assert split.sampled
    assert not prepared.train.sampled
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoded, "BLOCK", 3)
        lengths = split.lengths(np.array(rows), epoch)
    batch = pickle.loads(pickle.dumps(split)).batch(np.array(rows), epoch)
    for found, ids in zip(lengths, (batch.source, batch.labels), strict=True):
        assert found.tolist() == (ids != 0).sum(dim=1).tolist()
    stored = prepared.train.lengths(np.array(rows), epoch)
    assert [side.tolist() for side in stored] == [
        prepared.train.source_lengths[rows].tolist(),
        prepared.train.target_lengths[rows].tolist(),
    ]


def test_lists_are_what_they_were_padded_from() -> None:
    lists = [[5, 6], [], [7, 0, 9]]
    padded = pad(lists, 5).numpy()
    assert unpadded(padded, np.array([2, 0, 3])) == lists


def test_a_batch_has_another_cut_on_the_side_that_is_sampled() -> None:
    config = TokenizerConfig(kind=TokenizerKind.bpe, source_sampling=0.5)
    sampling = build_sampling(config, models("bpe 0"), seed=1, aligned=False)
    assert sampling is not None
    ids, rows = models("bpe 0").source.encode(LINES[:9]), np.arange(9)
    first, second = (batch_of(*sampling.cut(ids, ids, rows, epoch)) for epoch in range(2))
    assert torch.equal(first.labels, second.labels)
    assert not torch.equal(first.source, second.source)
    for batch in (first, second):
        texts = models("bpe 0").source.decode(batch.source.tolist())
        assert texts == models("bpe 0").source.decode(ids)
        assert batch.n_source_tokens == int((batch.source != 0).sum()) > sum(map(len, ids))
    assert sampling.source is not None
    both = Sampling(sampling.source, sampling.source, 1)
    batch = batch_of(*both.cut(ids, ids, rows, 0))
    for side, tensor in ((SOURCE, batch.source), (TARGET, batch.labels)):
        for row, found in zip(rows.tolist(), tensor.tolist(), strict=True):
            cut = sampling.source.resample(ids[row], sampling_seed(1, 0, row, side))
            assert found[: len(cut) + 1] == [*cut, EOS_ID]
