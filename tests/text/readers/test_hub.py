"""Parallel text through the `datasets` library."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transformer.config import ContextConfig, FilesConfig, HubConfig
from transformer.errors import InputError
from transformer.text.corpus import Reader, open_corpora
from transformer.text.readers.hub import HubReader

PAIRS = [(f"hello {i}", f"hallo {i}") for i in range(20)]


def nested(pairs: list[tuple[str, str]]) -> datasets.Dataset:
    return datasets.Dataset.from_list([{"translation": {"en": s, "de": t}} for s, t in pairs])


def flat(pairs: list[tuple[str, str]]) -> datasets.Dataset:
    return datasets.Dataset.from_dict({"en": [s for s, _ in pairs], "de": [t for _, t in pairs]})


def save_folder(path: Path) -> None:
    sets = {"train": nested(PAIRS), "validation": nested(PAIRS[:3]), "test": nested(PAIRS[3:5])}
    datasets.DatasetDict(sets).save_to_disk(str(path))


def save_parquet(path: Path) -> None:
    path.mkdir()
    nested(PAIRS).to_parquet(str(path / "train.parquet"))
    nested(PAIRS[:3]).to_parquet(str(path / "validation.parquet"))
    flat(PAIRS[3:5]).select([]).to_csv(str(path / ".ignored.csv"))
    nested(PAIRS[3:5]).to_parquet(str(path / "test.parquet"))


def save_json(path: Path) -> None:
    path.mkdir()
    for split, pairs in (("train", PAIRS), ("validation", PAIRS[:3]), ("test", PAIRS[3:5])):
        rows = [json.dumps({"en": s, "de": t, "id": 7}) for s, t in pairs]
        (path / f"{split}.jsonl").write_text("\n".join(rows))


def save_csv(path: Path) -> None:
    path.mkdir()
    for split, pairs in (("train", PAIRS), ("validation", PAIRS[:3]), ("test", PAIRS[3:5])):
        flat(pairs).to_csv(str(path / f"{split}.csv"))


@dataclass
class Sets:
    """The splits of a set by the settings of `data=hub`."""

    config: HubConfig
    scratch: Path

    def reader(self, split: str) -> Reader:
        (corpus,) = open_corpora(self.config, split, self.scratch)
        return corpus.reader

    def rows(self, split: str) -> list[tuple[str, ...]]:
        if not self.config.corpora(split):
            return []
        runs = self.reader(split).columns(7)
        return [row for run in runs for row in zip(*run, strict=True)]

    @property
    def fingerprint(self) -> str:
        return self.reader("train").fingerprint


def corpus(path: Path | str, scratch: Path, **settings: Any) -> Sets:
    settings = {"source": "en", "target": "de", **settings}
    return Sets(HubConfig(path=str(path), **settings), scratch)


@pytest.fixture(autouse=True)
def quiet(capfd: pytest.CaptureFixture[str]) -> Any:
    """Nothing that a reader does may show on a terminal."""
    datasets.disable_progress_bars()  # of what the test itself writes
    yield
    datasets.enable_progress_bars()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("save", [save_folder, save_parquet, save_json, save_csv])
def test_a_local_set_gives_its_pairs_by_split(tmp_path: Path, save: Callable[[Path], None]) -> None:
    save(tmp_path / "set")
    datasets.enable_progress_bars()
    read = corpus(tmp_path / "set", tmp_path / "scratch")
    assert read.rows("train") == PAIRS
    assert read.rows("valid") == PAIRS[:3]
    assert read.rows("test") == PAIRS[3:5]
    swapped = corpus(tmp_path / "set", tmp_path / "scratch", source="de", target="en")
    assert swapped.rows("valid") == [(t, s) for s, t in PAIRS[:3]]


@pytest.mark.parametrize("suffix", ["parquet", "json", "jsonl", "csv"])
def test_a_single_file_is_split_by_slices(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"set.{suffix}"
    writer = {"parquet": "to_parquet", "csv": "to_csv"}.get(suffix, "to_json")
    getattr(flat(PAIRS), writer)(str(file))
    slices = {"train": "train[:15]", "valid": "train[15:18]", "test": "train[90%:]+train[:1]"}
    read = corpus(file, tmp_path / "scratch", **slices)
    assert read.rows("train") == PAIRS[:15]
    assert read.rows("valid") == PAIRS[15:18]
    assert read.rows("test") == [*PAIRS[18:], PAIRS[0]]


def test_a_saved_set_without_splits_is_called_train(tmp_path: Path) -> None:
    flat(PAIRS).save_to_disk(str(tmp_path / "set"))
    read = corpus(tmp_path / "set", tmp_path, valid="train[:2]", test=None)
    assert read.rows("train") == PAIRS
    assert read.rows("test") == []


def test_columns_can_be_named(tmp_path: Path) -> None:
    sets = flat(PAIRS).rename_columns({"en": "premise", "de": "Satz"})
    sets.save_to_disk(str(tmp_path / "set"))
    columns = {"source_column": "premise", "target_column": "Satz"}
    assert corpus(tmp_path / "set", tmp_path, **columns).rows("train") == PAIRS


def test_text_comes_through_but_line_ends_and_missing_text(tmp_path: Path) -> None:
    text = ["null", "NA", "", "a\tb", "u\u2028v", "☃ \u200fשלום", "x\0y"]
    pairs = [(line, line) for line in text]
    flat([*pairs, ("two\nlines", "two\r\nlines"), (None, "x")]).to_parquet(  # type: ignore[list-item]
        str(tmp_path / "set.parquet")
    )
    read = corpus(tmp_path / "set.parquet", tmp_path / "scratch")
    assert read.rows("train") == [*pairs, ("two lines", "two  lines"), ("", "x")]


def test_words_that_tables_take_for_missing_are_kept(tmp_path: Path) -> None:
    pairs = [("null", "Null"), ("NA", "nan"), ("yes", "ja")]
    flat(pairs).to_csv(str(tmp_path / "set.csv"))
    assert corpus(tmp_path / "set.csv", tmp_path / "scratch").rows("train") == pairs


def test_no_copy_is_made_outside_the_scratch_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_parquet(tmp_path / "set")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "elsewhere"))
    read = corpus(tmp_path / "set", tmp_path / "scratch")
    assert read.fingerprint  # needs no copy at all
    assert not (tmp_path / "scratch").exists()
    assert read.rows("train") == PAIRS
    assert (tmp_path / "scratch").exists()
    assert not (tmp_path / "elsewhere").exists()


def test_the_fingerprint_follows_content_and_choice(tmp_path: Path) -> None:
    save_json(tmp_path / "set")
    before = corpus(tmp_path / "set", tmp_path).fingerprint
    assert corpus(tmp_path / "set", tmp_path).fingerprint == before
    for choice in ({"train": "train[:5]"}, {"source": "de", "target": "en"}):
        assert corpus(tmp_path / "set", tmp_path, **choice).fingerprint != before
    with (tmp_path / "set" / "train.jsonl").open("a") as file:
        file.write('\n{"en": "more", "de": "mehr", "id": 7}')
    assert corpus(tmp_path / "set", tmp_path).fingerprint != before


def test_a_name_is_loaded_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def load(*arguments: Any, **named: Any) -> datasets.DatasetDict:
        calls.append((arguments, named))
        return datasets.DatasetDict(train=nested(PAIRS), validation=nested(PAIRS[:n_valid]))

    monkeypatch.setattr(datasets, "load_dataset", load)
    n_valid = 2
    settings = {"name": "de-en", "revision": "main", "test": None}
    read = corpus("someone/books", tmp_path, **settings)
    assert read.rows("train") == PAIRS
    assert calls == [(("someone/books", "de-en"), {"revision": "main"})]
    same = corpus("someone/books", tmp_path, **settings)
    assert same.fingerprint == read.fingerprint
    before = [read.reader(split).fingerprint for split in ("train", "valid")]
    n_valid = 3
    after = [read.reader(split).fingerprint for split in ("train", "valid")]
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_the_fingerprint_of_a_cached_set_is_of_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any, **__: Any) -> datasets.DatasetDict:
        return cached

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(HubReader, "columns", None)  # the rows themselves are not looked at
    prints = []
    for i, pairs in enumerate((PAIRS, PAIRS, PAIRS[1:])):
        datasets.DatasetDict(train=flat(pairs)).save_to_disk(str(tmp_path / f"{i}"))
        cached = datasets.load_from_disk(str(tmp_path / f"{i}"))
        assert cached["train"].cache_files
        prints.append(corpus("someone/books", tmp_path).fingerprint)
    assert prints[0] == prints[1] != prints[2]
    assert corpus("someone/books", tmp_path, train="train[:5]").fingerprint != prints[2]


# The library leaves a table open where it is not read to its end.
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("save", [save_folder, save_parquet, save_json, save_csv])
def test_a_streamed_set_gives_the_same_rows(tmp_path: Path, save: Callable[[Path], None]) -> None:
    save(tmp_path / "set")
    slices = {"train": "train[3:15]+test", "valid": "validation[1:]", "test": "train[:4]"}
    read = corpus(tmp_path / "set", tmp_path / "scratch", **slices)
    streamed = corpus(tmp_path / "set", tmp_path / "scratch", **slices, streaming=True)
    for split in slices:
        assert streamed.rows(split) == read.rows(split)


def test_streaming_makes_no_copy_and_reads_no_more_than_is_asked_for(tmp_path: Path) -> None:
    save_json(tmp_path / "set")
    with (tmp_path / "set" / "train.jsonl").open("a") as file:
        file.write("\n{junk")
    read = corpus(
        tmp_path / "set", tmp_path / "scratch", train="test", valid="validation", streaming=True
    )
    assert read.rows("train") == PAIRS[3:5]
    assert not list((tmp_path / "scratch").rglob("*.arrow"))


@pytest.mark.parametrize("name", ["train[:10%]", "train[-5:]", "train[:x]", "train[1:2", ""])
def test_a_stream_is_sliced_by_numbers_of_rows_alone(tmp_path: Path, name: str) -> None:
    save_json(tmp_path / "set")
    read = corpus(tmp_path / "set", tmp_path, valid=name or "+", streaming=True)
    with pytest.raises(InputError, match=r"^data\.valid=[^\n]*$"):
        read.rows("valid")


def test_a_streamed_split_that_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    save_json(tmp_path / "set")
    for name in ("dev", "train[30:]"):
        with pytest.raises(InputError, match=r"^data\.valid=[^\n]*$"):
            corpus(tmp_path / "set", tmp_path, valid=name, streaming=True).rows("valid")


def test_a_streamed_name_is_known_by_its_revision_and_warned_of_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fingerprint(**settings: Any) -> str:
        return corpus("someone/books", tmp_path, streaming=True, **settings).fingerprint

    prints = {fingerprint(revision=revision) for revision in ("a", "b", "a")}
    prints |= {fingerprint(revision="a", train="train[:9]"), fingerprint(revision="a", name="x")}
    assert len(prints) == 4
    assert not caplog.records
    reader = corpus("someone/books", tmp_path, streaming=True).reader("train")
    assert reader.fingerprint == reader.fingerprint
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_configuration_without_a_card_is_a_folder(tmp_path: Path) -> None:
    for name, pairs in (("de-en", PAIRS), ("de-fr", PAIRS[:2])):
        (tmp_path / "set" / name / "train").mkdir(parents=True)
        nested(pairs).to_parquet(str(tmp_path / "set" / name / "train" / "0000.parquet"))
    for streaming in (False, True):
        settings: dict[str, Any] = {"scratch": tmp_path / "scratch", "streaming": streaming}
        assert corpus(tmp_path / "set", name="de-en", **settings).rows("train") == PAIRS
        assert corpus(tmp_path / "set", name="de-fr", **settings).rows("train") == PAIRS[:2]
        with pytest.raises(InputError, match="no folder en-fr for that configuration"):
            corpus(tmp_path / "set", name="en-fr", **settings).rows("train")


def test_the_converted_branch_has_a_folder_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def load(*arguments: Any, **named: Any) -> datasets.DatasetDict:
        calls.append((arguments, named))
        return datasets.DatasetDict(train=nested(PAIRS))

    monkeypatch.setattr(datasets, "load_dataset", load)
    revision = "refs/convert/parquet"
    assert corpus("someone/talks", tmp_path, name="x", revision=revision).rows("train") == PAIRS
    assert calls == [(("someone/talks",), {"revision": revision, "data_dir": "x"})]


@pytest.mark.parametrize("streaming", [False, True])
def test_documents_are_a_column_or_lie_between_blank_pairs(tmp_path: Path, streaming: bool) -> None:
    pairs = [("a", "b"), (" ", ""), ("", "c"), ("d", "e"), ("", ""), ("f", "g")]
    rows = flat(pairs).add_column("talk", [7, 7, 7, 8, 8, 9])
    rows.to_parquet(str(tmp_path / "set.parquet"))
    settings = {"context": ContextConfig(source=1), "streaming": streaming}
    read = corpus(tmp_path / "set.parquet", tmp_path / "scratch", **settings)
    assert read.reader("train").fields == ("source", "target", "document")
    numbered = [("a", "b", "1"), ("", "c", "2"), ("d", "e", "2"), ("f", "g", "3")]
    assert read.rows("train") == numbered
    settings["document_column"] = "talk"
    read = corpus(tmp_path / "set.parquet", tmp_path / "scratch", **settings)
    documents = ["7", "7", "7", "8", "8", "9"]
    assert read.rows("train") == [(*pair, x) for pair, x in zip(pairs, documents, strict=True)]


def test_a_corpus_without_a_split_has_that_of_its_setting_or_the_only_one(tmp_path: Path) -> None:
    save_folder(tmp_path / "set")
    nested(PAIRS[:2]).save_to_disk(str(tmp_path / "one"))
    path, one = str(tmp_path / "set"), str(tmp_path / "one")
    data = FilesConfig(source="en", target="de", train=[path, one], valid=path, test=one)
    sizes = {
        split: [
            sum(len(run[0]) for run in c.reader.columns(100)) for c in open_corpora(data, split)
        ]
        for split in ("train", "valid", "test")
    }
    assert sizes == {"train": [20, 2], "valid": [3], "test": [2]}


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("Couldn't reach\n the hub"),
        datasets.exceptions.DatasetNotFoundError("doesn't exist"),
        ValueError("Config name is missing.\nPlease pick one among"),
        RuntimeError("Dataset scripts are no longer supported"),
    ],
)
def test_what_the_hub_refuses_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def load(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(InputError, match=r"of data\.path=someone/books: neither .*[^\n]*$"):
        corpus("someone/books", tmp_path).rows("train")


def test_an_unknown_split_names_those_there_are(tmp_path: Path) -> None:
    save_folder(tmp_path / "set")
    for name in ("dev", "train[:x]", "train[200%:]", "train[:1"):
        with pytest.raises(InputError, match=r"^data\.valid=.* there are train, validation, test$"):
            corpus(tmp_path / "set", tmp_path, valid=name).rows("valid")


def test_an_empty_split_is_an_input_error(tmp_path: Path) -> None:
    save_folder(tmp_path / "set")
    with pytest.raises(InputError, match=r"^data\.valid=train\[:0\] of .*set: .* is empty"):
        corpus(tmp_path / "set", tmp_path, valid="train[:0]").rows("valid")


def test_an_unknown_column_or_language_names_those_there_are(tmp_path: Path) -> None:
    nested(PAIRS).save_to_disk(str(tmp_path / "nested"))
    flat(PAIRS).add_column("id", list(range(len(PAIRS)))).save_to_disk(str(tmp_path / "flat"))
    cases = [
        ("nested", {"target": "fr"}, r"fr is no language .* have en, de"),
        ("nested", {"source_column": "text"}, r"source_column=text .* are translation"),
        (
            "nested",
            {"source_column": "translation", "target_column": "translation"},
            r"column translation does not hold text",
        ),
        ("flat", {"target": "fr"}, r"target_column=fr .* are en, de, id"),
        ("flat", {"target_column": "id"}, r"column id does not hold text"),
    ]
    for name, settings, message in cases:
        with pytest.raises(InputError, match=message):
            corpus(tmp_path / name, tmp_path, **settings).rows("train")


@pytest.mark.parametrize("name", ["bad.parquet", "bad.json", "bad.csv", "bad.txt", "empty"])
def test_a_file_that_is_no_set_is_an_input_error(tmp_path: Path, name: str) -> None:
    if name == "empty":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_bytes(b"{junk\xff")
    with pytest.raises(InputError, match=rf"^data\.train=.*{name}: [^\n]*$"):
        corpus(tmp_path / name, tmp_path / "scratch").rows("train")


def test_a_missing_path_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither on disk"):
        corpus(tmp_path / "no-such", tmp_path).rows("train")


def test_text_that_is_not_utf8_is_an_input_error(tmp_path: Path) -> None:
    bad = pa.array([b"\xff bad"]).view(pa.string())
    (tmp_path / "set").mkdir()
    pq.write_table(pa.table({"en": bad, "de": ["x"]}), tmp_path / "set" / "train.parquet")
    config = FilesConfig(source="en", target="de", train=str(tmp_path / "set"), valid="x")
    (corpus,) = open_corpora(config, "train", tmp_path)
    with pytest.raises(InputError, match=r"^data\.train=.*: text is not UTF-8"):
        list(corpus.reader.columns(5))
