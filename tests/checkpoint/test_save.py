"""Checkpoints are saved whole or not at all."""

import errno
import os
import pickle
import pickletools
import resource
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import transformer.checkpoint.save as module
from transformer.checkpoint import Checkpoint, Contents, model_weights, save_checkpoint
from transformer.config import Tying
from transformer.errors import InputError

CPU = torch.device("cpu")
FILES = ["config.yaml", "joint.model", "metrics.json", "model.safetensors", "training.pt"]
ReadAll = Callable[[Path], dict[str, bytes]]


@pytest.mark.parametrize("tying", Tying)
def test_what_is_saved_comes_back(
    tmp_path: Path, contents: Callable[..., Contents], tying: Tying
) -> None:
    before = contents(tying=tying, loss=2.5)
    save_checkpoint(tmp_path / "c", before)
    found = Checkpoint(tmp_path / "c")
    assert found.settings == before.settings
    assert found.metrics == {"loss": 2.5}
    assert found.tokenizers.joint
    assert found.tokenizers.source.model == before.tokenizers.source.model
    training = found.training()
    assert torch.equal(training.pop("tensors")[0], torch.arange(4.0))
    assert training == {"position": {"update": 3}, "best": None, "name": "a"}
    model = found.model(CPU)
    assert not model.training
    weights = model_weights(model)
    assert weights.keys() == before.weights.keys()
    assert all(torch.equal(weights[name], before.weights[name]) for name in weights)
    assert (model.output.weight is model.target_embedding.weight) == (tying is not Tying.none)


def test_a_checkpoint_holds_the_files_of_the_design(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == sorted([*FILES, "manifest.json"])
    assert [path.name for path in saved.parent.iterdir()] == ["00000003"]


def test_nothing_needs_pickle(saved: Path) -> None:
    for file in saved.iterdir():
        if file.name != "training.pt":
            assert not zipfile.is_zipfile(file)
            assert not file.read_bytes().startswith(b"\x80")
    torch.load(saved / "training.pt", weights_only=True)
    with zipfile.ZipFile(saved / "training.pt") as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
        called = [
            arg for op, arg, _ in pickletools.genops(archive.read(name)) if op.name == "GLOBAL"
        ]
    assert all(str(arg).split()[0] in {"torch", "torch._utils", "collections"} for arg in called)


@pytest.mark.parametrize(
    "step", ["save_settings", "_write_manifest", "_flush", "_flush_file", "save_file", "rename"]
)
@pytest.mark.parametrize("again", [False, True])
def test_a_failed_save_leaves_nothing_and_the_checkpoints_before_as_they_were(
    saved: Path,
    contents: Callable[..., Contents],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    again: bool,
    read_all: ReadAll,
) -> None:
    before, rename = read_all(saved.parent), Path.replace

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    def replace(path: Path, to: Path) -> None:
        """Fails only where the new checkpoint is to come to its place."""
        fail() if ".old" not in (path.suffix, to.suffix) else rename(path, to)

    match step:
        case "save_file":
            monkeypatch.setattr(safetensors.torch, "save_file", fail)
        case "rename":
            monkeypatch.setattr(Path, "replace", replace)
        case _:
            monkeypatch.setattr(module, step, fail)
    folder = saved if again else saved.with_name("00000006")
    with pytest.raises(InputError, match=r"cannot write the checkpoint .*No space left"):
        save_checkpoint(folder, contents(seed=1))
    monkeypatch.undo()
    assert read_all(saved.parent) == before
    assert [path.name for path in saved.parent.iterdir()] == ["00000003"]
    Checkpoint(saved)


def test_a_save_in_a_place_that_cannot_be_written_is_refused(
    tmp_path: Path, contents: Callable[..., Contents]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="cannot write the checkpoint"):
        save_checkpoint(tmp_path / "file" / "c", contents())


def test_a_save_replaces_what_is_there(saved: Path, contents: Callable[..., Contents]) -> None:
    save_checkpoint(saved, contents(seed=1, loss=0.5))
    assert Checkpoint(saved).metrics == {"loss": 0.5}
    assert [path.name for path in saved.parent.iterdir()] == ["00000003"]


def test_what_a_killed_process_of_the_same_number_left_is_no_obstacle(
    saved: Path, contents: Callable[..., Contents]
) -> None:
    left = saved.with_name(f".00000006.{os.getpid()}")
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"half")
    save_checkpoint(saved.with_name("00000006"), contents())
    assert sorted(p.name for p in saved.parent.iterdir()) == ["00000003", "00000006"]
    Checkpoint(saved.with_name("00000006"))


@contextmanager
def largest_file(n_bytes: int) -> Iterator[None]:
    """No file may grow beyond `n_bytes`, as on a disk that becomes full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_becomes_full_at_any_byte_fails_the_save_cleanly(
    saved: Path, contents: Callable[..., Contents], read_all: ReadAll
) -> None:
    before, given = read_all(saved.parent), contents(seed=1)
    largest = max(file.stat().st_size for file in saved.iterdir())
    for n_bytes in [*range(0, largest, 250), largest - 1]:
        with largest_file(n_bytes), pytest.raises(InputError, match="File too large") as caught:
            save_checkpoint(saved.with_name("00000006"), given)
        assert "\n" not in str(caught.value)
        assert read_all(saved.parent) == before, n_bytes
    with largest_file(largest):
        save_checkpoint(saved.with_name("00000006"), given)


@pytest.mark.parametrize("n_bytes", [0, 100, 1000, 1200])
def test_a_training_state_that_does_not_fit_fails_the_save_cleanly(
    tmp_path: Path, n_bytes: int
) -> None:
    # The weights of a model are written first, and by another library.
    with largest_file(n_bytes), pytest.raises(OSError, match="File too large"):
        module._write_training(tmp_path / "training.pt", {"a": torch.zeros(100)})


def test_what_is_no_fault_of_the_disk_is_a_defect(tmp_path: Path) -> None:
    with pytest.raises((AttributeError, TypeError, RuntimeError, pickle.PicklingError)):
        module._write_training(tmp_path / "training.pt", {"a": lambda: None})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only_fails_the_save_cleanly(
    saved: Path, contents: Callable[..., Contents]
) -> None:
    saved.parent.chmod(0o500)
    try:
        with pytest.raises(InputError, match=r"cannot write the checkpoint .*Permission denied"):
            save_checkpoint(saved.with_name("00000006"), contents())
    finally:
        saved.parent.chmod(0o700)
    Checkpoint(saved)


def test_a_read_only_disk_fails_the_save_cleanly(
    saved: Path, contents: Callable[..., Contents], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(InputError, match=r"cannot write the checkpoint .*Read-only file system"):
        save_checkpoint(saved.with_name("00000006"), contents())
    Checkpoint(saved)


def test_what_a_killed_process_was_replacing_is_put_back(saved: Path, read_all: ReadAll) -> None:
    before = read_all(saved)
    saved.rename(saved.with_name(".00000003.77.old"))
    saved.with_name(".00000004.77.old").mkdir()
    saved.with_name("00000004").mkdir()
    module.recover(saved.parent)
    assert read_all(saved) == before
    assert saved.with_name(".00000004.77.old").exists(), "its place is taken"
    module.recover(saved.parent / "nowhere")
