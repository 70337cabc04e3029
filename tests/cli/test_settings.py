"""The flat list of settings that --help shows."""

from dataclasses import is_dataclass

from transformer.cli.settings import settings_of
from transformer.config import AverageSettings, TrainSettings


def test_every_leaf_is_a_setting() -> None:
    settings = settings_of(TrainSettings)
    assert not any(is_dataclass(setting.hint) for setting in settings.values())
    assert {"seed", "model.d_model", "cleaning.max_ratio", "data.train"} <= set(settings)


def test_a_setting_knows_the_kinds_of_data_that_have_it() -> None:
    settings = settings_of(TrainSettings)
    assert settings["data.train"].kinds == ("files", "hub")
    assert settings["data.source"].kinds == ("phrasebook", "files", "hub")
    assert settings["seed"].kinds == ()


def test_the_kind_of_data_is_no_setting() -> None:
    assert "data.kind" not in settings_of(TrainSettings)


def test_the_comment_in_the_source_explains_the_setting() -> None:
    assert settings_of(AverageSettings)["last"].comment.startswith("checkpoints")
    assert settings_of(TrainSettings)["data.seed"].comment.startswith("of the draw")


def test_a_kind_of_data_has_its_own_words() -> None:
    assert settings_of(TrainSettings, "files")["data.train"].expected == "text or a list of it"
    assert settings_of(TrainSettings, "hub")["data.train"].expected == "text"
    assert "data.train" not in settings_of(TrainSettings, "phrasebook")


def test_a_comment_above_counts_too() -> None:
    comment = settings_of(TrainSettings)["search.max_length_ratio"].comment
    assert comment.startswith("A sentence of S source pieces")


def test_what_a_setting_takes_is_said_in_words() -> None:
    settings = settings_of(TrainSettings)
    assert settings["threads"].expected == "null or a whole number"
    assert settings["model.norm"].expected == "one of post, pre"
