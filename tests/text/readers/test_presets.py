"""The presets of standard sets, on local copies of the same shape."""

from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml

from transformer.config import HubConfig
from transformer.text.corpus import open_corpora

CONFIGS = Path(__file__).parents[3] / "configs" / "data"
SPLITS = {"train": 9, "validation": 3, "test": 2}
PAIRS = [(f"hello {i}", f"hallo {i}") for i in range(6000)]


def preset(name: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    assert values.pop("defaults") == ["/schema/data/hub@_here_"]
    return values


def translations(first: str, second: str, n_pairs: int) -> datasets.Dataset:
    """Pairs as the sets of the hub have them; the second language is English but in en-xx."""
    rows = [{"translation": {first: a, second: b}} for a, b in PAIRS[:n_pairs]]
    features = {"translation": datasets.Translation([first, second])}
    return datasets.Dataset.from_list(rows, datasets.Features(features))


def rows_of(path: Path, scratch: Path, values: dict[str, Any]) -> dict[str, list[tuple[str, ...]]]:
    config = HubConfig(**{**values, "path": str(path)})
    return {
        split: [
            row
            for corpus in open_corpora(config, split, scratch)
            for run in corpus.reader.columns(1000)
            for row in zip(*run, strict=True)
        ]
        for split in ("train", "valid", "test")
    }


def write_card(path: Path, name: str, splits: list[str]) -> None:
    """The head of the card, in which such a set names its configurations."""
    files = [{"split": split, "path": f"{name}/{split}-*"} for split in splits]
    head = yaml.safe_dump({"configs": [{"config_name": name, "data_files": files}]})
    (path / "README.md").write_text(f"---\n{head}---\n", encoding="utf-8")


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def test_multi30k_is_objects_with_a_language_each(tmp_path: Path) -> None:
    values = preset("multi30k")
    (tmp_path / "set").mkdir()
    names = {"train": "train", "validation": "val", "test": "test"}
    for split, n_pairs in SPLITS.items():
        sides = {"en": [a for a, _ in PAIRS[:n_pairs]], "de": [b for _, b in PAIRS[:n_pairs]]}
        datasets.Dataset.from_dict(sides).to_json(str(tmp_path / "set" / f"{names[split]}.jsonl"))
    found = rows_of(tmp_path / "set", tmp_path / "scratch", values)
    assert found == {"train": PAIRS[:9], "valid": PAIRS[:3], "test": PAIRS[:2]}
    swapped = {**values, "source": "de", "target": "en"}
    found = rows_of(tmp_path / "set", tmp_path / "scratch", swapped)
    assert found["test"] == [(b, a) for a, b in PAIRS[:2]]


@pytest.mark.parametrize("card", [True, False])
@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("wmt14_en_de", "de", "en"),
        ("wmt14_en_fr", "fr", "en"),
        ("wmt17_zh_en", "zh", "en"),
        ("opus100", "de", "en"),
    ],
)
def test_sets_with_a_folder_for_each_pair_of_languages(
    tmp_path: Path, name: str, first: str, second: str, card: bool
) -> None:
    values = preset(name)
    folder = f"{first}-{second}"
    assert values["name"] == folder
    (tmp_path / "set" / folder).mkdir(parents=True)
    (tmp_path / "set" / "other").mkdir()
    for split, n_pairs in SPLITS.items():
        file = f"{split}-00000-of-00001.parquet"
        translations(first, second, n_pairs).to_parquet(str(tmp_path / "set" / folder / file))
        translations("xx", "yy", 1).to_parquet(str(tmp_path / "set" / "other" / file))
    if card:
        write_card(tmp_path / "set", folder, list(SPLITS))
    found = rows_of(tmp_path / "set", tmp_path / "scratch", values)
    turn = 1 if values["source"] == first else -1
    wanted = {
        split: [pair[::turn] for pair in PAIRS[:n_pairs]]
        for split, n_pairs in zip(found, SPLITS.values(), strict=True)
    }
    assert found == wanted


def test_iwslt2017_is_the_converted_branch(tmp_path: Path) -> None:
    values = preset("iwslt2017")
    assert values["revision"] == "refs/convert/parquet"
    for name, languages in (("en-de", ("en", "de")), ("en-fr", ("en", "fr"))):
        for split, n_pairs in SPLITS.items():
            folder = tmp_path / "set" / f"iwslt2017-{name}" / split
            folder.mkdir(parents=True)
            translations(*languages, n_pairs).to_parquet(str(folder / "0000.parquet"))
    for values in (values, {**values, "name": "iwslt2017-en-fr", "target": "fr"}):  # noqa: B020
        found = rows_of(tmp_path / "set", tmp_path / "scratch", values)
        assert found == {"train": PAIRS[:9], "valid": PAIRS[:3], "test": PAIRS[:2]}


def test_opus_books_holds_out_pairs_of_its_only_split(tmp_path: Path) -> None:
    values = preset("opus_books")
    (tmp_path / "set" / "de-en").mkdir(parents=True)
    file = tmp_path / "set" / "de-en" / "train-00000-of-00001.parquet"
    translations("de", "en", 6000).to_parquet(str(file))
    write_card(tmp_path / "set", "de-en", ["train"])
    found = rows_of(tmp_path / "set", tmp_path / "scratch", values)
    turned = [(b, a) for a, b in PAIRS]
    assert found == {"train": turned[4000:], "valid": turned[:2000], "test": turned[2000:4000]}


def test_another_pair_of_opus100_is_a_matter_of_two_settings(tmp_path: Path) -> None:
    values = {**preset("opus100"), "name": "en-fr", "target": "fr"}
    (tmp_path / "set" / "en-fr").mkdir(parents=True)
    for split, n_pairs in SPLITS.items():
        file = tmp_path / "set" / "en-fr" / f"{split}-00000-of-00001.parquet"
        translations("en", "fr", n_pairs).to_parquet(str(file))
    assert rows_of(tmp_path / "set", tmp_path / "scratch", values)["test"] == PAIRS[:2]
