"""Properties of checkpoints written in the background."""

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from transformer.checkpoint import Checkpoint, Contents, list_checkpoints
from transformer.config import TrainSettings, WriteErrorAction
from transformer.errors import InputError
from transformer.text.dataset import prepare_data
from transformer.training.run import RunFolder
from transformer.training.writer import CheckpointWriter, Snapshot

GO_ON, STOP = WriteErrorAction.go_on, WriteErrorAction.stop
Save = Callable[[int, Contents], None]


@pytest.fixture
def folder(settings: TrainSettings) -> RunFolder:
    folder = RunFolder(settings)
    folder.create(prepare_data(settings.data, settings.tokenizer, settings.cleaning).tokenizers)
    return folder


@pytest.fixture
def contents(settings: TrainSettings) -> Callable[..., Contents]:
    """Makes the contents of a checkpoint, all of whose tensors hold `value`."""
    tokenizers = prepare_data(settings.data, settings.tokenizer, settings.cleaning).tokenizers

    def make(value: float = 1.0, size: int = 4) -> Contents:
        weights = {"w": torch.full((size,), value)}
        training = {"moments": [torch.full((size,), value), (torch.tensor(value), 3)]}
        return Contents(weights, settings, tokenizers, {"loss": value}, training)

    return make


@pytest.fixture
def small_disk(folder: RunFolder) -> Iterator[RunFolder]:
    """The run with a folder of checkpoints that takes 512 KiB; skips where that may not be made."""
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder.checkpoints)]
    try:
        done = subprocess.run(command, check=False, capture_output=True)
    except OSError:
        pytest.skip("there is no mount")
    if done.returncode != 0:
        pytest.skip("a file system may not be mounted")
    yield folder
    subprocess.run(["umount", "-l", str(folder.checkpoints)], check=True)


@pytest.fixture
def gate(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Opens the way for writes, which wait until it is set."""
    gate, save = threading.Event(), folder.save

    def wait_and_save(update: int, contents: Contents) -> None:
        assert gate.wait(20)
        save(update, contents)

    monkeypatch.setattr(folder, "save", wait_and_save)
    return gate


def saved(folder: RunFolder) -> list[int]:
    return [int(path.name) for path in list_checkpoints(folder.checkpoints)]


def hidden(folder: RunFolder) -> list[str]:
    return [p.name for p in folder.checkpoints.iterdir() if p.name.startswith(".")]


def failing(error: Exception) -> Save:
    def fail(update: int, contents: Contents) -> None:
        raise error

    return fail


def test_training_may_change_what_is_being_saved(
    folder: RunFolder, contents: Callable[..., Contents], gate: threading.Event
) -> None:
    writer, given = CheckpointWriter(folder, STOP), contents(1.0)
    writer.save(7, given)
    assert saved(folder) == []
    given.weights["w"].fill_(9.0)
    assert given.training is not None
    given.training["moments"][0].fill_(9.0)
    given.training["moments"][1][0].fill_(9.0)
    given.metrics["loss"] = 9.0  # type: ignore[index]
    gate.set()
    writer.close(must_succeed=True)
    found = Checkpoint(folder.checkpoints / "00000007")
    moments, (moment, number) = found.training()["moments"]
    assert found.weights()["w"].tolist() == moments.tolist() == [1.0] * 4
    assert (moment.item(), number, found.metrics) == (1.0, 3, {"loss": 1.0})


def test_a_save_waits_for_the_one_before_and_tells_how_long_it_took(
    folder: RunFolder, contents: Callable[..., Contents], gate: threading.Event
) -> None:
    writer = CheckpointWriter(folder, STOP)
    writer.save(1, contents(1.0))
    assert writer.stall_s > 0
    timer = threading.Timer(0.2, gate.set)
    timer.start()
    writer.save(2, contents(2.0))
    timer.join()
    assert writer.stall_s > 0.1
    writer.wait()
    assert saved(folder) == [1, 2]
    weights = [Checkpoint(path).weights()["w"] for path in list_checkpoints(folder.checkpoints)]
    assert [weight[0].item() for weight in weights] == [1.0, 2.0]


def test_checkpoints_without_training_state_can_be_written_too(
    folder: RunFolder, contents: Callable[..., Contents]
) -> None:
    writer, given = CheckpointWriter(folder, STOP), contents()
    writer.save(1, Contents(given.weights, given.settings, given.tokenizers, {}, None))
    writer.close(must_succeed=True)
    assert not (folder.checkpoints / "00000001" / "training.pt").exists()


# Snapshots


def test_a_snapshot_copies_every_tensor_and_keeps_all_else() -> None:
    values = {
        "a": {"b": [torch.arange(6.0).view(2, 3).T, (torch.tensor(2, dtype=torch.int32), "text")]},
        "c": None,
        "d": torch.ones(3, dtype=torch.bfloat16, requires_grad=True),
    }
    taken: dict[str, Any] = Snapshot().take(values)
    transposed, (number, text) = taken["a"]["b"]
    assert transposed.tolist() == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
    assert (number.item(), number.dtype, text, taken["c"]) == (2, torch.int32, "text", None)
    assert taken["d"].dtype is torch.bfloat16
    assert not taken["d"].requires_grad


def test_a_snapshot_reuses_the_memory_of_the_one_before_where_it_fits() -> None:
    snapshot = Snapshot()
    first = snapshot.take({"same": torch.zeros(3), "grown": torch.zeros(3), "gone": torch.ones(1)})
    second = snapshot.take({"same": torch.ones(3), "grown": torch.ones(4)})
    assert second["same"].data_ptr() == first["same"].data_ptr()
    assert second["same"].tolist() == [1.0] * 3
    assert second["grown"].shape == (4,)
    assert snapshot.buffers.keys() == {"/same", "/grown"}
    third = snapshot.take({"same": torch.ones(3, dtype=torch.float64)})
    assert third["same"].dtype is torch.float64


@pytest.mark.gpu
def test_a_snapshot_of_a_gpu_is_taken_before_the_tensors_change() -> None:
    weights = {"w": torch.ones(1 << 22, device="cuda"), "on the host": torch.ones(2)}
    snapshot = Snapshot()
    for value in (1.0, 2.0):
        weights["w"].fill_(value)
        taken = snapshot.take(weights)
        weights["w"].fill_(-1.0)
        assert taken["w"].is_pinned()
        assert taken["w"].device.type == "cpu"
        assert torch.equal(taken["w"], torch.full((1 << 22,), value))


# Failures


def test_a_failed_write_is_told_once_and_training_goes_on(
    folder: RunFolder,
    contents: Callable[..., Contents],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer = CheckpointWriter(folder, GO_ON)
    writer.save(1, contents())
    writer.wait()
    with monkeypatch.context() as patch:
        patch.setattr(folder, "save", failing(InputError("cannot write 2: no space")))
        writer.save(2, contents())
        writer.wait()
        writer.poll()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == (
        "cannot write 2: no space; the checkpoint of update 1 is whole; "
        "it is tried again at the next checkpoint"
    )
    writer.save(3, contents())
    writer.close(must_succeed=True)
    assert saved(folder) == [1, 3]
    assert len(caplog.records) == 1


def test_a_failed_write_ends_training_where_that_is_the_setting(
    folder: RunFolder, contents: Callable[..., Contents], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = CheckpointWriter(folder, STOP)
    monkeypatch.setattr(folder, "save", failing(InputError("cannot write 2: no space")))
    writer.save(2, contents())
    assert writer._thread is not None
    writer._thread.join()
    with pytest.raises(InputError, match="cannot write 2: no space; no checkpoint is left there"):
        writer.poll()
    writer.poll()
    writer.close(must_succeed=False)


@pytest.mark.parametrize("polled", [False, True])
def test_the_last_write_must_succeed_whatever_the_setting(
    folder: RunFolder,
    contents: Callable[..., Contents],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    polled: bool,
) -> None:
    writer = CheckpointWriter(folder, GO_ON)
    monkeypatch.setattr(folder, "save", failing(InputError("cannot write 2: no space")))
    writer.save(2, contents())
    if polled:
        writer.wait()
    with pytest.raises(InputError, match="cannot write 2: no space"):
        writer.close(must_succeed=True)
    assert len(caplog.records) == int(polled), "an error is not warned of as well"


def test_a_failure_that_need_not_end_anything_is_only_told_at_the_end(
    folder: RunFolder,
    contents: Callable[..., Contents],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer = CheckpointWriter(folder, GO_ON)
    monkeypatch.setattr(folder, "save", failing(InputError("cannot write 2: no space")))
    writer.save(2, contents())
    writer.close(must_succeed=False)
    assert "no space" in caplog.text


def test_a_defect_in_the_thread_keeps_its_traceback(
    folder: RunFolder, contents: Callable[..., Contents], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = CheckpointWriter(folder, GO_ON)
    monkeypatch.setattr(folder, "save", failing(ZeroDivisionError("a defect")))
    writer.save(2, contents())
    with pytest.raises(ZeroDivisionError, match="a defect") as caught:
        writer.wait()
    assert any(entry.name == "fail" for entry in caught.traceback)
    writer.close(must_succeed=False)


def test_a_full_disk_leaves_the_checkpoint_before_whole_and_is_made_up_for(
    small_disk: RunFolder,
    contents: Callable[..., Contents],
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer = CheckpointWriter(small_disk, GO_ON)
    writer.save(1, contents(1.0))
    writer.save(2, contents(2.0, size=200_000))
    writer.wait()
    assert "No space left on device; the checkpoint of update 1 is whole" in caplog.text
    assert saved(small_disk) == [1]
    assert hidden(small_disk) == []
    last = small_disk.last()
    assert last is not None
    assert last.folder.name == "00000001"
    writer.save(3, contents(3.0))
    writer.close(must_succeed=True)
    assert saved(small_disk) == [1, 3]


@pytest.mark.parametrize("action", WriteErrorAction)
def test_a_vanished_run_folder_is_said_and_not_made_again(
    folder: RunFolder,
    contents: Callable[..., Contents],
    caplog: pytest.LogCaptureFixture,
    action: WriteErrorAction,
) -> None:
    writer = CheckpointWriter(folder, action)
    writer.save(1, contents())
    writer.wait()
    moved = folder.path.rename(folder.path.with_name("moved"))
    writer.save(2, contents())
    if action is STOP:
        with pytest.raises(InputError, match="has vanished"):
            writer.wait()
    else:
        writer.wait()
        assert "has vanished; it was moved or deleted" in caplog.text
    assert not folder.path.exists()
    assert Checkpoint(moved / "checkpoints" / "last").weights()["w"].tolist() == [1.0] * 4


def test_a_deleted_folder_of_checkpoints_is_filled_again(
    folder: RunFolder, contents: Callable[..., Contents]
) -> None:
    writer = CheckpointWriter(folder, GO_ON)
    writer.save(1, contents())
    writer.wait()
    shutil.rmtree(folder.checkpoints)
    writer.save(2, contents())
    writer.close(must_succeed=True)
    assert saved(folder) == [2]


def test_a_folder_that_goes_away_in_the_middle_of_a_write_is_a_failed_write(
    folder: RunFolder,
    contents: Callable[..., Contents],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import transformer.checkpoint.save as module

    manifest = module._write_manifest

    def move_and_write(aside: Path) -> None:
        folder.path.rename(folder.path.with_name("moved"))
        manifest(aside)

    writer = CheckpointWriter(folder, GO_ON)
    monkeypatch.setattr(module, "_write_manifest", move_and_write)
    writer.save(1, contents())
    writer.wait()
    assert "No such file or directory" in caplog.text
    assert not folder.path.exists()
