"""From the settings of a corpus to prepared data."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch

from transformer.config import (
    CleaningConfig,
    FilesConfig,
    HubConfig,
    Leaks,
    TokenizerConfig,
    TokenizerKind,
)
from transformer.errors import InputError
from transformer.text import dataset
from transformer.text.batching import make_loader, plan_epoch
from transformer.text.dataset import PreparedData, prepare_data
from transformer.text.preparing.build import Build
from transformer.text.tokenizer import EOS_ID, PAD_ID, Tokenizers, train_tokenizers

Pairs = list[tuple[str, str]]
Write = Callable[..., FilesConfig]
EXOTIC = ("a\0b\u2028c\u0085d\te\vf\fg", "\u200fשלום 👩‍👩‍👧 x\ry ")


@pytest.fixture
def build_count(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A list that grows with each time a corpus is prepared anew."""
    folders: list[Path] = []

    def build(folder: Path, *settings: Any) -> Any:
        folders.append(folder)
        return original(folder, *settings)

    original = Build
    monkeypatch.setattr(dataset, "Build", build)
    return folders


def decoded(data: PreparedData, split: str) -> Pairs:
    """The pairs of an encoded split as text again."""
    rows = {"train": data.train, "valid": data.valid[0].encoded}[split]
    batch = rows.batch(np.arange(len(rows)))
    return list(
        zip(
            data.tokenizers.source.decode(batch.source.tolist()),
            data.tokenizers.target.decode(batch.labels.tolist()),
            strict=True,
        )
    )


def test_prepared_data_holds_the_corpus(
    files_config: Write, pairs: Pairs, char_config: TokenizerConfig
) -> None:
    config = files_config(train=pairs, valid=pairs[:9], test=pairs[9:12])
    data = prepare_data(config, char_config, CleaningConfig())
    assert decoded(data, "train") == pairs
    assert decoded(data, "valid") == pairs[:9]
    assert data.valid[0].pairs() == pairs[:9]
    assert (data.report.total, data.report.kept) == (300, 300)


@pytest.mark.parametrize("joint", [True, False])
def test_a_corpus_is_prepared_once(
    files_config: Write,
    pairs: Pairs,
    char_config: TokenizerConfig,
    build_count: list[Path],
    joint: bool,
) -> None:
    config = files_config(train=[*pairs, ("", "x")], valid=pairs[:9])
    settings = TokenizerConfig(kind=char_config.kind, joint=joint)
    first, again = (prepare_data(config, settings, CleaningConfig()) for _ in range(2))
    assert len(build_count) == 1
    assert first.folder == again.folder
    assert first.fingerprint == again.fingerprint
    assert first.report == again.report
    assert first.report.corpora["train"].dropped["empty"] == 1
    assert again.tokenizers.joint == joint
    assert decoded(first, "train") == decoded(again, "train") == pairs


def test_what_does_not_change_the_data_finds_it_again(
    tmp_path: Path,
    files_config: Write,
    pairs: Pairs,
    char_config: TokenizerConfig,
    build_count: list[Path],
) -> None:
    config = files_config(train=pairs, valid=pairs[:9])
    before = prepare_data(config, char_config, CleaningConfig()).fingerprint
    config.batch_tokens += 1
    config.workers = 1
    assert prepare_data(config, char_config, CleaningConfig()).fingerprint == before
    config.cache_dir = str(tmp_path / "other")
    assert prepare_data(config, char_config, CleaningConfig()).fingerprint == before
    assert len(build_count) == 2  # the other folder was empty


def test_what_changes_the_data_prepares_it_anew(
    files_config: Write, pairs: Pairs, char_config: TokenizerConfig
) -> None:
    config = files_config(train=pairs, valid=pairs[:9])
    seen = {prepare_data(config, char_config, CleaningConfig()).fingerprint}
    seen.add(prepare_data(config, char_config, CleaningConfig(max_pieces=100)).fingerprint)
    other = TokenizerConfig(kind=char_config.kind, vocab_size=30, byte_fallback=False)
    seen.add(prepare_data(config, other, CleaningConfig()).fingerprint)
    config = files_config(train=[*pairs, ("x", "y")], valid=pairs[:9])
    seen.add(prepare_data(config, char_config, CleaningConfig()).fingerprint)
    config = files_config(train=[*pairs, ("x", "y")], valid=pairs[:9], test=pairs[:3])
    seen.add(prepare_data(config, char_config, CleaningConfig()).fingerprint)
    assert len(seen) == 5


def test_leaks_that_stay_are_the_same_data_whether_they_are_counted_or_not(
    files_config: Write, pairs: Pairs, char_config: TokenizerConfig
) -> None:
    config = files_config(train=pairs, valid=pairs[:9])
    prints = {
        leaks: prepare_data(replace(config, leaks=leaks), char_config, CleaningConfig()).fingerprint
        for leaks in (Leaks.ignore, Leaks.warn, Leaks.remove)
    }
    assert prints[Leaks.ignore] == prints[Leaks.warn] != prints[Leaks.remove]


def test_equal_pieces_learnt_by_other_settings_have_the_same_fingerprint(
    files_config: Write, pairs: Pairs, char_config: TokenizerConfig
) -> None:
    config = files_config(train=pairs, valid=pairs[:9])
    first, second = (
        prepare_data(config, TokenizerConfig(kind=char_config.kind, seed=seed), CleaningConfig())
        for seed in (1, 2)
    )
    assert first.fingerprint == second.fingerprint
    assert first.folder != second.folder


@pytest.mark.parametrize("joint", [True, False])
def test_pieces_that_were_extended_are_the_same_data_when_they_are_taken_as_they_are(
    tmp_path: Path, files_config: Write, pairs: Pairs, joint: bool
) -> None:
    base, run = tmp_path / "base", tmp_path / "run"
    learnt = TokenizerConfig(kind=TokenizerKind.bpe, vocab_size=300, joint=joint)
    train_tokenizers(pairs, learnt).save(base / "tokenizer")
    more = [(f"{source} koromisun", f"{target} lampesonne") for source, target in pairs]
    config = files_config(train=more, valid=more[:9])
    extended = TokenizerConfig(init_from=str(base), extra_pieces=20, joint=joint)
    first = prepare_data(config, extended, CleaningConfig())
    first.tokenizers.save(run / "tokenizer")
    shutil.rmtree(base)

    taken = replace(extended, init_from=str(run), extra_pieces=0)
    again = prepare_data(config, taken, CleaningConfig())
    assert again.fingerprint == first.fingerprint
    assert again.folder != first.folder
    rows = np.arange(len(first.train))
    assert torch.equal(again.train.batch(rows).source, first.train.batch(rows).source)


def test_what_does_not_apply_to_pieces_taken_is_logged_each_time(
    tmp_path: Path,
    files_config: Write,
    pairs: Pairs,
    char_config: TokenizerConfig,
    caplog: pytest.LogCaptureFixture,
) -> None:
    train_tokenizers(pairs, char_config).save(tmp_path)
    config = files_config(train=pairs, valid=pairs[:9])
    for extra, unread in ((0, True), (0, True), (1, False), (1, False)):
        caplog.clear()
        settings = TokenizerConfig(
            init_from=str(tmp_path), extra_pieces=extra, character_coverage=1.0
        )
        if extra:
            config = files_config(train=[*pairs, ("\u0436", "\u0436")], valid=pairs[:9])
        with caplog.at_level(logging.INFO, logger="transformer"):
            prepare_data(config, settings, CleaningConfig())
        (line,) = [text for text in caplog.messages if text.startswith("taking the pieces of")]
        assert "tokenizer.kind, vocab_size, byte_fallback and normalization are theirs" in line
        assert ("sample_size and seed have no effect" in line) == unread


def test_only_training_pairs_are_cleaned_and_each_drop_is_counted(
    files_config: Write, pairs: Pairs, char_config: TokenizerConfig
) -> None:
    bad = [("", "x"), ("x", " "), pairs[0], ("long " * 60, "lang " * 60), ("a", "a b c d e f g h")]
    config = files_config(train=[*pairs, *bad], valid=bad, test=bad)
    data = prepare_data(config, char_config, CleaningConfig(max_pieces=200))
    counts = {"empty": 2, "duplicates": 1, "max_pieces": 1, "max_ratio": 1}
    assert data.report.total == 305
    assert data.report.corpora["train"].dropped == counts
    assert decoded(data, "train") == pairs
    assert data.valid[0].pairs() == bad
    assert len(data.valid[0].encoded) == len(bad)
    assert data.valid[0].encoded.source_lengths.tolist()[0] == 1  # EOS alone


def test_exotic_characters_come_through(
    files_config: Write, pairs: Pairs, char_config: TokenizerConfig
) -> None:
    config = files_config(train=[*pairs, EXOTIC], valid=[EXOTIC], test=[EXOTIC])
    data = prepare_data(config, char_config, CleaningConfig())
    assert data.valid[0].pairs() == [EXOTIC]
    (valid,) = decoded(data, "valid")
    assert valid == (EXOTIC[0], EXOTIC[1].replace("\r", " ").strip(" "))
    assert decoded(data, "train")[-1] == valid


def test_batches_hold_the_encoded_text(
    files_config: Write, pairs: Pairs, char_config: TokenizerConfig
) -> None:
    data = prepare_data(files_config(train=pairs, valid=pairs[:9]), char_config, CleaningConfig())
    lengths = data.train.source_lengths, data.train.target_lengths
    plan = plan_epoch(*lengths, 1_000, 1, 1)
    for workers in (0, 2):
        read: Pairs = []
        for batch in make_loader(data.train, plan, workers=workers):
            sources = data.tokenizers.source.decode(batch.source.tolist())
            read += zip(sources, data.tokenizers.target.decode(batch.labels.tolist()), strict=True)
            assert batch.n_target_tokens == int((batch.labels != PAD_ID).sum())
        assert sorted(read) == sorted(pairs)


def diagonal(pairs: Pairs) -> list[str]:
    """Alignments of pairs with equal numbers of words, word by word."""
    return [" ".join(f"{i}-{i}" for i in range(len(source.split()))) for source, _ in pairs]


@pytest.mark.parametrize("joint", [True, False])
def test_alignments_stay_with_their_pairs(
    tmp_path: Path,
    files_config: Write,
    pairs: Pairs,
    char_config: TokenizerConfig,
    joint: bool,
) -> None:
    # Each rule of cleaning drops a pair, and so must it the alignment.
    bad = [("", "x"), pairs[0], ("long " * 60, "lang " * 60), ("a", "a b c d e f g h")]
    rows = [pair for i, pair in enumerate(pairs) for pair in (*bad[i % 99 : i % 99 + 1], pair)]
    lines = [
        "" if not source or (source, target) in bad else line
        for (source, target), line in zip(rows, diagonal(rows), strict=True)
    ]
    lines[1] = diagonal(pairs)[0]
    config = files_config(train=rows, valid=pairs[:9])
    (tmp_path / "train.links").write_text("".join(f"{line}\n" for line in lines))
    config.alignment = "links"
    cleaning = CleaningConfig(max_pieces=200)
    data = prepare_data(config, TokenizerConfig(kind=char_config.kind, joint=joint), cleaning)
    assert decoded(data, "train") == pairs
    assert not data.valid[0].encoded.aligned

    batch = data.train.batch(np.arange(len(pairs)))
    assert batch.links is not None
    words = []
    for side, ids in (("source", batch.source), ("target", batch.labels)):
        tokenizer = getattr(data.tokenizers, side)
        marks = [[piece[0] == "\u2581" for piece in tokenizer.pieces(row)] for row in ids.tolist()]
        words.append(np.cumsum(marks, axis=1) - 1)  # the word of each character
    rows_, targets, sources = batch.links.T.numpy()
    assert (words[0][rows_, sources] == words[1][rows_, targets]).all()
    for ids, places in ((batch.source, sources), (batch.labels, targets)):
        linked = np.zeros(ids.shape, dtype=np.bool_)
        linked[rows_, places] = True
        assert (linked == (ids.numpy() > EOS_ID)).all()  # all but EOS and padding


def test_alignments_are_prepared_apart_from_the_same_text_without(
    tmp_path: Path,
    files_config: Write,
    pairs: Pairs,
    char_config: TokenizerConfig,
    build_count: list[Path],
) -> None:
    config = files_config(train=pairs, valid=pairs[:9])
    plain = prepare_data(config, char_config, CleaningConfig())
    config.alignment = "links"
    (tmp_path / "train.links").write_text("".join(f"{line}\n" for line in diagonal(pairs)))
    aligned = [prepare_data(config, char_config, CleaningConfig()) for _ in range(2)]
    assert len(build_count) == 2
    assert aligned[0].fingerprint == aligned[1].fingerprint != plain.fingerprint
    config.alignment = None
    assert prepare_data(config, char_config, CleaningConfig()).fingerprint == plain.fingerprint
    assert not plain.train.aligned
    assert plain.train.batch(np.arange(3)).links is None


def test_no_training_pair_left_is_an_input_error(
    files_config: Write, pairs: Pairs, char_config: TokenizerConfig
) -> None:
    config = files_config(train=[("", "x")] * 3, valid=pairs[:9])
    with pytest.raises(InputError, match="no training pair is left of 3: 3 by empty"):
        prepare_data(config, char_config, CleaningConfig())
    config = files_config(train=pairs, valid=pairs[:9])
    with pytest.raises(InputError, match=r"of 300: 300 by max_pieces"):
        prepare_data(config, char_config, CleaningConfig(max_pieces=2))


def test_bad_input_leaves_nothing_behind(
    tmp_path: Path, files_config: Write, pairs: Pairs, char_config: TokenizerConfig
) -> None:
    config = files_config(train=pairs, valid=pairs[:9])
    with Path(f"{config.valid}.yy").open("a") as file:
        file.write("one more\n")
    with pytest.raises(InputError, match=r"^data\.valid=.*valid\.xx has 9 lines but .* has 10"):
        prepare_data(config, char_config, CleaningConfig())
    config = files_config(train=pairs, valid=pairs[:9])
    with pytest.raises(InputError, match="too large"):
        prepare_data(config, TokenizerConfig(), CleaningConfig())
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".lock"}


def test_a_damaged_cache_is_prepared_again(
    files_config: Write, pairs: Pairs, char_config: TokenizerConfig, build_count: list[Path]
) -> None:
    config = files_config(train=pairs, valid=pairs[:9])
    folder = prepare_data(config, char_config, CleaningConfig()).folder
    for count, file in enumerate(sorted(folder.glob("*-0.*")), start=2):
        os.truncate(file, file.stat().st_size // 2)
        assert decoded(prepare_data(config, char_config, CleaningConfig()), "train") == pairs
        assert len(build_count) == count


def test_the_cache_holds_no_scratch_files(
    files_config: Write, pairs: Pairs, char_config: TokenizerConfig
) -> None:
    data = prepare_data(files_config(train=pairs, valid=pairs[:9]), char_config, CleaningConfig())
    names = {path.relative_to(data.folder).as_posix() for path in data.folder.rglob("*")}
    ids = {
        f"{split}{ending}"
        for split in ("train", "valid-0")
        for ending in (
            ".json",
            *(
                f".{side}.{part}"
                for side in ("source", "target")
                for part in ("uint16", "offsets", "lengths")
            ),
        )
    }
    assert names == ids | {
        "cleaning.json",
        "making.json",
        "manifest.json",
        "tokenizer",
        "tokenizer/joint.model",
        "valid-0.0.txt",
        "valid-0.1.txt",
    }
    assert Tokenizers.load(data.folder / "tokenizer").joint


def test_a_set_on_disk_is_prepared_without_a_copy_elsewhere(
    tmp_path: Path, pairs: Pairs, char_config: TokenizerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "elsewhere"))
    columns = {"xx": [source for source, _ in pairs], "yy": [target for _, target in pairs]}
    datasets.Dataset.from_dict(columns).to_json(str(tmp_path / "set.json"))
    config = HubConfig(
        source="xx",
        target="yy",
        path=str(tmp_path / "set.json"),
        train="train[9:]",
        valid="train[:9]",
        test=None,
        cache_dir=str(tmp_path / "cache"),
    )
    data = prepare_data(config, char_config, CleaningConfig())
    assert decoded(data, "train") == pairs[9:]
    assert decoded(data, "valid") == pairs[:9]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "set.json"]
    assert len(list((tmp_path / "cache").iterdir())) == 2  # the data and its lock


SCRIPT = """
import sys
from transformer.config import CleaningConfig, FilesConfig, TokenizerConfig, TokenizerKind
from transformer.text.dataset import prepare_data
train, valid, cache = sys.argv[1:]
config = FilesConfig(source="xx", target="yy", train=train, valid=valid, cache_dir=cache)
tokenizer = TokenizerConfig(kind=TokenizerKind.char, vocab_size=400)
data = prepare_data(config, tokenizer, CleaningConfig())
print(data.fingerprint, len(data.train))
"""


def test_two_processes_may_prepare_at_once(files_config: Write, pairs: Pairs) -> None:
    config = files_config(train=pairs, valid=pairs[:9])
    command = [sys.executable, "-c", SCRIPT, config.train, config.valid, str(config.cache_dir)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert outputs[0] == outputs[1]
    assert outputs[0][0].split()[1] == "300"
    assert "9 training pairs hold text of the validation or test sets" in outputs[0][1]
