"""Settings from and to plain mappings."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from transformer.config import (
    AverageSettings,
    DataConfig,
    EvaluateSettings,
    FilesConfig,
    HubConfig,
    ModelConfig,
    Norm,
    PhrasebookConfig,
    PrepareSettings,
    SearchConfig,
    TokenizerConfig,
    TrainingConfig,
    TrainSettings,
    TranslateSettings,
    from_mapping,
    load_settings,
    save_settings,
    to_mapping,
)
from transformer.errors import InputError

FILES = FilesConfig(source="en", target="de", train=["a", "b"], valid="c")
HUB = HubConfig(source="no", target="de", path="opus_books", name="de-no")

SETTINGS = [
    PrepareSettings(),
    PrepareSettings(data=FILES, tokenizer=TokenizerConfig(user_symbols=["<a>", "<b>"])),
    TrainSettings(data=HUB, model=ModelConfig(norm=Norm.pre), threads=2),
    TrainSettings(training=TrainingConfig(max_minutes=0.5), search=SearchConfig(beam_size=1)),
    TranslateSettings(checkpoint="runs/a", input="in", output="out"),
    EvaluateSettings(checkpoint="runs/a"),
    EvaluateSettings(hypothesis="h", reference="r", target_language="zh"),
    AverageSettings(checkpoint="runs/a", output="runs/b"),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: type(settings).__name__)
def test_settings_survive_the_way_to_a_mapping_and_back(settings: Any) -> None:
    assert from_mapping(type(settings), to_mapping(settings)) == settings


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: type(settings).__name__)
def test_settings_survive_the_way_to_a_file_and_back(settings: Any, tmp_path: Path) -> None:
    save_settings(settings, tmp_path / "config.yaml")
    assert load_settings(type(settings), tmp_path / "config.yaml") == settings


@given(run_dir=st.text(min_size=1), seed=st.integers(0, 2**63 - 1), cache=st.text())
def test_any_text_and_number_survives(run_dir: str, seed: int, cache: str) -> None:
    data = PhrasebookConfig(cache_dir=cache)
    settings = TrainSettings(run_dir=run_dir, seed=seed, data=data)
    assert from_mapping(TrainSettings, to_mapping(settings)) == settings


def test_missing_keys_take_their_defaults() -> None:
    assert from_mapping(TrainSettings, {"model": {"norm": "pre"}}) == TrainSettings(
        model=ModelConfig(norm=Norm.pre)
    )


@pytest.mark.parametrize("kind", [PhrasebookConfig(), FILES, HUB], ids=lambda data: data.kind.name)
def test_the_kind_chooses_the_class_of_the_data(kind: DataConfig) -> None:
    restored = from_mapping(PrepareSettings, {"data": to_mapping(kind)}).data
    assert type(restored) is type(kind)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"modle": {}}, "there is no setting modle; did you mean model?"),
        ({"model": {"d_modle": 1}}, "did you mean model.d_model?"),
        ({"model": {"d_model": "64"}}, "model.d_model=64 must be a whole number"),
        ({"model": {"d_model": True}}, "model.d_model=true must be a whole number"),
        ({"model": {"d_model": 1e5}}, "model.d_model=100000.0 must be a whole number"),
        ({"model": {"dropout": "much"}}, "model.dropout=much must be a number"),
        ({"model": {"norm": "middle"}}, "model.norm=middle must be one of post, pre"),
        ({"model": {"norm": ["pre"]}}, "must be one of post, pre"),
        ({"model": 3}, "model=3 must be a group of settings"),
        ({"threads": "two"}, "threads=two must be a whole number"),
        ({"run_dir": None}, "run_dir=null must be text"),
        ({"tokenizer": {"user_symbols": "a"}}, "must be a list, as in [a,b]"),
        ({"tokenizer": {"user_symbols": ["a", 1]}}, "tokenizer.user_symbols[1]=1 must be text"),
        ({"data": {"kind": "magic"}}, "data.kind=magic must be one of phrasebook, files, hub"),
        ({"data": {"source": "en"}}, "data.kind=None must be one of"),
        ({"data": {"kind": "hub", "train_size": 3}}, "there is no setting data.train_size"),
    ],
)
def test_a_wrong_mapping_is_refused_by_the_key_and_what_would_do(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        from_mapping(TrainSettings, values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "[1]", "a: [", "model: {d_model: x}", "nope: 1", "\0"])
def test_a_file_without_settings_is_refused_by_its_name(content: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(content)
    with pytest.raises(InputError, match=r"config\.yaml") as caught:
        load_settings(TrainSettings, file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("duplicates", "name"), [(True, "exact"), (False, "none")])
def test_a_file_from_before_cleaning_was_a_group_of_its_own_is_read(
    duplicates: bool, name: str, tmp_path: Path
) -> None:
    cleaning = {"empty": False, "duplicates": duplicates, "max_pieces": 7, "max_ratio": 3.0}
    data = {"kind": "files", "source": "en", "target": "de", "train": "a", "valid": "b"}
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"data": {**data, "cleaning": cleaning}}))
    expected = {"data": data, "cleaning": {**cleaning, "duplicates": name}}
    assert load_settings(TrainSettings, file) == from_mapping(TrainSettings, expected)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_settings(TrainSettings, tmp_path / "config.yaml")


def test_enums_are_written_by_name() -> None:
    plain = to_mapping(TrainSettings())
    assert plain["precision"] == "auto"
    assert plain["data"]["kind"] == "phrasebook"
    assert set(plain) == {field.name for field in fields(TrainSettings)}
