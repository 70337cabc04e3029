"""From corpora of several kinds to prepared data, whatever the number of processes and stops."""

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.text.preparing.conftest import Pairs, files, shown, write
from transformer.config import (
    CleaningConfig,
    ContextConfig,
    Duplicates,
    FilesConfig,
    Leaks,
    LeakSide,
    TokenizerConfig,
)
from transformer.errors import InputError
from transformer.text.dataset import PreparedData, prepare_data
from transformer.text.preparing import build, clean_stage, encode_stage
from transformer.text.preparing.build import Build

LIGHT = CleaningConfig()
UNEVEN = CleaningConfig(max_ratio=None)


def content(data: PreparedData) -> tuple[Any, ...]:
    """All that training sees."""
    batch = data.train.batch(np.arange(len(data.train)))
    return (
        batch.source.tolist(),
        batch.labels.tolist(),
        data.tokenizers.digests(),
        data.report.to_dict(),
        data.leaks,
        [(part.name, part.first, part.size) for part in data.parts],
    )


@pytest.fixture
def mixed(tmp_path: Path, pairs: Pairs) -> dict[str, Any]:
    """Corpora of three forms with duplicates, of which one is blank, and a validation set."""
    write(tmp_path / "a", [*pairs[:120], pairs[3], ("", "x")])
    tsv = "".join(f"{s}\t{t}\n" for s, t in [*pairs[120:200], pairs[0]])
    (tmp_path / "b.tsv").write_text(tsv)
    objects = [{"translation": {"xx": s, "yy": t}} for s, t in pairs[200:290]]
    (tmp_path / "c.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in objects))
    write(tmp_path / "valid", pairs[290:])
    train = [str(tmp_path / "a"), {"path": str(tmp_path / "b.tsv"), "weight": 2.0}]
    return {"train": [*train, str(tmp_path / "c.jsonl")], "valid": str(tmp_path / "valid")}


@pytest.mark.usefixtures("small_chunks")
def test_corpora_of_several_forms_stand_one_after_another(
    tmp_path: Path, pairs: Pairs, mixed: dict[str, Any], char_config: TokenizerConfig
) -> None:
    data = prepare_data(files(tmp_path, **mixed), char_config, LIGHT)
    assert shown(data.train, data) == pairs[:290]
    parts = [(part.name, part.first, part.size, part.weight) for part in data.parts]
    assert parts == [("a", 0, 120, 1.0), ("b.tsv", 120, 80, 2.0), ("c.jsonl", 200, 90, 1.0)]
    report = data.report.corpora
    assert [report[name].total for name in ("a", "b.tsv", "c.jsonl")] == [122, 81, 90]
    assert report["a"].dropped["duplicates"] == report["b.tsv"].dropped["duplicates"] == 1
    assert report["a"].dropped["empty"] == 1
    assert data.report.kept == 290


@pytest.mark.usefixtures("small_chunks")
def test_the_number_of_processes_changes_nothing(
    tmp_path: Path, mixed: dict[str, Any], char_config: TokenizerConfig
) -> None:
    cleaning = CleaningConfig(whitespace=True, duplicates=Duplicates.near)
    found = [
        prepare_data(
            files(tmp_path, **mixed, prepare_processes=n, cache_dir=str(tmp_path / str(n))),
            char_config,
            cleaning,
        )
        for n in (1, 2)
    ]
    assert content(found[0]) == content(found[1])
    assert found[0].fingerprint == found[1].fingerprint


class Stop(BaseException):
    """An interruption."""


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("after", [0, 5, 10, 15, 20])
def test_an_interrupted_preparation_goes_on_where_it_stopped(
    tmp_path: Path,
    mixed: dict[str, Any],
    char_config: TokenizerConfig,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
) -> None:
    whole = prepare_data(
        files(tmp_path, **mixed, cache_dir=str(tmp_path / "whole")), char_config, LIGHT
    )
    done: list[str] = []
    stages: dict[str, Any] = {
        "cleaned": clean_stage.clean_chunk,
        "encoded": encode_stage.encode_chunk,
    }

    def counting(stage: str, *, stops: bool) -> Any:
        def work(setup: Any, task: Any) -> Any:
            if stops and len(done) == after:
                raise Stop
            done.append(stage)
            return stages[stage](setup, task)

        return work

    config = files(tmp_path, **mixed, prepare_processes=1)
    for stops in (True, False):
        monkeypatch.setattr(build, "clean_chunk", counting("cleaned", stops=stops))
        monkeypatch.setattr(build, "encode_chunk", counting("encoded", stops=stops))
        if stops and after < 20:
            with pytest.raises(Stop):
                prepare_data(config, char_config, LIGHT)
            continue
        again = prepare_data(config, char_config, LIGHT)
    assert content(again) == content(whole)
    assert sorted(done) == ["cleaned"] * 10 + ["encoded"] * 10  # nothing twice
    names = {path.name for path in (tmp_path / "cache").iterdir()}
    assert names == {again.folder.name, f"{again.folder.name}.lock"}


def stop_behind(where: str, config: FilesConfig, tokenizer: TokenizerConfig) -> None:
    """Prepare until a method of the build returns."""
    original = getattr(Build, where)

    def stop(self: Build, *arguments: Any) -> None:
        original(self, *arguments)
        raise Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Build, where, stop)
        with pytest.raises(Stop):
            prepare_data(config, tokenizer, LIGHT)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("where", ["_pieces", "_join", "_write_sets"])
def test_a_stop_between_the_stages_does_no_harm(
    tmp_path: Path,
    mixed: dict[str, Any],
    char_config: TokenizerConfig,
    where: str,
) -> None:
    whole = prepare_data(
        files(tmp_path, **mixed, cache_dir=str(tmp_path / "whole")), char_config, LIGHT
    )
    config = files(tmp_path, **mixed)
    stop_behind(where, config, char_config)
    assert content(prepare_data(config, char_config, LIGHT)) == content(whole)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("where", ["_clean", "_encode"])
def test_what_was_begun_without_rejects_is_begun_anew_where_they_are_wanted(
    tmp_path: Path,
    mixed: dict[str, Any],
    char_config: TokenizerConfig,
    where: str,
) -> None:
    config = files(tmp_path, **mixed)
    stop_behind(where, config, char_config)
    kept = replace(LIGHT, keep_rejected=str(tmp_path / "rejected.tsv"))
    report = prepare_data(config, char_config, kept).report
    assert len((tmp_path / "rejected.tsv").read_text().splitlines()) == report.dropped > 0


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    ("where", "file"),
    [
        ("_clean", "counts.json"),
        ("_clean", "000-000001.cleaned.json"),
        ("_clean", "000-000001.text.0.txt"),
        ("_encode", "000-000001.encoded.json"),
        ("_encode", "000-000001.ids.npz"),
    ],
)
@pytest.mark.parametrize("left", [0, 0.5])
def test_what_a_crash_has_damaged_is_told_and_prepared_anew(
    tmp_path: Path,
    mixed: dict[str, Any],
    char_config: TokenizerConfig,
    where: str,
    file: str,
    left: float,
) -> None:
    config = files(tmp_path, **mixed)
    stop_behind(where, config, char_config)
    (damaged,) = (tmp_path / "cache").glob(f"*.building/scratch/{file}")
    damaged.write_bytes(damaged.read_bytes()[: int(left * damaged.stat().st_size)])
    with pytest.raises(InputError, match=r"is damaged and was removed; run again"):
        prepare_data(config, char_config, LIGHT)
    assert len(prepare_data(config, char_config, LIGHT).train) == 290


def test_leaks_are_counted_by_side(
    tmp_path: Path, pairs: Pairs, char_config: TokenizerConfig, caplog: pytest.LogCaptureFixture
) -> None:
    valid = pairs[:5]
    leaky = [valid[0], (valid[1][0].upper(), "x"), ("x", f"{valid[2][1]}!")]
    train = write(tmp_path / "train", [*pairs[100:], *leaky])
    stem = write(tmp_path / "valid", valid)
    counts = {"source": 2, "target": 2, "both": 1, "either": 3}
    for mode in (Leaks.warn, Leaks.warn, Leaks.ignore):
        caplog.clear()
        found = prepare_data(files(tmp_path, train, stem, leaks=mode), char_config, UNEVEN)
        warned = [text for text in caplog.messages if text.startswith("3 training pairs hold text")]
        assert len(warned) == (mode is Leaks.warn)
        assert found.leaks == (counts if mode is Leaks.warn else {})
        assert found.report.kept == 203
    with pytest.raises(InputError, match=r"^data\.leaks=fail: 3 training pairs"):
        prepare_data(files(tmp_path, train, stem, leaks=Leaks.fail), char_config, UNEVEN)


@pytest.mark.parametrize(
    ("side", "gone"),
    [
        (LeakSide.either, [200, 201, 202]),
        (LeakSide.both, [200]),
        (LeakSide.source, [200, 201]),
        (LeakSide.target, [200, 202]),
    ],
)
def test_leaks_are_removed_by_the_side_asked_for(
    tmp_path: Path, pairs: Pairs, char_config: TokenizerConfig, side: LeakSide, gone: list[int]
) -> None:
    rows = [*pairs[100:], pairs[0], (pairs[1][0], "das"), ("ba", pairs[2][1])]
    train, valid = write(tmp_path / "train", rows), write(tmp_path / "valid", pairs[:5])
    config = files(tmp_path, train, valid, leaks=Leaks.remove, leaks_side=side)
    data = prepare_data(config, char_config, UNEVEN)
    assert shown(data.train, data) == [row for i, row in enumerate(rows) if i not in gone]
    assert data.report.corpora["train"].dropped["leak"] == len(gone)


@pytest.mark.usefixtures("small_chunks")
def test_what_is_dropped_is_kept_with_the_reason(
    tmp_path: Path, pairs: Pairs, char_config: TokenizerConfig
) -> None:
    bad = [
        ("", "x"),
        pairs[0],
        ("long " * 60, "lang " * 60),
        ("a\ta", "a b c d e f g h"),
        pairs[299],
    ]
    train = write(tmp_path / "train", [*pairs[:200], *bad])
    valid = write(tmp_path / "valid", [pairs[299]])
    file = tmp_path / "rejected.tsv"
    config = files(tmp_path, train, valid, leaks=Leaks.remove)
    plain = prepare_data(config, char_config, CleaningConfig(max_pieces=200, max_ratio=2.5))
    cleaning = CleaningConfig(max_pieces=200, max_ratio=2.5, keep_rejected=str(file))
    kept = prepare_data(config, char_config, cleaning)
    assert kept.folder == plain.folder  # made again
    rows = [line.split("\t") for line in file.read_text().splitlines()]
    expected = ["empty", "duplicates", "max_pieces", "max_ratio", "leak"]
    assert sorted((row[0], row[2]) for row in rows) == sorted(
        (reason, str(201 + i)) for i, reason in enumerate(expected)
    )
    assert {row[1] for row in rows} == {"train"}
    by_reason = {row[0]: row[3:] for row in rows}
    assert by_reason["max_ratio"] == ["a a", bad[3][1]]
    assert by_reason["leak"] == list(pairs[299])
    file.unlink()
    prepare_data(config, char_config, cleaning)  # of the cache
    assert file.exists()
    nowhere = replace(cleaning, keep_rejected=str(tmp_path / "a" / "b"))
    with pytest.raises(InputError, match=r"^cleaning\.keep_rejected=.* there is no folder"):
        prepare_data(config, char_config, nowhere)


def test_a_text_leaks_in_whatever_direction_its_language_is_read(
    tmp_path: Path, pairs: Pairs, char_config: TokenizerConfig
) -> None:
    there = write(tmp_path / "there", pairs[:60])
    back = write(tmp_path / "back", [(t, s) for s, t in pairs[55:90]], ("yy", "xx"))
    again = write(tmp_path / "again", [(t, s) for s, t in pairs[90:99]], ("zz", "ww"))
    train = [
        there,
        {"path": back, "source": "yy", "target": "xx"},
        {"path": again, "source": "zz", "target": "ww"},
    ]
    valid = write(tmp_path / "valid", [*pairs[58:62], pairs[90]])
    data = prepare_data(files(tmp_path, train, valid, leaks=Leaks.remove), char_config, LIGHT)
    dropped = {name: each.dropped["leak"] for name, each in data.report.corpora.items()}
    assert dropped == {"there": 2, "back": 4, "again": 0}  # of which the last has other languages


def test_several_directions_are_told_apart_by_tags(
    tmp_path: Path, pairs: Pairs, char_config: TokenizerConfig
) -> None:
    a = write(tmp_path / "a", pairs[:60])
    b = write(tmp_path / "b", pairs[60:99], ("xx", "zz"))
    config = files(
        tmp_path,
        [{"path": a, "tag": "bt"}, {"path": b, "target": "zz"}],
        [a, {"path": b, "target": "zz"}],
    )
    data = prepare_data(config, char_config, LIGHT)
    assert shown(data.train, data) == [
        *((f"<2yy><bt> {s}", t) for s, t in pairs[:60]),
        *((f"<2zz> {s}", t) for s, t in pairs[60:99]),
    ]
    assert [(each.name, each.language) for each in data.valid] == [("a", "yy"), ("b", "zz")]
    assert shown(data.valid[1].encoded, data) == [(f"<2zz> {s}", t) for s, t in pairs[60:99]]
    assert data.valid[1].pairs() == pairs[60:99]
    for target in ("<2yy>", "<2zz>", "<bt>"):
        assert len(data.tokenizers.source.ids([target])) == 1
    config = files(tmp_path, a, {"path": b, "target": "zz"})
    with pytest.raises(InputError, match=r"data\.valid: b has target language zz, into which"):
        prepare_data(config, char_config, LIGHT)


@pytest.mark.usefixtures("small_chunks")
def test_context_reaches_over_chunks_and_never_over_documents(
    tmp_path: Path, pairs: Pairs, char_config: TokenizerConfig
) -> None:
    rows = [*pairs[:70], ("", ""), *pairs[70:100]]
    train, valid = write(tmp_path / "train", rows), write(tmp_path / "valid", rows)
    context = ContextConfig(source=2, target=1)
    data = prepare_data(
        files(tmp_path, train, valid, context=context), char_config, CleaningConfig(max_pieces=None)
    )

    def expected(row: int, side: int, k: int) -> str:
        first = 70 if row >= 70 else 0
        return "<sep> ".join(pairs[i][side] for i in range(max(first, row - k), row + 1))

    whole = [(expected(row, 0, 2), expected(row, 1, 1)) for row in range(100)]
    assert shown(data.train, data) == whole
    assert shown(data.valid[0].encoded, data) == whole
    documents = [row[2] for row in data.valid[0].rows()]
    assert [documents.index(each) for each in documents] == [0] * 70 + [70] * 30


def test_parts_that_were_prepared_before_are_put_together(
    tmp_path: Path, pairs: Pairs, char_config: TokenizerConfig
) -> None:
    valid = write(tmp_path / "valid", pairs[290:])
    stems = [
        write(tmp_path / name, rows) for name, rows in (("a", pairs[:150]), ("b", pairs[150:290]))
    ]
    first = prepare_data(files(tmp_path, stems[0], valid), char_config, LIGHT)
    taken = TokenizerConfig(init_from=str(first.folder))
    second = prepare_data(files(tmp_path, stems[1], valid), taken, LIGHT)
    folders = [str(first.folder), {"path": str(second.folder), "weight": 3.0, "name": "later"}]
    both = prepare_data(files(tmp_path, folders, valid), TokenizerConfig(), LIGHT)
    assert shown(both.train, both) == pairs[:290]
    assert [(part.size, part.weight) for part in both.parts] == [(150, 1.0), (140, 3.0)]
    assert both.parts[1].name == "later"
    third = prepare_data(files(tmp_path, [*folders, stems[0]], valid), TokenizerConfig(), LIGHT)
    assert len(third.train) == 440
    shutil.copytree(second.folder, tmp_path / "moved")
    moved = prepare_data(
        files(tmp_path, [str(first.folder), str(tmp_path / "moved")], valid),
        TokenizerConfig(),
        LIGHT,
    )
    assert shown(moved.train, moved) == pairs[:290]


@pytest.mark.parametrize(
    ("corpus", "others", "message"),
    [
        ({"target": "zz"}, {}, "was not prepared from xx to zz but from xx to yy"),
        ({"tag": "bt"}, {}, "is encoded, but not with tag=bt"),
        ({}, {"context": ContextConfig(source=1)}, r"data\.context was {'source': 0"),
        ({}, {"more": True}, r"target languages told apart was \[\] and is \['yy', 'zz'\]"),
    ],
)
def test_parts_that_were_encoded_otherwise_are_refused(
    tmp_path: Path,
    pairs: Pairs,
    char_config: TokenizerConfig,
    corpus: dict[str, Any],
    others: dict[str, Any],
    message: str,
) -> None:
    """Though they have all pieces that are needed."""
    more = {"path": write(tmp_path / "more", pairs[200:250], ("xx", "zz")), "target": "zz"}
    stem = write(tmp_path / "a", pairs[:150])
    all_pieces = prepare_data(
        files(tmp_path, [more, {"path": stem, "tag": "bt"}], stem, context=ContextConfig(source=1)),
        char_config,
        LIGHT,
    )
    taken = TokenizerConfig(init_from=str(all_pieces.folder))
    part = prepare_data(files(tmp_path, stem, stem), taken, LIGHT)
    train = [{"path": str(part.folder), **corpus}, *([more] if others.pop("more", False) else [])]
    valid = {"path": write(tmp_path / "v", pairs[290:], ("xx", corpus.get("target", "yy")))}
    valid |= {"target": corpus["target"]} if "target" in corpus else {}
    with pytest.raises(InputError, match=rf"^data\.train=.* {message}"):
        prepare_data(files(tmp_path, train, valid, **others), taken, LIGHT)


def test_alignments_of_parts_and_corpora_are_kept_and_others_have_none(
    tmp_path: Path, pairs: Pairs, char_config: TokenizerConfig
) -> None:
    stem, plain = write(tmp_path / "a", pairs[:100]), write(tmp_path / "b", pairs[100:150])
    (tmp_path / "a.align").write_text("0-0 1-1\n" * 100)
    corpus = {"path": stem, "alignment": "align"}
    first = prepare_data(files(tmp_path, corpus, plain), char_config, LIGHT)
    taken = TokenizerConfig(init_from=str(first.folder))
    both = prepare_data(files(tmp_path, [plain, str(first.folder)], plain), taken, LIGHT)
    alone, links = (data.train.batch(np.arange(len(data.train))).links for data in (first, both))
    assert alone is not None
    assert links is not None
    assert (links[:, 0] - 50).tolist() == alone[:, 0].tolist()
    assert links[:, 1:].tolist() == alone[:, 1:].tolist()


def test_a_damaged_part_is_refused_and_so_is_one_for_validation(
    tmp_path: Path, pairs: Pairs, char_config: TokenizerConfig
) -> None:
    stem = write(tmp_path / "a", pairs[:150])
    part = str(prepare_data(files(tmp_path, stem, stem), char_config, LIGHT).folder)
    with pytest.raises(InputError, match=r"^data\.valid=.*can be trained on alone"):
        prepare_data(files(tmp_path, stem, part), char_config, LIGHT)
    (Path(part) / "train.source.uint16").write_bytes(b"1")
    with pytest.raises(InputError, match=r"^data\.train=.* is damaged"):
        prepare_data(files(tmp_path, part, stem), TokenizerConfig(), LIGHT)


def test_parts_with_other_pieces_are_refused(
    tmp_path: Path, pairs: Pairs, char_config: TokenizerConfig
) -> None:
    valid = write(tmp_path / "valid", pairs[290:])
    first, second = (
        prepare_data(files(tmp_path, write(tmp_path / name, rows), valid), char_config, LIGHT)
        for name, rows in (("a", pairs[:150]), ("b", [*pairs[150:290], ("ö", "ü")]))
    )
    config = files(tmp_path, [str(first.folder), str(second.folder)], valid)
    with pytest.raises(InputError, match=r"was prepared with other pieces; prepare all parts with"):
        prepare_data(config, TokenizerConfig(), LIGHT)


def test_progress_is_logged_where_there_is_no_terminal(
    tmp_path: Path,
    mixed: dict[str, Any],
    char_config: TokenizerConfig,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("transformer.text.preparing.progress.EVERY_S", 0.0)
    with caplog.at_level(logging.INFO, logger="transformer"):
        prepare_data(files(tmp_path, **mixed), char_config, LIGHT)
    lines = [text for text in caplog.messages if text.startswith(("cleaning: ", "encoding: "))]
    assert len(lines) >= 4
    assert all("pairs/s" in line and "min left" in line for line in lines)


def test_a_corpus_of_which_little_is_left_is_told(
    tmp_path: Path, pairs: Pairs, char_config: TokenizerConfig, caplog: pytest.LogCaptureFixture
) -> None:
    train = [
        write(tmp_path / "a", pairs[:100]),
        write(tmp_path / "b", [*pairs[:40], ("", "x"), *pairs[100:120]]),
    ]
    valid = write(tmp_path / "valid", pairs[290:])
    prepare_data(files(tmp_path, train, valid), char_config, LIGHT)
    told = [text for text in caplog.messages if "pairs are left" in text]
    assert told == []
    prepare_data(files(tmp_path, train, valid), char_config, CleaningConfig(min_words=9))
    told = [text for text in caplog.messages if "pairs are left" in text]
    assert [text.partition(":")[0] for text in told] == ["a", "b"]
    assert "by min_words" in told[0]
