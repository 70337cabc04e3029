"""Composing settings from configs/ and overrides, and the one line that says what is wrong."""

from pathlib import Path

import pytest

from transformer.cli.compose import Composer
from transformer.config import (
    FilesConfig,
    HubConfig,
    Norm,
    PhrasebookConfig,
    PrepareSettings,
    TrainSettings,
    TranslateSettings,
)
from transformer.errors import InputError


def train(*overrides: str, own_folder: Path | None = None) -> TrainSettings:
    composer = Composer("train", TrainSettings, str(own_folder) if own_folder else None)
    settings = composer.settings(overrides)
    assert isinstance(settings, TrainSettings)
    return settings


def complaint(*overrides: str, own_folder: Path | None = None) -> str:
    with pytest.raises(InputError) as caught:
        train(*overrides, own_folder=own_folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


FILES = ("data=files", "data.source=en", "data.target=no", "data.train=a", "data.valid=b")


def test_a_group_brings_its_class_of_data() -> None:
    assert isinstance(train().data, PhrasebookConfig)
    assert train(*FILES).data == FilesConfig(source="en", target="no", train="a", valid="b")
    hub = train("data=hub", "data.path=x", "data.source=en", "data.target=de").data
    assert hub == HubConfig(source="en", target="de", path="x")


def test_the_phrasebook_brings_a_vocabulary_that_fits_it() -> None:
    assert train().tokenizer.vocab_size < train(*FILES).tokenizer.vocab_size


def test_the_command_line_wins_over_groups() -> None:
    settings = train("tokenizer.vocab_size=77", "model=tiny", "model.norm=post")
    assert settings.tokenizer.vocab_size == 77
    assert settings.model.encoder_layers == 2
    assert settings.model.norm is Norm.post


def test_an_experiment_wins_over_groups_and_loses_to_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\n"
        "defaults:\n  - override /model: tiny\n"
        "model:\n  d_model: 64\n"
        "tokenizer:\n  vocab_size: 99\n"
    )
    settings = train("experiment=mine", own_folder=tmp_path)
    assert (settings.model.d_model, settings.model.encoder_layers) == (64, 2)
    assert settings.tokenizer.vocab_size == 99
    settings = train("experiment=mine", "model.d_model=32", "model=big", own_folder=tmp_path)
    assert (settings.model.d_model, settings.model.n_heads) == (32, 16)


def test_a_stem_may_be_a_list() -> None:
    data = train(*FILES, "data.train=[a,b c]").data
    assert isinstance(data, FilesConfig)
    assert [corpus.path for corpus in data.corpora("train")] == ["a", "b c"]


@pytest.mark.parametrize("path", ["a=b", "a(1)", "it's", "a\\", "a\\'", "a b", "d/é=[", '"'])
def test_a_path_needs_no_quotes(path: str) -> None:
    assert train(f"run_dir={path}").run_dir == path


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.d_modle=64", "there is no setting model.d_modle; did you mean model.d_model?"),
        ("modle.d_model=64", "did you mean model.d_model?"),
        ("beam_size=4", "did you mean search.beam_size?"),
        ("lr=1e-3", "did you mean optim.lr?"),
        ("modle=tiny", "did you mean model?"),
        ("model.x=1", "there are model.encoder_layers, model.decoder_layers"),
        ("a.b.c=1", "--help lists them all"),
        ("hydra.verbose=true", "there is no setting hydra.verbose"),
        ("data@other=files", "there is no setting data@other"),
        ("+model.foo=1", "neither added nor removed; write model.foo=1"),
        ("++seed=1", "write seed=1"),
        ("~data", "neither added nor removed"),
        ("model.d_model=abc", "model.d_model=abc must be a whole number"),
        ("training.max_updates=1e5", "training.max_updates=1e5 must be a whole number in digits"),
        ("model.d_model={a:3}", "must be a whole number"),
        ("model.d_model=null", "model.d_model=null must be a whole number"),
        ("model.d_model.x=3", "there is no setting model.d_model.x"),
        ("model.dropout=much", "model.dropout=much must be a number"),
        ("model.embedding_scale=maybe", "must be true or false"),
        ("threads=two", "threads=two must be null or a whole number"),
        ("model.norm=middle", "model.norm=middle must be one of post, pre"),
        ("tokenizer.user_symbols=3", "must be a list, as in [a,b]"),
        ("cleaning.max_ratio=a", "cleaning.max_ratio=a must be"),
        ("seed=", "seed= must be a whole number"),
        ("seed=???", "seed must be a whole number"),
        ("seed=${nothing}", "'nothing' not found"),
        ("model=huge", "there is no such model; there are base, big, small, tiny"),
        ("model=3", "there is no such model; there are base, big, small, tiny"),
        ("data=null", "there is no such data; there are csv, files, hub, "),
        ("data.kind=hub", "write data=hub"),
        ("data.train=a", "there is no setting data.train with data=phrasebook; it belongs to"),
        ("data=files", "data.source is not set"),
        ("seed=1,2", "seed=1,2 gives several values"),
        ("seed", "'seed' is no setting; settings are given as KEY=VALUE"),
        ("=3", "is no setting"),
        ("seed=[1", "seed=[1 cannot be read"),
        ("model.n_heads=3", "model.d_model=256 is not divisible by model.n_heads=3"),
        ("data.source=de", "the same language"),
    ],
)
def test_a_wrong_override_is_refused_in_one_line(override: str, message: str) -> None:
    assert message in complaint(override)


def test_a_group_that_the_command_lacks_is_refused() -> None:
    with pytest.raises(InputError, match="there is no setting model"):
        Composer("translate", TranslateSettings).compose(["model=tiny"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model:\n  d_modle: 3\n", "experiment/mine.yaml: there is no setting model.d_modle; did"),
        ("model:\n  d_model: a\n", "experiment/mine.yaml: model.d_model=a must be a whole number"),
        ("modle:\n  d_model: 3\n", "experiment/mine.yaml: there is no setting modle"),
        ("defaults:\n  - override /model: huge\n", "there are base, big, small, tiny"),
        ("defaults:\n  - override /modle: tiny\n", "modle"),
        ("defaults:\n  - nothing\n", "experiment/nothing"),
        ("model: [1\n", "mine.yaml"),
        ("data:\n  kind: hub\n", "choose the group data=hub"),
        ("- a\n", "mine"),
        ("\x00", "mine"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{content}")
    assert message in complaint("experiment=mine", own_folder=tmp_path)


def test_an_experiment_outside_the_global_package_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("seed: 3\n")
    assert "# @package _global_" in complaint("experiment=mine", own_folder=tmp_path)


def test_a_folder_of_ones_own_must_exist(tmp_path: Path) -> None:
    assert "is not a folder" in complaint(own_folder=tmp_path / "nowhere")


def test_a_file_of_ones_own_cannot_hide_behind_a_built_in_one(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "demo.yaml").write_text("")
    assert "has the name of the built-in experiment/demo.yaml" in complaint(own_folder=tmp_path)


def test_the_options_of_a_group_include_ones_own(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "wide.yaml").write_text("defaults: [base]\nd_model: 2048\n")
    composer = Composer("train", TrainSettings, str(tmp_path))
    assert "wide" in composer.options("model")
    assert composer.settings(["model=wide"]).model.d_model == 2048


def test_composing_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Composer("prepare", PrepareSettings).settings([])
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
