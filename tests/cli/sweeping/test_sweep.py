"""Sweeps over settings."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from transformer.cli.compose import Composer
from transformer.cli.sweeping.sweep import sweep, typed
from transformer.config import TrainSettings
from transformer.errors import InputError


@cache
def composer() -> Composer:
    return Composer("train", TrainSettings)


def run_dirs(*overrides: str) -> list[str]:
    runs = sweep(composer(), overrides).runs
    return [each.settings.run_dir for each in runs]


def test_each_combination_is_a_run_in_a_folder_of_its_own() -> None:
    assert run_dirs("model=tiny,small", "seed=1,2", "run_dir=a") == [
        "a/model=tiny,seed=1",
        "a/model=tiny,seed=2",
        "a/model=small,seed=1",
        "a/model=small,seed=2",
    ]


def test_each_run_has_its_own_values() -> None:
    runs = sweep(composer(), ["seed=range(1,4)", "model=tiny"]).runs
    assert [each.settings.seed for each in runs] == [1, 2, 3]
    assert {each.settings.model.d_model for each in runs} == {128}


def test_a_sweep_over_folders_adds_none() -> None:
    assert run_dirs("run_dir=a,b") == ["a", "b"]
    assert run_dirs("run_dir=a,b", "seed=7") == ["a", "b"]


def test_values_that_make_no_folder_name_give_way_to_numbers() -> None:
    assert run_dirs("data.cache_dir=a/b,a/c", "run_dir=d") == ["d/0", "d/1"]


def test_one_value_each_is_one_run() -> None:
    assert run_dirs("seed=3", "run_dir=a") == ["a"]


def test_a_mistake_in_any_run_is_found_before_the_first() -> None:
    with pytest.raises(InputError, match="not divisible"):
        run_dirs("model.n_heads=2,3")


def test_what_differs_from_run_to_run_is_known_of_each() -> None:
    texts = ["model=tiny,small", "optim.lr=choice(1e-3,2)", "seed=3", "run_dir=a"]
    found = sweep(composer(), texts)
    assert found.folder == Path("a")
    assert [each.values for each in found.runs] == [
        {"model": model, "optim.lr": lr} for model in ("tiny", "small") for lr in (0.001, 2)
    ]


@pytest.mark.parametrize("texts", [["run_dir=a,b"], ["run_dir=a,b", "seed=1,2"], ["run_dir=a"]])
def test_only_a_folder_that_holds_all_runs_is_that_of_the_sweep(texts: list[str]) -> None:
    assert sweep(composer(), texts).folder is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optim.lr=interval(1,2)", "optim.lr=interval(1,2) goes with hydra/sweeper=optuna"),
        ("model=glob(*)", "model=glob(*): list the options by name"),
        ("seed=1,2 seed=3", "seed=1,2 and seed=3: give seed once, with all of its values"),
        ("seed=1,1 run_dir=a", "two runs of the sweep have run_dir=a/seed=1"),
        ("run_dir=a,a", "two runs of the sweep have run_dir=a"),
    ],
)
def test_values_that_cannot_be_listed_are_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        run_dirs(*text.split())
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 0.001),
        ("tiny", "tiny"),
        ("'a,b'", "a,b"),
        ('"a"', "a"),
        ("'", "'"),
        (r"a\,b", "a,b"),
    ],
)
def test_a_value_is_a_number_where_it_spells_one(text: str, value: Any) -> None:
    assert typed(text) == value
    assert type(typed(text)) is type(value)
