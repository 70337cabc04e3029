"""A checkpoint of which a file is cut short, altered or missing costs its updates, no more."""

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.conftest import cut_off
from tests.faults.runs import checkpoints, differences, make_settings
from transformer.checkpoint import MANIFEST, Checkpoint
from transformer.config import TrainSettings
from transformer.errors import InputError
from transformer.training import train

FILES = (
    *("config.yaml", "manifest.json", "metrics.json", "model.safetensors", "training.pt"),
    "joint.model",
)


def shorten(file: Path, draw: random.Random) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: draw.randrange(len(data))])


def empty(file: Path, draw: random.Random) -> None:
    file.write_bytes(b"")


def remove(file: Path, draw: random.Random) -> None:
    file.unlink()


def flip(file: Path, draw: random.Random) -> None:
    data = bytearray(file.read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    file.write_bytes(data)


def blank(file: Path, draw: random.Random) -> None:
    """What some file systems leave after the power fails: the right length, all zeros."""
    file.write_bytes(bytes(file.stat().st_size))


HARMS = (shorten, empty, remove, flip, blank)


@pytest.fixture(scope="module")
def stump(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was cut off after update 10."""
    folder = tmp_path_factory.mktemp("stump") / "run"
    cut_off(make_settings(corpus, folder, corpus / "cache"), 11)
    return folder


@pytest.fixture
def copy(stump: Path, settings: TrainSettings, tmp_path: Path) -> Callable[[], TrainSettings]:
    """Copies the run that was cut off, each time to another folder; gives its settings."""
    n = 0

    def copied() -> TrainSettings:
        nonlocal n
        n += 1
        shutil.copytree(stump, tmp_path / f"copy{n}", symlinks=True)
        return replace(settings, run_dir=str(tmp_path / f"copy{n}"))

    return copied


def newest(settings: TrainSettings, n: int) -> list[Path]:
    folder = Path(settings.run_dir) / "checkpoints"
    return [folder / f"{update:08d}" for update in checkpoints(settings.run_dir)[-n:]]


def test_every_file_of_a_checkpoint_is_harmed_here(stump: Path) -> None:
    folder = stump / "checkpoints" / f"{checkpoints(stump)[-1]:08d}"
    assert {file.name for file in folder.iterdir()} <= set(FILES)


@pytest.mark.parametrize(
    ("harm", "n_damaged"),
    [
        pytest.param(
            *(harm, n),
            id=f"{harm.__name__}-{n}",
            marks=[] if (harm, n) in {(shorten, 1), (flip, 2)} else [pytest.mark.slow],
        )
        for harm in HARMS
        for n in (1, 2)
    ],
)
def test_a_run_goes_on_bit_for_bit_from_the_last_checkpoint_that_is_whole(
    copy: Callable[[], TrainSettings],
    undisturbed: Callable[..., TrainSettings],
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
    harm: Callable[[Path, random.Random], None],
    n_damaged: int,
) -> None:
    draw = random.Random(n_damaged)
    for name in sorted(file.name for file in newest(copy(), 1)[0].iterdir()):
        settings = copy()
        damaged = newest(settings, n_damaged)
        before = checkpoints(settings.run_dir)
        for folder in damaged:
            harm(folder / name, draw)
        caplog.clear()
        train(settings)
        assert f"going on after update {before[-n_damaged - 1]}" in caplog.text
        warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
        assert len(warnings) == n_damaged
        assert all(folder.with_name(f"{folder.name}.damaged").is_dir() for folder in damaged)
        assert not differences(settings.run_dir, undisturbed().run_dir), name
        record_property("faults", n_damaged)
        record_property("lost", 10 - before[-n_damaged - 1])


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_where_all_checkpoints_are_damaged_the_run_is_refused_and_nothing_changed(
    copy: Callable[[], TrainSettings], harm: Callable[[Path, random.Random], None]
) -> None:
    settings = copy()
    for folder in newest(settings, 99):
        harm(folder / "model.safetensors", random.Random(3))
    before = {path: path.stat().st_mtime_ns for path in newest(settings, 99)}
    with pytest.raises(InputError, match=r"none of the \d+ checkpoints .* is whole .*resume=never"):
        train(settings)
    assert {path: path.stat().st_mtime_ns for path in newest(settings, 99)} == before


def test_no_altered_bit_of_the_manifest_goes_unnoticed(copy: Callable[[], TrainSettings]) -> None:
    (folder,) = newest(copy(), 1)
    file = folder / MANIFEST
    data = file.read_bytes()
    draw = random.Random(8)
    unnoticed = []
    for i in range(len(data)):
        bit = draw.randrange(8)
        file.write_bytes(data[:i] + bytes([data[i] ^ 1 << bit]) + data[i + 1 :])
        try:
            Checkpoint(folder).training()
        except InputError:
            continue
        unnoticed.append((i, bit))
    assert unnoticed == []
