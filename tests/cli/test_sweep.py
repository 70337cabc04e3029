"""Sweeps over settings."""

from dataclasses import replace

import pytest

from transformer.cli.compose import Composer
from transformer.cli.main import COMMANDS, main
from transformer.cli.sweep import sweep
from transformer.config import TrainSettings
from transformer.errors import InputError, Stopped


def run_dirs(*overrides: str) -> list[str]:
    return [each.run_dir for each in sweep(Composer("train", TrainSettings), overrides)]


def test_each_combination_is_a_run_in_a_folder_of_its_own() -> None:
    assert run_dirs("model=tiny,small", "seed=1,2", "run_dir=a") == [
        "a/model=tiny,seed=1",
        "a/model=tiny,seed=2",
        "a/model=small,seed=1",
        "a/model=small,seed=2",
    ]


def test_each_run_has_its_own_values() -> None:
    runs = sweep(Composer("train", TrainSettings), ["seed=range(1,4)", "model=tiny"])
    assert [each.seed for each in runs] == [1, 2, 3]
    assert {each.model.d_model for each in runs} == {128}


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


@pytest.mark.parametrize(("error", "status"), [(Stopped("saved"), 75), (InputError("wrong"), 1)])
def test_a_sweep_ends_with_the_first_run_that_does_not(
    error: Exception, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = []

    def run(settings: TrainSettings) -> None:
        seeds.append(settings.seed)
        if settings.seed == 2:
            raise error

    monkeypatch.setitem(COMMANDS, "train", replace(COMMANDS["train"], run=run))
    assert main(["train", "-m", "seed=1,2,3"]) == status
    assert seeds == [1, 2]
