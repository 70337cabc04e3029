"""Test sets by sacreBLEU's names."""

import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from sacrebleu.dataset import DATASETS

from transformer.errors import InputError
from transformer.evaluation.testsets import TIMEOUT, named_set


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of wmt14 in a cache, with two sentences in it."""
    folder = tmp_path / "wmt14"
    folder.mkdir()
    (folder / "wmt14.en-de.src").write_text("One  line\nTwo\n", encoding="utf-8")
    (folder / "wmt14.en-de.ref").write_text("Eine Zeile\nZwei\n", encoding="utf-8")
    for field in ("docid", "genre", "origlang"):
        (folder / f"wmt14.en-de.{field}").write_text("x\nx\n", encoding="utf-8")
    monkeypatch.setattr(DATASETS["wmt14"], "_outdir", str(folder))
    monkeypatch.setattr(DATASETS["wmt14"], "_rawdir", str(folder / "raw"))
    return folder


def test_a_set_in_the_cache_is_read_without_a_network(
    cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", None)
    found = named_set("wmt14", "en-de")
    assert (found.name, found.direction, found.language) == ("wmt14", "en-de", "de")
    assert found.sources == ["One  line", "Two"]
    assert found.references == [["Eine Zeile", "Zwei"]]


def test_without_cache_and_network_one_line_says_where_to_put_the_set(
    cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float | None] = []

    def unreachable(*_: Any, **__: Any) -> Any:
        waited.append(socket.getdefaulttimeout())
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    with pytest.raises(InputError, match=r"test_set=wmt14: .*no network.*copy that folder"):
        named_set("wmt14", "de-en")
    assert waited == [TIMEOUT]
    assert socket.getdefaulttimeout() is None


def test_a_misspelt_set_or_direction_is_named_with_what_there_is(cached: Path) -> None:
    with pytest.raises(InputError, match=r"test_set=wtm14: .* did you mean .*wmt14"):
        named_set("wtm14", "en-de")
    with pytest.raises(InputError, match=r"test_set=wmt14 has no direction en-xx; it has .*en-de"):
        named_set("wmt14", "en-xx")


def test_a_damaged_cache_is_named(cached: Path) -> None:
    (cached / "wmt14.en-de.ref").write_text("Eine Zeile\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"test_set=wmt14: .*wmt14 is damaged"):
        named_set("wmt14", "en-de")
