"""Digests of files, remembered where reading takes long."""

import hashlib
import time
from pathlib import Path

import pytest

from transformer.errors import InputError
from transformer.text import digests
from transformer.text.digests import digest_file


@pytest.fixture
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Grows with each file that is read; two bytes are large, and the memo is the test's own."""
    read: list[Path] = []
    original = digests._digest

    def digest(path: Path) -> bytes:
        read.append(path)
        return original(path)

    monkeypatch.setattr(digests, "_digest", digest)
    monkeypatch.setattr(digests, "LARGE", 2)
    monkeypatch.setattr(digests, "SETTLED_S", -1e9)
    monkeypatch.setenv("TRANSFORMER_MT_CACHE", str(tmp_path / "cache"))
    return read


def test_a_large_file_is_read_once(tmp_path: Path, reads: list[Path]) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    expected = hashlib.blake2b(b"abc").digest()
    assert [digest_file(file) for _ in range(3)] == [expected] * 3
    assert len(reads) == 1


def test_a_file_that_has_changed_is_read_again(tmp_path: Path, reads: list[Path]) -> None:
    file = tmp_path / "a"
    for content in (b"abc", b"abcd", b"xyzt"):
        time.sleep(0.02)  # longer than the clock of the file system stands still
        file.write_bytes(content)
        for _ in range(2):
            assert digest_file(file) == hashlib.blake2b(content).digest()
    assert len(reads) == 3


def test_what_changed_just_before_is_not_remembered(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "SETTLED_S", 60.0)
    (tmp_path / "a").write_bytes(b"abc")
    assert digest_file(tmp_path / "a") == digest_file(tmp_path / "a")
    assert len(reads) == 2


def test_small_files_are_read_each_time_and_leave_no_memo(
    tmp_path: Path, reads: list[Path]
) -> None:
    (tmp_path / "a").write_bytes(b"a")
    assert digest_file(tmp_path / "a") == digest_file(tmp_path / "a")
    assert len(reads) == 2
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_a_damaged_memo_does_no_harm(tmp_path: Path, reads: list[Path], content: str) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "digests.json").write_text(content)
    (tmp_path / "a").write_bytes(b"abc")
    for _ in range(2):
        assert digest_file(tmp_path / "a") == hashlib.blake2b(b"abc").digest()
    assert len(reads) == 1


def test_what_cannot_be_read_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        digest_file(tmp_path / "a")
    with pytest.raises(InputError, match="is a folder"):
        digest_file(tmp_path)
