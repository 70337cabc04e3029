"""Parallel text through the `datasets` library."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from transformer.config import HubConfig
from transformer.errors import InputError
from transformer.text.hub import HubCorpus

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


def corpus(path: Path | str, scratch: Path, **settings: Any) -> HubCorpus:
    settings = {"source": "en", "target": "de", **settings}
    return HubCorpus(HubConfig(path=str(path), **settings), scratch)


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
    assert list(read.pairs("train")) == PAIRS
    assert list(read.pairs("valid")) == PAIRS[:3]
    assert list(read.pairs("test")) == PAIRS[3:5]
    swapped = corpus(tmp_path / "set", tmp_path / "scratch", source="de", target="en")
    assert list(swapped.pairs("valid")) == [(t, s) for s, t in PAIRS[:3]]


@pytest.mark.parametrize("suffix", ["parquet", "json", "jsonl", "csv"])
def test_a_single_file_is_split_by_slices(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"set.{suffix}"
    writer = {"parquet": "to_parquet", "csv": "to_csv"}.get(suffix, "to_json")
    getattr(flat(PAIRS), writer)(str(file))
    slices = {"train": "train[:15]", "valid": "train[15:18]", "test": "train[90%:]+train[:1]"}
    read = corpus(file, tmp_path / "scratch", **slices)
    assert list(read.pairs("train")) == PAIRS[:15]
    assert list(read.pairs("valid")) == PAIRS[15:18]
    assert list(read.pairs("test")) == [*PAIRS[18:], PAIRS[0]]


def test_a_saved_set_without_splits_is_called_train(tmp_path: Path) -> None:
    flat(PAIRS).save_to_disk(str(tmp_path / "set"))
    read = corpus(tmp_path / "set", tmp_path, valid="train[:2]", test=None)
    assert list(read.pairs("train")) == PAIRS
    assert not read.has_split("test")
    assert list(read.pairs("test")) == []


def test_columns_can_be_named(tmp_path: Path) -> None:
    sets = flat(PAIRS).rename_columns({"en": "premise", "de": "Satz"})
    sets.save_to_disk(str(tmp_path / "set"))
    columns = {"source_column": "premise", "target_column": "Satz"}
    assert list(corpus(tmp_path / "set", tmp_path, **columns).pairs("train")) == PAIRS


def test_text_comes_through_but_line_ends_and_missing_text(tmp_path: Path) -> None:
    text = ["null", "NA", "", "a\tb", "u\u2028v", "☃ \u200fשלום", "x\0y"]
    pairs = [(line, line) for line in text]
    flat([*pairs, ("two\nlines", "two\r\nlines"), (None, "x")]).to_parquet(  # type: ignore[list-item]
        str(tmp_path / "set.parquet")
    )
    read = corpus(tmp_path / "set.parquet", tmp_path / "scratch")
    assert list(read.pairs("train")) == [*pairs, ("two lines", "two  lines"), ("", "x")]


def test_words_that_tables_take_for_missing_are_kept(tmp_path: Path) -> None:
    pairs = [("null", "Null"), ("NA", "nan"), ("yes", "ja")]
    flat(pairs).to_csv(str(tmp_path / "set.csv"))
    assert list(corpus(tmp_path / "set.csv", tmp_path / "scratch").pairs("train")) == pairs


def test_no_copy_is_made_outside_the_scratch_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_parquet(tmp_path / "set")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "elsewhere"))
    read = corpus(tmp_path / "set", tmp_path / "scratch")
    assert read.fingerprint  # needs no copy at all
    assert not (tmp_path / "scratch").exists()
    assert list(read.pairs("train")) == PAIRS
    assert (tmp_path / "scratch").exists()
    assert not (tmp_path / "elsewhere").exists()


def test_the_fingerprint_follows_content_and_choice(tmp_path: Path) -> None:
    save_json(tmp_path / "set")
    before = corpus(tmp_path / "set", tmp_path).fingerprint
    assert corpus(tmp_path / "set", tmp_path).fingerprint == before
    for choice in ({"train": "train[:5]"}, {"test": None}, {"source": "de", "target": "en"}):
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
    assert list(read.pairs("train")) == PAIRS
    assert calls == [(("someone/books", "de-en"), {"revision": "main"})]
    same = corpus("someone/books", tmp_path, **settings)
    assert same.fingerprint == read.fingerprint
    n_valid = 3
    assert corpus("someone/books", tmp_path, **settings).fingerprint != read.fingerprint


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
    with pytest.raises(InputError, match=r"^data\.path=someone/books is neither .*[^\n]*$"):
        list(corpus("someone/books", tmp_path).pairs("train"))


def test_an_unknown_split_names_those_there_are(tmp_path: Path) -> None:
    save_folder(tmp_path / "set")
    for name in ("dev", "train[:x]", "train[200%:]", "train[:1"):
        with pytest.raises(InputError, match=r"^data\.valid=.* has train, validation, test$"):
            list(corpus(tmp_path / "set", tmp_path, valid=name).pairs("valid"))


def test_an_empty_split_is_an_input_error(tmp_path: Path) -> None:
    save_folder(tmp_path / "set")
    with pytest.raises(InputError, match=r"data\.valid=train\[:0\] of .*set is empty"):
        list(corpus(tmp_path / "set", tmp_path, valid="train[:0]").pairs("valid"))


def test_an_unknown_column_or_language_names_those_there_are(tmp_path: Path) -> None:
    nested(PAIRS).save_to_disk(str(tmp_path / "nested"))
    flat(PAIRS).add_column("id", list(range(len(PAIRS)))).save_to_disk(str(tmp_path / "flat"))
    cases = [
        ("nested", {"target": "fr"}, r"data\.target=fr .* have en, de"),
        ("nested", {"source_column": "text"}, r"source_column=text .* has translation"),
        ("nested", {"source_column": "translation"}, r"source_column=translation .* not hold text"),
        ("flat", {"target": "fr"}, r"data\.target_column=fr .* has en, de, id"),
        ("flat", {"target_column": "id"}, r"target_column=id .* does not hold text"),
    ]
    for name, settings, message in cases:
        with pytest.raises(InputError, match=message):
            list(corpus(tmp_path / name, tmp_path, **settings).pairs("train"))


@pytest.mark.parametrize("name", ["bad.parquet", "bad.json", "bad.csv", "bad.txt", "empty"])
def test_a_file_that_is_no_set_is_an_input_error(tmp_path: Path, name: str) -> None:
    if name == "empty":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_bytes(b"{junk\xff")
    with pytest.raises(InputError, match=rf"^data\.path=.*{name} [^\n]*$"):
        list(corpus(tmp_path / name, tmp_path / "scratch").pairs("train"))


def test_a_missing_path_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither on disk"):
        list(corpus(tmp_path / "no-such", tmp_path).pairs("train"))
