"""A reader for each corpus of the settings."""

import errno
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from transformer.config import (
    ContextConfig,
    CorpusFormat,
    FilesConfig,
    PhrasebookConfig,
)
from transformer.errors import InputError
from transformer.text import corpus
from transformer.text.corpus import (
    SPLITS,
    NamedReader,
    PreparedReader,
    Reader,
    open_corpora,
    text_sets,
)

SIZES = {"train": 5, "valid": 3, "test": 4}
READERS = {
    "tsv": ("tsv", "TsvReader"),
    "csv": ("csv", "CsvReader"),
    "json": ("jsonl", "JsonlReader"),
    "jsonl": ("jsonl", "JsonlReader"),
    "ndjson": ("jsonl", "JsonlReader"),
    "parquet": ("parquet", "ParquetReader"),
    "tmx": ("tmx", "TmxReader"),
    "xlf": ("xliff", "XliffReader"),
    "xliff": ("xliff", "XliffReader"),
    "po": ("po", "PoReader"),
    "mo": ("po", "PoReader"),
}


def settings(train: Any, **others: Any) -> FilesConfig:
    return FilesConfig(**{"source": "en", "target": "de", "train": train, "valid": "x", **others})


def opened(train: Any, scratch: Path | None = None, **others: Any) -> Reader:
    (found,) = open_corpora(settings(train, **others), "train", scratch)
    return found.reader


def kind_of(reader: Reader) -> str:
    return type(reader.inner if isinstance(reader, NamedReader) else reader).__name__


def write(stem: Path, **sides: str) -> str:
    for ending, text in sides.items():
        stem.with_name(f"{stem.name}.{ending}").write_text(text, encoding="utf-8")
    return str(stem)


@pytest.mark.parametrize("ending", READERS)
def test_the_ending_of_a_name_chooses_the_format_and_a_setting_before_it(
    tmp_path: Path, ending: str
) -> None:
    form, reader = READERS[ending]
    for name in (f"a.{ending}", f"a.{ending.upper()}", f"a.{ending}.gz", f"a.b.{ending}.zst"):
        assert kind_of(opened(str(tmp_path / name))) == reader
    assert kind_of(opened({"path": str(tmp_path / "a.txt"), "format": form})) == reader
    assert kind_of(opened(str(tmp_path / "a.txt"), format=CorpusFormat(form))) == reader
    # The stem of two files may end like a table.
    stem = write(tmp_path / f"b.{ending}", en="x\n", de="y\n")
    assert kind_of(opened(stem)) == "PlainReader"


def test_what_is_in_a_folder_chooses_the_format(tmp_path: Path) -> None:
    (tmp_path / "moses").mkdir()
    write(tmp_path / "moses" / "a", en="x\n", de="y\n", json="{}")
    (tmp_path / "tables" / "data").mkdir(parents=True)
    write(tmp_path / "tables" / "data" / "train", jsonl='{"en": "a", "de": "b"}')
    (tmp_path / "saved").mkdir()
    write(tmp_path / "saved" / "state", json="{}")
    (tmp_path / "prepared").mkdir()
    write(tmp_path / "prepared" / "manifest", json="{}")
    (tmp_path / "empty").mkdir()
    kinds = {"moses": "PlainReader", "tables": "HubReader", "saved": "HubReader"}
    for name, kind in {**kinds, "prepared": "PreparedReader"}.items():
        assert kind_of(opened(str(tmp_path / name))) == kind
    with pytest.raises(InputError, match=r"^data\.train=.*empty: .* no pair of files"):
        opened(str(tmp_path / "empty"))


def test_a_stem_that_is_not_there_is_named_with_its_setting(tmp_path: Path) -> None:
    stem = tmp_path / "a"
    with pytest.raises(InputError) as error:
        opened(str(stem))
    assert str(error.value) == f"data.train={stem}: {stem}.en does not exist"
    stem.write_text("a\tb\n")
    with pytest.raises(InputError, match=r"a\.en does not exist; .* as in format=tsv$"):
        opened(str(stem))


def test_an_error_of_any_use_begins_with_the_setting(tmp_path: Path) -> None:
    path = str(tmp_path / "a.tsv")
    uses: list[Callable[[Reader], Any]] = [
        lambda reader: reader.fingerprint,
        lambda reader: reader.n_bytes,
        lambda reader: list(reader.columns(5)),
    ]
    for use in uses:
        with pytest.raises(InputError, match=f"^data.train={path}: {path} "):
            use(opened(path))


def test_several_corpora_keep_their_order_and_settings(tmp_path: Path) -> None:
    first = write(tmp_path / "a", en="1\n", de="2\n", fr="3\n")
    table = str(tmp_path / "b.tsv")
    Path(table).write_text("4\t5\n")
    train = [{"path": first, "target": "fr", "weight": 2}, table, {"path": first, "name": "again"}]
    corpora = open_corpora(settings(train), "train")
    assert [list(each.reader.columns(9)) for each in corpora] == [
        [(["1"], ["3"])],
        [(["4"], ["5"])],
        [(["1"], ["2"])],
    ]
    assert [each.config.label for each in corpora] == ["a", "b.tsv", "again"]
    assert corpora[0].config.direction == ("en", "fr")
    assert open_corpora(settings(train), "test") == []


def test_standard_input_is_a_table_that_is_kept_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give(content: bytes) -> None:
        corpus._spooled.cache_clear()  # a process has one standard input
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    prints = set()
    for text in ("a\tb\n", "a\tb\n", "a\tc\n"):
        give(text.encode())
        reader = opened("-", tmp_path)
        for _ in range(2):
            assert list(reader.columns(5)) == [(["a"], [text[2]])]
        prints.add(reader.fingerprint)
    assert len(prints) == 2
    give(b'{"en": "a", "de": "b"}')
    reader = opened({"path": "-", "format": "jsonl"})
    assert list(reader.columns(5)) == [(["a"], ["b"])]
    give(b"")
    with pytest.raises(InputError, match=r"^data\.train=-: standard input is empty"):
        opened("-", tmp_path)
    with pytest.raises(InputError, match="format=plain cannot be read from standard input"):
        opened({"path": "-", "format": "plain"})


def test_what_was_prepared_is_known_by_its_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^data\.train=.*manifest\.json cannot be read"):
        opened({"path": str(tmp_path), "format": "prepared"})
    prints = []
    for content in ("{}", "{ }", "{}"):
        (tmp_path / "manifest.json").write_text(content)
        reader = opened(str(tmp_path))
        assert isinstance(reader, PreparedReader)
        assert reader.path == tmp_path
        assert reader.n_bytes is None
        prints.append(reader.fingerprint)
    assert prints[0] == prints[2] != prints[1]
    with pytest.raises(AssertionError):
        reader.columns(5)


def test_the_phrasebook_among_files_is_an_input_error() -> None:
    with pytest.raises(InputError, match="format=phrasebook goes with data=phrasebook alone"):
        opened({"path": "a", "format": "phrasebook"})


def test_text_sets_hold_the_rows_of_a_split(tmp_path: Path) -> None:
    valid = write(tmp_path / "a", en="1\n\n2\n", de="x\n\ny\n")
    turned = {"path": valid, "name": "b", "source": "de", "target": "en"}
    sets = text_sets(settings("unused", valid=[valid, turned]), "valid")
    assert [each.name for each in sets] == ["a", "b"]
    assert [(each.source, each.target) for each in sets] == [("en", "de"), ("de", "en")]
    assert sets[0].sources == sets[1].references == ["1", "", "2"]
    assert sets[0].documents is None
    context = ContextConfig(source=2)
    (found,) = text_sets(settings("unused", valid=valid, context=context), "valid")
    assert found.rows == [("1", "x", "1"), ("2", "y", "2")]
    assert found.documents == ["1", "2"]


def test_the_phrasebook_has_as_many_pairs_as_its_settings_say() -> None:
    config = PhrasebookConfig(train_size=5, valid_size=3, test_size=4)
    for split in SPLITS:
        (corpus,) = open_corpora(config, split)
        runs = list(corpus.reader.columns(2))
        assert [len(run[0]) for run in runs] == [2] * (SIZES[split] // 2) + [1] * (SIZES[split] % 2)
        assert corpus.reader.fields == ("source", "target")
    config.context = ContextConfig(source=1)
    (corpus,) = open_corpora(config, "test")
    assert corpus.reader.fields == ("source", "target", "document")
    assert [run[2] for run in corpus.reader.columns(9)] == [["1"] * 4]


def test_the_fingerprint_of_the_phrasebook_follows_its_settings() -> None:
    def fingerprint(config: PhrasebookConfig, split: str = "train") -> str:
        return open_corpora(config, split)[0].reader.fingerprint

    same = {fingerprint(PhrasebookConfig()), fingerprint(PhrasebookConfig(valid_size=7))}
    assert len(same) == 1
    others = [
        PhrasebookConfig(source="de", target="en"),
        PhrasebookConfig(target="zh"),
        PhrasebookConfig(seed=2),
        PhrasebookConfig(train_size=7),
    ]
    prints = {fingerprint(config) for config in others} | {fingerprint(others[0], "valid")}
    assert len(prints) == len(others) + 1
    assert not same & prints


def test_nothing_heavy_is_imported_where_no_corpus_needs_it(tmp_path: Path) -> None:
    stem = write(tmp_path / "a", en="1\n", de="x\n")
    program = (
        "import sys\n"
        "from transformer.config import FilesConfig\n"
        "from transformer.text.corpus import text_sets\n"
        f"data = FilesConfig(source='en', target='de', train='x', valid={stem!r})\n"
        "assert len(text_sets(data, 'valid')[0].rows) == 1\n"
        "assert not {'torch', 'datasets', 'polib', 'pandas'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("path", "reason"),
    [("~nobody-of-this-name/a", "no such user"), ("a" * 300, "name too long")],
)
def test_a_path_of_nothing_is_an_input_error(path: str, reason: str) -> None:
    with pytest.raises(InputError, match=rf"^data\.train=.*{reason}"):
        opened(path)


def test_a_pipe_is_an_input_error_since_it_is_read_only_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tsv")
    with pytest.raises(InputError, match=r"give data\.train=- for standard input"):
        _ = opened(str(tmp_path / "pipe.tsv")).fingerprint


@pytest.mark.parametrize("setting", ["config", "split", "revision", "streaming"])
def test_a_setting_of_the_hub_is_refused_for_files(tmp_path: Path, setting: str) -> None:
    path = write(tmp_path / "a", en="a\n", de="b\n")
    value = True if setting == "streaming" else "x"
    with pytest.raises(InputError, match=rf"^data\.train=.*: {setting}={value} is for sets of the"):
        opened({"path": path, setting: value})


def test_blank_lines_alone_are_no_documents(tmp_path: Path) -> None:
    reader = opened(write(tmp_path / "a", en=" \n\n", de="\n\n"), context=ContextConfig(source=1))
    with pytest.raises(InputError, match=r"^data\.train=.*: .*a\.en holds no sentence"):
        list(reader.columns(5))


def test_standard_input_that_cannot_be_kept_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def read(self, _: int) -> bytes:
            raise OSError(errno.ENOSPC, "No space left on device")

    corpus._spooled.cache_clear()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Full()))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(InputError, match=r"^data\.train=-: .*No space left on device; TMPDIR"):
        opened("-")
