"""Properties of a folder of checkpoints."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from transformer.checkpoint import (
    Contents,
    find_checkpoint,
    keep_checkpoints,
    link_checkpoint,
    list_checkpoints,
    save_checkpoint,
)
from transformer.errors import InputError


def test_a_path_names_its_checkpoint_or_the_best_or_the_last_of_a_run(
    saved: Path, contents: Callable[..., Contents]
) -> None:
    run = saved.parents[1]
    assert find_checkpoint(saved) == saved
    link_checkpoint("last", saved)
    assert find_checkpoint(str(run)) == saved.resolve()
    later = saved.with_name("00000006")
    save_checkpoint(later, contents())
    link_checkpoint("best", saved)
    link_checkpoint("last", later)
    assert find_checkpoint(run) == saved.resolve()
    link_checkpoint("best", later)
    assert find_checkpoint(run) == later.resolve()
    assert find_checkpoint(saved.with_name("last")) == saved.with_name("last")
    assert not (saved.parent / "best").readlink().is_absolute(), "a run's folder may be moved"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "does not exist"),
        ("file", "is a file"),
        ("empty", "holds no checkpoint"),
    ],
)
def test_a_path_without_a_checkpoint_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=f"checkpoint=.*{name} {message}"):
        find_checkpoint(tmp_path / name)


def test_checkpoints_are_listed_oldest_first_without_links_and_leftovers(
    saved: Path, contents: Callable[..., Contents]
) -> None:
    for name in ("00000020", "00000100"):
        save_checkpoint(saved.with_name(name), contents())
    link_checkpoint("best", saved)
    saved.with_name(".00000200.77").mkdir()
    names = ["00000003", "00000020", "00000100"]
    assert [path.name for path in list_checkpoints(saved.parent)] == names
    keep_checkpoints(saved.parent, [saved, saved.with_name("00000100")])
    assert [path.name for path in list_checkpoints(saved.parent)] == ["00000003", "00000100"]
    assert list_checkpoints(saved.with_name("nowhere")) == []


def test_without_links_a_run_still_has_its_newest_checkpoint(
    saved: Path, contents: Callable[..., Contents]
) -> None:
    later = saved.with_name("00000006")
    save_checkpoint(later, contents())
    assert find_checkpoint(saved.parents[1]) == later.resolve()
    for name in ("best", "last"):
        saved.with_name(name).symlink_to("00000077")
    assert find_checkpoint(saved.parents[1]) == later.resolve()


def test_checkpoints_of_more_updates_than_digits_are_in_order(saved: Path) -> None:
    for name in ("100000000", "00000020"):
        shutil.copytree(saved, saved.with_name(name))
    names = ["00000003", "00000020", "100000000"]
    assert [path.name for path in list_checkpoints(saved.parent)] == names


def test_a_half_deleted_checkpoint_of_the_same_update_is_no_obstacle(saved: Path) -> None:
    half = saved.with_name(".00000003.0")
    half.mkdir()
    (half / "model.safetensors").touch()
    keep_checkpoints(saved.parent, [])
    assert list(saved.parent.iterdir()) == []


def test_what_was_being_replaced_is_put_back_before_leftovers_are_deleted(saved: Path) -> None:
    saved.rename(saved.with_name(".00000003.77.old"))
    saved.with_name(".00000003.77").mkdir()
    keep_checkpoints(saved.parent, [saved])
    assert list(saved.parent.iterdir()) == [saved]
