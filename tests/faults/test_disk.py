"""A disk that takes no checkpoint costs that checkpoint, no more."""

import errno
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.faults.runs import arguments, changed, checkpoints, differences
from transformer.checkpoint import Checkpoint, list_checkpoints
from transformer.cli.main import main
from transformer.config import TrainSettings, WriteErrorAction
from transformer.errors import InputError
from transformer.training import train
from transformer.training.run import RunFolder
from transformer.training.update import Updater
from transformer.training.writer import CheckpointWriter

Trouble = Callable[[Path], AbstractContextManager[None]]
FAILING = 9  # the update whose checkpoint cannot be written


def mount(*arguments: str) -> None:
    """Call mount; the test is skipped where that is not permitted."""
    found = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True)
    if found.returncode:
        pytest.skip(f"mounting is not permitted here: {found.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder))
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(run_dir: Path) -> Iterator[None]:
    """Nothing is left of the disk but what one of its blocks has."""
    ballast = run_dir.parent / "ballast"
    with ballast.open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(bytes(4096)):
            pass
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def limited(run_dir: Path) -> Iterator[None]:
    """No file may be larger than 20 kB, as with a quota."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def failing_late(run_dir: Path) -> Iterator[None]:
    """The disk says that it is full when it is asked to hold what it took."""

    def fail(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        yield


@contextmanager
def failing_last(run_dir: Path) -> Iterator[None]:
    """The checkpoint is written, but cannot be put into its place."""

    def fail(self: Path, target: Path) -> Path:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        yield


@contextmanager
def read_only(run_dir: Path) -> Iterator[None]:
    """Nobody may write to the folder of checkpoints, not even the superuser."""
    folder = str(run_dir / "checkpoints")
    mount("--bind", folder, folder)
    try:
        mount("-o", "remount,ro,bind", folder)
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def moved(run_dir: Path) -> Iterator[None]:
    """The run's folder is elsewhere for a while."""
    run_dir.rename(run_dir.with_name("elsewhere"))
    try:
        yield
    finally:
        run_dir.with_name("elsewhere").rename(run_dir)


TROUBLES = (full, limited, failing_late, failing_last, read_only, moved)


@pytest.fixture(params=TROUBLES, ids=lambda trouble: trouble.__name__)
def trouble(
    request: pytest.FixtureRequest, settings: TrainSettings, tmp_path: Path
) -> tuple[Trouble, TrainSettings]:
    """A trouble, and the settings of a run that may have it."""
    if request.param is full:
        disk: Path = request.getfixturevalue("small_disk")
        settings = replace(settings, run_dir=str(disk / "run"))
    if request.param is read_only and os.geteuid():
        pytest.skip("only the superuser may mount")
    return request.param, settings


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint is written before training goes on: who writes what when is then certain."""
    save = CheckpointWriter.save

    def saved(self: CheckpointWriter, *arguments: Any) -> None:
        save(self, *arguments)
        assert self._thread is not None
        self._thread.join()

    monkeypatch.setattr(CheckpointWriter, "save", saved)


@contextmanager
def troubled(trouble: Trouble, settings: TrainSettings, update: int) -> Iterator[list[list[int]]]:
    """Has the trouble while the checkpoint of `update` is written; gives those whole afterwards."""
    save = RunFolder.save
    whole: list[list[int]] = []

    def saved(self: RunFolder, number: int, contents: Any) -> None:
        if number != update:
            save(self, number, contents)
            return
        try:
            with trouble(self.path):
                save(self, number, contents)
        finally:
            found = list_checkpoints(self.checkpoints)
            whole.append([int(Checkpoint(folder).folder.name) for folder in found])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "save", saved)
        yield whole


@pytest.mark.usefixtures("at_once")
def test_a_run_goes_on_without_a_checkpoint_and_ends_the_same(
    trouble: tuple[Trouble, TrainSettings],
    undisturbed: Callable[..., TrainSettings],
    caplog: pytest.LogCaptureFixture,
) -> None:
    harm, settings = trouble
    with troubled(harm, settings, FAILING) as whole:
        train(settings)
    assert whole == [[4, 6, 8]]
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "the checkpoint of update 8 is whole; it is tried again" in warnings[0]
    assert not differences(settings.run_dir, undisturbed().run_dir, kept=False)
    left = {path.name for path in (Path(settings.run_dir) / "checkpoints").iterdir()}
    assert left == {f"{n:08d}" for n in checkpoints(settings.run_dir)} | {"last", "best"}


@pytest.mark.usefixtures("at_once")
def test_a_run_told_to_stop_does_so_with_one_line_and_goes_on_when_there_is_space(
    trouble: tuple[Trouble, TrainSettings],
    undisturbed: Callable[..., TrainSettings],
    capsys: pytest.CaptureFixture[str],
) -> None:
    harm, settings = trouble
    stop = "training.faults.on_write_error=stop"
    with troubled(harm, settings, FAILING) as whole:
        assert main(arguments(settings, stop)) == 1
    assert whole == [[4, 6, 8]]
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert "the checkpoint of update 8 is whole" in line
    train(changed(settings, training__faults__on_write_error=WriteErrorAction.stop))
    assert not differences(settings.run_dir, undisturbed().run_dir)


@pytest.mark.usefixtures("at_once")
def test_the_last_checkpoint_must_be_written(
    trouble: tuple[Trouble, TrainSettings], undisturbed: Callable[..., TrainSettings]
) -> None:
    harm, settings = trouble
    with (
        troubled(harm, settings, settings.training.max_updates),
        pytest.raises(InputError, match="the checkpoint of update 12 is whole"),
    ):
        train(settings)
    train(settings)
    assert not differences(settings.run_dir, undisturbed().run_dir)


def test_a_disk_that_is_full_for_long_costs_checkpoints_and_curves_but_no_update(
    small_disk: Path,
    settings: TrainSettings,
    undisturbed: Callable[..., TrainSettings],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = replace(settings, run_dir=str(small_disk / "run"))
    trouble = full(Path(settings.run_dir))
    update = Updater.update

    def updated(self: Updater, batches: Any, flags: Any) -> Any:
        if batches.position.update == 6:
            trouble.__enter__()
        if batches.position.update == 13:
            trouble.__exit__(None, None, None)
        return update(self, batches, flags)

    monkeypatch.setattr(Updater, "update", updated)
    train(settings)
    assert "cannot write the checkpoint" in caplog.text
    found = differences(settings.run_dir, undisturbed().run_dir, kept=False)
    assert [name for name in found if not name.startswith(("curve", "translations", "text"))] == []
