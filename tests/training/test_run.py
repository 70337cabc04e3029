"""Properties of the folder of a run."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from transformer.checkpoint import Contents, list_checkpoints
from transformer.config import (
    ENDING,
    FaultsConfig,
    Metric,
    Norm,
    ParallelConfig,
    Resume,
    Schedule,
    TrainSettings,
    WriteErrorAction,
    flatten,
    to_mapping,
)
from transformer.errors import InputError
from transformer.text.dataset import PreparedData, prepare_data
from transformer.text.tokenizer import Tokenizers
from transformer.training.differences import FREE, changes, differences
from transformer.training.run import RunFolder

Change = Callable[..., TrainSettings]
FREE_CHANGES = {
    "run_dir": "elsewhere",
    "device": "auto",
    "threads": 2,
    "search__beam_size": 3,
    "data__batch_tokens": 50,
    "data__workers": 1,
    "data__cache_dir": "cache",
    "data__prepare_processes": 3,
    "cleaning__keep_rejected": "rejected.tsv",
    "cleaning__n_examples": 1,
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
    "training__resume": Resume.never,
    "training__accumulate": 2,
    "training__gradient_checkpointing": True,
    "training__compile": True,
    "data__prefetch": 2,
    "training__checkpoint_minutes": 5.0,
    "training__keep_every": 3,
    "training__keep_minutes": 5.0,
    "training__faults": FaultsConfig(max_skipped=3),
    "training__parallel": ParallelConfig(shard=True),
}
BOUND_CHANGES = {
    "seed": 5,
    "data__train": "other",
    "data__temperature": 2.0,
    "cleaning__copies": True,
    "model__norm": Norm.pre,
    "model__d_model": 64,
    "optim__lr": 0.5,
    "optim__clip_norm": None,
    "training__init_from": "runs/other",
    "training__label_smoothing": 0.0,
    "training__metric": Metric.bleu,
    "tokenizer__vocab_size": 20,
}


@pytest.fixture
def tokenizers(settings: TrainSettings) -> Tokenizers:
    return prepare_data(settings.data, settings.tokenizer, settings.cleaning).tokenizers


@pytest.fixture
def folder(settings: TrainSettings, tokenizers: Tokenizers) -> RunFolder:
    folder = RunFolder(settings)
    folder.check()
    folder.create(tokenizers)
    return folder


@pytest.fixture
def begun(folder: RunFolder, tokenizers: Tokenizers) -> RunFolder:
    """A folder with a checkpoint."""
    save(folder, tokenizers, 1)
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
def test_another_setting_is_refused_by_its_name(begun: RunFolder, change: Change, key: str) -> None:
    folder = begun
    after = change(folder.settings, **{key: BOUND_CHANGES[key]})
    with pytest.raises(InputError, match=key.replace("__", r"\.")) as caught:
        RunFolder(after).check()
    assert "\n" not in str(caught.value)


def test_a_difference_tells_both_values(settings: TrainSettings, change: Change) -> None:
    assert differences(settings, change(settings, seed=5)) == ["seed was 1, now 5"]


def test_free_changes_are_told_but_for_where_the_run_is(
    settings: TrainSettings, change: Change
) -> None:
    after = change(
        settings,
        seed=5,
        run_dir="moved",
        training__resume=Resume.never,
        training__accumulate=3,
        training__faults=FaultsConfig(max_skipped=7),
    )
    assert changes(settings, settings) == []
    assert changes(settings, after) == [
        "training.accumulate was 1, now 3",
        "training.faults.max_skipped was 20, now 7",
    ]


@pytest.mark.parametrize("schedule", Schedule)
def test_a_schedule_that_ends_at_the_last_update_is_bound_to_it(
    settings: TrainSettings, change: Change, schedule: Schedule
) -> None:
    before = change(settings, optim__schedule=schedule)
    after = change(before, training__max_updates=99)
    bound, free = differences(before, after), changes(before, after)
    line = ["training.max_updates was 6, now 99"]
    assert (bound, free) == ((line, []) if schedule in ENDING else ([], line))


def test_the_settings_of_a_run_made_before_a_setting_existed_have_its_default(
    begun: RunFolder,
) -> None:
    folder = begun
    text = folder.file.read_text(encoding="utf-8")
    older = "".join(
        line for line in text.splitlines(keepends=True) if not line.startswith("  keep_every")
    )
    assert older != text
    folder.file.write_text(older, encoding="utf-8")
    folder.check()
    assert folder.settings_before() == folder.settings


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


# Damaged checkpoints


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def links(folder: RunFolder) -> dict[str, str]:
    return {p.name: str(p.readlink()) for p in folder.checkpoints.iterdir() if p.is_symlink()}


@pytest.fixture
def three(folder: RunFolder, tokenizers: Tokenizers) -> RunFolder:
    """A run with three checkpoints, of which the last is the best."""
    for update, loss in ((10, 3.0), (20, 2.0), (30, 1.0)):
        save(folder, tokenizers, update, loss=loss)
    return folder


@pytest.mark.parametrize(
    "file", ["model.safetensors", "training.pt", "metrics.json", "config.yaml", "manifest.json"]
)
@pytest.mark.parametrize("missing", [False, True])
def test_a_damaged_last_checkpoint_is_set_aside_for_the_one_before(
    three: RunFolder, caplog: pytest.LogCaptureFixture, file: str, missing: bool
) -> None:
    damaged = three.checkpoints / "00000030" / file
    damaged.unlink() if missing else damaged.write_bytes(damaged.read_bytes()[:-3])
    (three.checkpoints / "00000030.damaged").mkdir()
    (three.checkpoints / "00000030.damaged" / "older").touch()
    last = three.last()
    assert last is not None
    assert last.folder.name == "00000020"
    assert kept(three) == [10, 20]
    assert links(three) == {"last": "00000020", "best": "00000020"}
    (record,) = caplog.records
    assert file in record.getMessage()
    assert "set aside as 00000030.damaged, and update 20 used instead" in record.getMessage()
    aside = three.checkpoints / "00000030.damaged"
    assert (aside / file).exists() is not missing
    assert not (aside / "older").exists()


def test_several_damaged_checkpoints_are_passed_over_and_older_ones_not_looked_at(
    three: RunFolder, tokenizers: Tokenizers
) -> None:
    save(three, tokenizers, 40)
    for number in ("00000010", "00000030", "00000040"):
        flip(three.checkpoints / number / "model.safetensors")
    last = three.last()
    assert last is not None
    assert last.folder.name == "00000020"
    assert kept(three) == [10, 20]


def test_a_run_of_which_no_checkpoint_is_whole_is_refused_and_left_as_it_is(
    three: RunFolder,
) -> None:
    for path in list_checkpoints(three.checkpoints):
        flip(path / "training.pt")
    with pytest.raises(
        InputError, match=r"none of the 3 .*30/training\.pt.*training\.resume=never"
    ):
        three.last()
    assert kept(three) == [10, 20, 30]


def test_a_whole_file_that_torch_cannot_load_is_damage(
    three: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = torch.load

    def fail(file: Path, **options: object) -> object:
        if "00000030" in str(file):
            raise RuntimeError("not a ZIP archive\nwith advice")
        return load(file, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(torch, "load", fail)
    last = three.last()
    assert last is not None
    assert last.folder.name == "00000020"


def test_what_cannot_be_read_or_is_of_another_version_is_not_taken_for_damaged(
    three: RunFolder,
) -> None:
    manifest = three.checkpoints / "00000030" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 2', '"format": 9'))
    with pytest.raises(InputError, match="format 9"):
        three.last()
    assert kept(three) == [10, 20, 30]


def test_dangling_and_missing_links_are_mended_when_a_run_goes_on(three: RunFolder) -> None:
    (three.checkpoints / "last").unlink()
    (three.checkpoints / "best").unlink()
    (three.checkpoints / "best").symlink_to("00000077")
    three.last()
    assert links(three) == {"last": "00000030", "best": "00000030"}


def test_a_run_without_checkpoints_begins(folder: RunFolder) -> None:
    assert folder.last() is None
    assert list(folder.whole_checkpoints()) == []


def test_the_whole_checkpoints_come_newest_first(three: RunFolder, tokenizers: Tokenizers) -> None:
    save(three, tokenizers, 40)
    flip(three.checkpoints / "00000030" / "model.safetensors")
    (three.checkpoints / "00000020" / "training.pt").unlink()
    assert [c.folder.name for c in three.whole_checkpoints()] == ["00000040", "00000010"]


@pytest.mark.parametrize(("update", "left"), [(30, [10, 20, 30]), (20, [10, 20]), (5, [])])
def test_later_checkpoints_are_discarded_and_no_link_dangles(
    three: RunFolder, update: int, left: list[int]
) -> None:
    three.discard_after(update)
    assert kept(three) == left
    name = f"{left[-1]:08d}" if left else ""
    assert links(three) == ({"last": name, "best": name} if left else {})


# Beginning anew


def test_a_run_is_moved_aside_whole_to_the_first_free_name(
    three: RunFolder, change: Change, caplog: pytest.LogCaptureFixture
) -> None:
    (three.path / "notes.txt").write_text("mine", encoding="utf-8")
    three.path.with_name("run.1").mkdir()
    before = {p.relative_to(three.path) for p in three.path.rglob("*")}
    anew = RunFolder(change(three.settings, training__resume=Resume.never, seed=9))
    anew.check()
    caplog.set_level("INFO")
    with anew.locked():
        anew.move_aside()
        aside = three.path.with_name("run.2")
        assert {p.relative_to(aside) for p in aside.rglob("*")} == before | {Path(".lock")}
        assert [p.name for p in three.path.iterdir()] == [".lock"]
        assert anew.last() is None
        assert anew.settings_before() is None
        with (
            pytest.raises(InputError, match="another process trains"),
            RunFolder(three.settings).locked(),
        ):
            pass
        with RunFolder(change(three.settings, run_dir=str(aside))).locked():
            pass
    assert f"was moved to {aside}" in caplog.text
    with RunFolder(three.settings).locked():
        pass


def test_where_no_run_is_nothing_is_moved(settings: TrainSettings) -> None:
    folder = RunFolder(settings)
    with folder.locked():
        folder.move_aside()
    assert not folder.path.with_name("run.1").exists()


def test_a_run_in_which_another_process_trains_is_not_moved(
    three: RunFolder, change: Change
) -> None:
    with three.locked():
        anew = RunFolder(change(three.settings, training__resume=Resume.never))
        with pytest.raises(InputError, match="another process trains"), anew.locked():
            anew.move_aside()
    assert kept(three) == [10, 20, 30]


def test_other_files_are_not_moved_aside_but_refused(
    settings: TrainSettings, change: Change
) -> None:
    path = Path(settings.run_dir)
    path.mkdir()
    (path / "thesis.txt").touch()
    with pytest.raises(InputError, match="holds other files"):
        RunFolder(change(settings, training__resume=Resume.never)).check()


def test_refusals_offer_to_begin_anew(three: RunFolder, change: Change) -> None:
    offer = r"or give training\.resume=never or another run_dir"
    with pytest.raises(InputError, match="set them back, " + offer):
        RunFolder(change(three.settings, seed=7)).check()
    with pytest.raises(InputError, match="restore them, " + offer):
        three.check_data("a", "b")


# Failed writes


def test_translations_that_cannot_be_written_warn_or_stop_by_the_setting(
    folder: RunFolder, change: Change, caplog: pytest.LogCaptureFixture
) -> None:
    folder.save_translations("valid", ["a", "b"])
    assert (folder.translations / "valid").read_text(encoding="utf-8") == "a\nb\n"
    (folder.translations / "valid").unlink()
    folder.translations.rmdir()
    folder.save_translations("valid", ["a"])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "valid cannot be written: No such file" in caplog.text
    stop = FaultsConfig(on_write_error=WriteErrorAction.stop)
    with pytest.raises(InputError, match="valid cannot be written: No such file"):
        RunFolder(change(folder.settings, training__faults=stop)).save_translations("valid", ["a"])


def test_a_run_folder_that_has_vanished_is_not_made_again(
    folder: RunFolder, tokenizers: Tokenizers
) -> None:
    folder.path.rename(folder.path.with_name("moved"))
    with pytest.raises(InputError, match="has vanished; it was moved or deleted"):
        save(folder, tokenizers, 1)
    assert not folder.path.exists()


def test_a_vanished_folder_of_checkpoints_is_made_again(
    three: RunFolder, tokenizers: Tokenizers
) -> None:
    shutil.rmtree(three.checkpoints)
    save(three, tokenizers, 40, loss=4.0)
    assert kept(three) == [40]
    assert links(three) == {"last": "00000040", "best": "00000040"}


@pytest.fixture
def prepared(settings: TrainSettings) -> PreparedData:
    return prepare_data(settings.data, settings.tokenizer, settings.cleaning)


def test_a_run_keeps_what_is_known_of_its_text(folder: RunFolder, prepared: PreparedData) -> None:
    folder.save_data(prepared)
    values = json.loads((folder.path / "data.json").read_text(encoding="utf-8"))
    assert values["report"] == json.loads(json.dumps(prepared.report.to_dict()))
    assert values["leaks"] == prepared.leaks
    assert values["pairs"] == len(prepared.train)
    assert values["valid"] == {each.name: len(each.encoded) for each in prepared.valid}
    assert values["tokenizer"] == {
        "source_size": prepared.tokenizers.source.vocab_size,
        "target_size": prepared.tokenizers.target.vocab_size,
    }


def test_a_run_that_goes_on_leaves_what_it_kept_of_its_text(
    begun: RunFolder, prepared: PreparedData
) -> None:
    file = begun.path / "data.json"
    begun.save_data(prepared)
    assert file.exists()
    file.write_text("kept")
    begun.save_data(prepared)
    assert file.read_text() == "kept"
    shutil.rmtree(begun.checkpoints)
    begun.save_data(prepared)
    assert file.read_text() != "kept"
