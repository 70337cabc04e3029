"""Folders built once, whole or not at all."""

import logging
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest
from filelock import FileLock

from transformer.errors import InputError
from transformer.text.cache import InterruptedBuildError, cached_folder, is_whole
from transformer.text.folders import cache_root


class Builder:
    """Fills a folder, counting how often."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, folder: Path) -> None:
        self.count += 1
        (folder / "sub").mkdir()
        (folder / "sub" / "data").write_bytes(b"abcdef")
        (folder / "empty").write_bytes(b"")


def test_a_folder_is_built_once(tmp_path: Path) -> None:
    build = Builder()
    folders = {cached_folder(tmp_path / "root", "key", build) for _ in range(3)}
    assert folders == {tmp_path / "root" / "key"}
    assert build.count == 1
    cached_folder(tmp_path / "root", "other", build)
    assert build.count == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: (folder / "manifest.json").write_text("{"),
        lambda folder: (folder / "sub" / "data").unlink(),
        lambda folder: (folder / "sub" / "data").write_bytes(b"abc"),
        lambda folder: (folder / "sub" / "data").write_bytes(b"abcdeX"),
        lambda folder: (folder / "stray").write_bytes(b""),
    ],
    ids=["no manifest", "bad manifest", "missing", "truncated", "altered", "stray"],
)
def test_a_damaged_folder_is_built_again(tmp_path: Path, damage: object) -> None:
    build = Builder()
    folder = cached_folder(tmp_path, "key", build)
    assert callable(damage)
    damage(folder)
    assert not is_whole(folder)
    assert is_whole(cached_folder(tmp_path, "key", build))
    assert build.count == 2
    assert not (folder / "stray").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InterruptedBuildError("killed")])
def test_a_build_goes_on_with_what_an_interrupted_one_left(
    tmp_path: Path, error: BaseException
) -> None:
    def build(folder: Path) -> None:
        if (folder / "half").exists():
            (folder / "other half").write_bytes(b"other half")
            return
        (folder / "half").write_bytes(b"half")
        raise error

    with pytest.raises(type(error)):
        cached_folder(tmp_path, "key", build)
    assert not (tmp_path / "key").exists()
    folder = cached_folder(tmp_path, "key", build)
    assert {path.name for path in folder.iterdir()} == {"half", "other half", "manifest.json"}
    assert {path.name for path in tmp_path.iterdir()} == {"key", "key.lock"}


def test_a_folder_without_what_is_needed_is_built_again(tmp_path: Path) -> None:
    build = Builder()
    cached_folder(tmp_path, "key", build)
    cached_folder(tmp_path, "key", build, needed=["empty"])
    assert build.count == 1

    def with_more(folder: Path) -> None:
        build(folder)
        (folder / "more").write_bytes(b"")

    for _ in range(2):
        folder = cached_folder(tmp_path, "key", with_more, needed=["more"])
        assert (folder / "more").exists()
    assert build.count == 2


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "half").write_bytes(b"half")
        raise InputError("bad corpus")

    with pytest.raises(InputError, match="bad corpus"):
        cached_folder(tmp_path, "key", build)
    assert {path.name for path in tmp_path.iterdir()} == {"key.lock"}
    assert cached_folder(tmp_path, "key", Builder()).exists()


def test_a_folder_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"data\.cache_dir=.*file/root cannot be written: \w"):
        cached_folder(tmp_path / "file" / "root", "key", Builder())


def test_a_full_disk_is_an_input_error(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        cached_folder(tmp_path, "key", build)
    assert not (tmp_path / "key.building").exists()


SCRIPT = """
import sys, time
from pathlib import Path
from transformer.text.cache import cached_folder
def build(folder):
    with open(sys.argv[1] + "/log", "a") as log:
        log.write("built\\n")
    time.sleep(0.3)
    (folder / "data").write_text("abc")
folder = cached_folder(Path(sys.argv[1], "root"), "key", build)
print((folder / "data").read_text())
"""


def test_of_several_processes_one_builds(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert outputs == ["abc\n"] * 4
    assert (tmp_path / "log").read_text() == "built\n"


def test_who_waits_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lock = FileLock(tmp_path / "key.lock")
    lock.acquire()
    caplog.set_level(logging.INFO)
    # The other process ends as soon as it is waited for.
    monkeypatch.setattr(logging.Logger, "info", lambda *_: lock.release())
    assert is_whole(cached_folder(tmp_path, "key", Builder()))


def test_the_setting_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRANSFORMER_MT_CACHE", raising=False)
    assert cache_root(None) == Path(platformdirs.user_cache_dir("transformer-mt"))
    monkeypatch.setenv("TRANSFORMER_MT_CACHE", "/from/environment")
    assert cache_root(None) == Path("/from/environment")
    assert cache_root("/from/setting") == Path("/from/setting")
    assert cache_root("~/cache") == Path.home() / "cache"


def test_what_lacks_a_file_stays_until_its_successor_is_there(tmp_path: Path) -> None:
    folder = cached_folder(tmp_path, "key", lambda aside: write(aside / "a"))

    def build(aside: Path) -> None:
        assert (folder / "a").exists()
        for name in ("a", "b"):
            write(aside / name)

    assert cached_folder(tmp_path, "key", build, needed=("b",)) == folder
    assert {path.name for path in folder.iterdir()} == {"a", "b", "manifest.json"}


def write(file: Path) -> None:
    file.write_text("x")
