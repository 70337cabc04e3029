"""Properties of curves as they are read."""

from collections.abc import Callable
from pathlib import Path

import pytest

from transformer.evaluation.page.scalars import read_scalars
from transformer.training.curves import Curves


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., None]:
    """Writes a file of points, as of a run that goes on after `update`."""

    def write(update: int, values: dict[int, float]) -> None:
        curves = Curves(tmp_path, update)
        for number, value in values.items():
            curves.add_scalars({"train/loss": value}, number)
        curves.close()

    return write


def test_points_after_the_update_that_a_run_goes_on_from_give_way(
    write: Callable[..., None], tmp_path: Path
) -> None:
    write(0, {10: 1.0, 20: 2.0, 30: 3.0})
    write(20, {30: 4.0, 40: 5.0})
    found = read_scalars(tmp_path)
    assert found.curves["train/loss"].updates == [10, 20, 30, 40]
    assert found.curves["train/loss"].values == [1, 2, 4, 5]
    assert (found.last("train/loss"), found.last_updates(), found.notes) == (5, [40], [])
    assert found.last("energy/kwh") is None


def test_all_points_of_a_long_run_are_read(write: Callable[..., None], tmp_path: Path) -> None:
    write(0, dict.fromkeys(range(1, 1503), 1.0))
    assert len(read_scalars(tmp_path).curves["train/loss"].updates) == 1502


@pytest.mark.parametrize("lost", [1, 9, 30])
def test_a_file_that_is_cut_off_is_named_and_read_up_to_there(
    write: Callable[..., None], tmp_path: Path, lost: int
) -> None:
    write(0, {10: 1.0, 20: 2.0})
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-lost])
    found = read_scalars(tmp_path)
    assert found.curves["train/loss"].updates == [10]
    assert [file.name in note for note in found.notes] == [True]


def test_a_file_of_anything_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents.1").write_bytes(b"\xff" * 1000)
    found = read_scalars(tmp_path)
    assert found.curves == {}
    assert "damaged" in found.notes[0]


@pytest.mark.parametrize("name", ["absent", "."])
def test_where_there_is_no_file_a_note_says_so(tmp_path: Path, name: str) -> None:
    found = read_scalars(tmp_path / name)
    assert (found.curves, found.ended, found.minutes) == ({}, None, None)
    assert "training writes it" in found.notes[0]


def test_a_file_without_points_yet_says_when_they_come(
    write: Callable[..., None], tmp_path: Path
) -> None:
    write(0, {})
    assert "training.log_every" in read_scalars(tmp_path).notes[0]
