"""Properties of the folder of a run."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from transformer.checkpoint import Contents, list_checkpoints
from transformer.config import Metric, Norm, TrainSettings, to_mapping
from transformer.errors import InputError
from transformer.text.dataset import prepare_data
from transformer.text.tokenizer import Tokenizers
from transformer.training.run import FREE, RunFolder, differences, flatten

Change = Callable[..., TrainSettings]
FREE_CHANGES = {
    "run_dir": "elsewhere",
    "device": "auto",
    "threads": 2,
    "search__beam_size": 3,
    "data__workers": 1,
    "data__cache_dir": "cache",
    "training__max_updates": 99,
    "training__max_epochs": 3,
    "training__max_minutes": 5.0,
    "training__validate_every": 7,
    "training__checkpoint_every": 7,
    "training__keep_last": 1,
    "training__keep_best": 4,
    "training__patience": 3,
    "training__validation_beam_size": 2,
    "training__n_samples": 1,
    "training__log_every": 5,
}
BOUND_CHANGES = {
    "seed": 5,
    "data__batch_tokens": 50,
    "data__train": "other",
    "model__norm": Norm.pre,
    "model__d_model": 64,
    "optim__lr": 0.5,
    "optim__clip_norm": None,
    "training__accumulate": 2,
    "training__label_smoothing": 0.0,
    "training__metric": Metric.bleu,
    "tokenizer__vocab_size": 20,
}


@pytest.fixture
def tokenizers(settings: TrainSettings) -> Tokenizers:
    return prepare_data(settings.data, settings.tokenizer).tokenizers


@pytest.fixture
def folder(settings: TrainSettings, tokenizers: Tokenizers) -> RunFolder:
    folder = RunFolder(settings)
    folder.check()
    folder.create(tokenizers)
    return folder


def save(folder: RunFolder, tokenizers: Tokenizers, update: int, **metrics: float) -> None:
    contents = Contents({"w": torch.zeros(1)}, folder.settings, tokenizers, metrics, {"a": 1})
    folder.save(update, contents)


def kept(folder: RunFolder) -> list[int]:
    return [int(path.name) for path in list_checkpoints(folder.checkpoints)]


def link(folder: RunFolder, name: str) -> int:
    return int((folder.checkpoints / name).resolve().name)


@pytest.mark.parametrize("key", FREE_CHANGES)
def test_what_changes_no_update_may_change(
    settings: TrainSettings, change: Change, key: str
) -> None:
    assert differences(settings, change(settings, **{key: FREE_CHANGES[key]})) == []


@pytest.mark.parametrize("key", BOUND_CHANGES)
def test_another_setting_is_refused_by_its_name(
    folder: RunFolder, change: Change, key: str
) -> None:
    after = change(folder.settings, **{key: BOUND_CHANGES[key]})
    with pytest.raises(InputError, match=key.replace("__", r"\.")) as caught:
        RunFolder(after).check()
    assert "\n" not in str(caught.value)


def test_a_difference_tells_both_values(settings: TrainSettings, change: Change) -> None:
    assert differences(settings, change(settings, seed=5)) == ["seed was 1, now 5"]


def test_every_free_setting_exists(settings: TrainSettings) -> None:
    keys = flatten(to_mapping(settings))
    for free in FREE:
        assert any(key == free or key.startswith(free + ".") for key in keys), free


def test_a_run_with_the_same_settings_goes_on(folder: RunFolder) -> None:
    RunFolder(folder.settings).check()


def test_a_folder_with_other_files_is_refused_and_left_alone(settings: TrainSettings) -> None:
    path = Path(settings.run_dir)
    path.mkdir()
    (path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="holds other files"):
        RunFolder(settings).check()
    assert [file.name for file in path.iterdir()] == ["thesis.txt"]


def test_an_empty_folder_will_do(settings: TrainSettings) -> None:
    Path(settings.run_dir).mkdir()
    RunFolder(settings).check()


def test_a_file_for_a_folder_is_refused(settings: TrainSettings) -> None:
    Path(settings.run_dir).write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="is a file"):
        RunFolder(settings).check()


def test_a_folder_that_cannot_be_made_is_refused(
    settings: TrainSettings, change: Change, tokenizers: Tokenizers, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    folder = RunFolder(change(settings, run_dir=str(tmp_path / "file" / "run")))
    with pytest.raises(InputError, match="cannot be written"):
        folder.create(tokenizers)


def test_the_last_n_checkpoints_and_the_best_k_are_kept(
    settings: TrainSettings, change: Change, tokenizers: Tokenizers
) -> None:
    folder = RunFolder(change(settings, training__keep_last=2, training__keep_best=2))
    folder.create(tokenizers)
    for update, loss in enumerate([3.0, 1.0, 4.0, 2.0, 5.0, 6.0], start=1):
        save(folder, tokenizers, update, loss=loss, bleu=0.0)
    assert kept(folder) == [2, 4, 5, 6]
    assert link(folder, "best") == 2
    assert link(folder, "last") == 6


def test_the_best_checkpoint_goes_by_the_metric(
    settings: TrainSettings, change: Change, tokenizers: Tokenizers
) -> None:
    folder = RunFolder(
        change(settings, training__metric=Metric.bleu, training__keep_last=1, training__keep_best=1)
    )
    folder.create(tokenizers)
    for update, bleu in enumerate([10.0, 30.0, 20.0, 30.0], start=1):
        save(folder, tokenizers, update, loss=-bleu, bleu=bleu)
    # Of equal ones, the first is the best.
    assert kept(folder) == [2, 4]
    assert link(folder, "best") == 2


def test_checkpoints_without_a_validation_are_never_the_best(
    folder: RunFolder, tokenizers: Tokenizers
) -> None:
    save(folder, tokenizers, 1)
    assert not (folder.checkpoints / "best").exists()
    save(folder, tokenizers, 2, loss=9.0)
    save(folder, tokenizers, 3)
    assert link(folder, "best") == 2
    assert link(folder, "last") == 3
    last = folder.last()
    assert last is not None
    assert last.folder.name == "00000003"


def test_another_text_is_refused(folder: RunFolder) -> None:
    folder.check_data("a", "a")
    with pytest.raises(InputError, match="another text"):
        folder.check_data("a", "b")


def test_a_checkpoint_is_no_folder_to_train_in(settings: TrainSettings, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.json").write_text("{}")
    settings = replace(settings, run_dir=str(tmp_path / "run"))
    with pytest.raises(InputError, match="is a checkpoint; give a run's own folder"):
        RunFolder(settings).check()


def test_a_second_process_is_kept_out_of_a_run(settings: TrainSettings) -> None:
    with (
        RunFolder(settings).locked(),
        pytest.raises(InputError, match="another process trains in it"),
        RunFolder(settings).locked(),
    ):
        pass
    with RunFolder(settings).locked():
        pass
