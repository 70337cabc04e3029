"""Properties of the translate command's input."""

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transformer.config import LineFormat
from transformer.errors import InputError
from transformer.translation import lines as module
from transformer.translation.lines import Lines, Window, parse_values
from transformer.translation.request import Request

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\ufeff"))
TEXTS = st.lists(TEXT, min_size=1).filter(lambda texts: texts != [""])
READS_FILES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def windows_of(path: Path | None, skipped: int = 0) -> list[Window]:
    with closing(Lines(None if path is None else str(path), LineFormat.text)) as lines:
        if skipped:
            lines.skip(skipped)
        return list(lines.windows())


def sources_in(windows: list[Window]) -> list[str]:
    return [request.source for window in windows for request in window.requests]


@READS_FILES
@given(texts=TEXTS, window=st.integers(1, 5), data=st.data(), end=st.sampled_from(["\n", "\r\n"]))
def test_windows_behind_any_line_are_the_rest_of_the_file(
    texts: list[str], window: int, data: st.DataObject, end: str, tmp_path: Path
) -> None:
    file = tmp_path / "in"
    file.write_bytes("".join(text + end for text in texts).encode())
    n = data.draw(st.integers(0, len(texts)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WINDOW", window)
        whole, rest = windows_of(file), windows_of(file, n)
    assert sources_in(whole) == texts
    assert sources_in(rest) == texts[n:]
    for found, first in ((whole, 0), (rest, n)):
        assert [each.first for each in found] == list(range(first, len(texts), window))
        assert all(len(each.requests) == window for each in found[:-1])
        assert not found or found[-1].position == file.stat().st_size
    digests = {each.end: each.digest for each in whole}
    assert all(digests.get(each.end, each.digest) == each.digest for each in rest)
    with closing(Lines(str(file), LineFormat.text)) as lines:
        for each in whole:
            assert lines.skip(each.end) == each.digest
            lines.rewind()
        assert sources_in(list(lines.windows())) == texts


def test_a_digest_depends_on_every_line(tmp_path: Path) -> None:
    digests = set()
    for content in ("a\nb\n", "ab\n\n", "b\na\n", "a\nb \n", "\na\nb\n"):
        (tmp_path / "in").write_text(content, encoding="utf-8")
        digests.add(windows_of(tmp_path / "in")[0].digest)
    assert len(digests) == 5


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The end to write to of a pipe that is standard input."""
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reader, os.fdopen(write, "wb", 0) as writer:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=reader))
        yield writer


def test_a_pipe_gives_what_has_come(pipe: Any) -> None:
    windows = Lines(None, LineFormat.text).windows()
    pipe.write(b"\xef\xbb\xbfone\n")
    assert next(windows) == Window(first=0, requests=[Request(source="one")])
    pipe.write(b"two\r\n\nthr")
    pipe.write("ée".encode())
    pipe.close()
    rest = list(windows)
    assert sources_in(rest) == ["two", "", "thrée"]
    assert rest[0].first == 1


def test_lines_before_one_that_is_not_utf_8_come_first(pipe: Any) -> None:
    pipe.write(b"one\ntwo\n\xff\nfour\n")
    pipe.close()
    windows, found = Lines(None, LineFormat.text).windows(), list[Window]()
    with pytest.raises(InputError, match="standard input is not UTF-8: line 3"):
        found.extend(windows)
    assert sources_in(found) == ["one", "two"]


def test_a_pipe_that_is_named_is_read_as_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    # Opened for both, so that neither end waits for the other.
    descriptor = os.open(tmp_path / "fifo", os.O_RDWR)
    windows = Lines(str(tmp_path / "fifo"), LineFormat.text).windows()
    os.write(descriptor, b"one\n")
    assert sources_in([next(windows)]) == ["one"]
    os.write(descriptor, b"two\n")
    os.close(descriptor)
    assert sources_in(list(windows)) == ["two"]


def test_standard_input_may_be_a_file_or_an_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").write_bytes(b"one\ntwo")
    with (tmp_path / "in").open("rb") as stream:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream))
        (window,) = windows_of(None)
    assert sources_in([window]) == ["one", "two"]
    assert window.position == 7
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"one\ntwo")))
    assert sources_in(windows_of(None)) == ["one", "two"]
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input is closed"):
        Lines(None, LineFormat.text)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda file: None, "does not exist"),
        (lambda file: file.touch(), "is empty"),
        (lambda file: file.mkdir(), "is a folder"),
    ],
    ids=["missing", "empty", "folder"],
)
def test_a_file_without_lines_is_refused_at_once(make: Any, message: str, tmp_path: Path) -> None:
    make(tmp_path / "in")
    with pytest.raises(InputError, match=message):
        Lines(str(tmp_path / "in"), LineFormat.text)


@given(
    request=st.builds(
        Request,
        source=TEXT,
        prefix=TEXT,
        include=st.lists(TEXT, max_size=3),
        exclude=st.lists(TEXT, max_size=3),
    )
)
def test_a_request_is_what_its_object_says(request: Request) -> None:
    values = {
        "source": request.source,
        "prefix": request.prefix,
        "include": list(request.include),
        "exclude": list(request.exclude),
    }
    for text in (json.dumps(values), json.dumps(values, ensure_ascii=False)):
        assert Request(**parse_values(text, "")) == request
    given = {key: value for key, value in values.items() if value or key == "source"}
    assert Request(**parse_values(json.dumps(given), "")) == Request(
        source=request.source,
        **{key: value for key, value in given.items() if key != "source"},  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is blank"),
        (" \t", "is blank"),
        ("{", "is no JSON"),
        ("{} {}", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('"a"', "must hold an object"),
        ('["a"]', "must hold an object"),
        ("{}", "has no source"),
        ('{"prefix": "a"}', "has no source"),
        ('{"source": 1}', "source is 1; it must be text"),
        ('{"source": null}', "source is null"),
        ('{"source": ["a"]}', "it must be text"),
        (
            '{"source": "a", "target": "b"}',
            "'target'; there are source, target_language, prefix, include",
        ),
        ('{"source": "a", "prefix": ["b"]}', "prefix is"),
        ('{"source": "a", "include": "b"}', "include is .*; it must be a list of text"),
        ('{"source": "a", "exclude": [1]}', "exclude is .*; it must be a list of text"),
        ('{"source": "a\\nb"}', "source holds a line break"),
        ('{"source": "a", "include": ["\\n"]}', "include holds a line break"),
        ('{"source": "\\ud800"}', "half a surrogate pair"),
    ],
)
def test_what_is_no_request_is_refused_with_its_line(
    text: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "in"
    file.write_text('{"source": "a"}\n' * 2 + text + "\n", encoding="utf-8")
    with (
        closing(Lines(str(file), LineFormat.jsonl)) as lines,
        pytest.raises(InputError, match=f"in, line 3.*{message}") as error,
    ):
        list(lines.windows())
    assert "\n" not in str(error.value)
    with closing(Lines(str(file), LineFormat.jsonl)) as lines:
        lines.skip(1)
        with pytest.raises(InputError, match="line 3"):
            list(lines.windows())
