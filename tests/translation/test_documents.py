"""Properties of translating lines with the sentences before them."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.translation.conftest import data_of
from tests.translation.faking import fake_command
from transformer.config import LineFormat, Precision, SearchConfig, TranslateSettings
from transformer.errors import InputError
from transformer.text.alignment import word_starts
from transformer.text.tokenizer import EOS_ID
from transformer.translation import Request, Translator, translate_file
from transformer.translation import lines as module
from transformer.translation import translator as translator_module
from transformer.translation.alignment import word_links, written_word_starts
from transformer.translation.documents import Document
from transformer.translation.lines import Lines

SEARCH = SearchConfig(beam_size=2, max_length_offset=5, max_length_ratio=1.0)
TWO = data_of("de", source=2)
LINES = ["abc", "de f", "", "ab", "c", "cab", " ", "", "f", "fa", "a", "bed", "d"]
TEXTS = st.lists(st.sampled_from(["", " ", "a", "b c", "d"]), min_size=1, max_size=12)
READS_FILES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
Make = Callable[..., Translator]


def contexts(lines: Sequence[str], n: int) -> list[list[str]]:
    """What stands before each line: up to `n` lines, none before a blank one."""
    found = []
    for i, line in enumerate(lines):
        begin = max([j + 1 for j in range(i) if not lines[j].strip()], default=0)
        found.append(list(lines[max(begin, i - n) : i]) if line.strip() else [])
    return found


def requests_of(lines: Sequence[str], n: int) -> list[Request]:
    pairs = zip(lines, contexts(lines, n), strict=True)
    return [Request(source=line, context=before) for line, before in pairs]


def texts(translator: Translator, lines: Any) -> list[str]:
    return [found.text for found in translator.translate(lines, SEARCH)]


@given(lines=TEXTS, n=st.integers(0, 4))
def test_a_document_gives_the_sentences_since_a_blank_one(lines: list[str], n: int) -> None:
    document = Document[str](n)
    found = [list(document.before(line, blank=not line.strip())) for line in lines]
    assert found == contexts(lines, n)


def test_what_is_given_takes_the_place_of_the_document() -> None:
    document = Document[str](2)
    steps = [("a", None), ("b", None), ("c", ["x"]), ("d", None), ("e", []), ("f", None)]
    found = [document.before(line, blank=False, given=given) for line, given in steps]
    assert found == [(), ("a",), ("x",), ("x", "c"), (), ("e",)]


@pytest.mark.parametrize("window", [1, 3, 4096])
def test_texts_have_the_texts_before_them(
    translator_of: Make, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    translator = translator_of(TWO)
    expected = texts(translator, requests_of(LINES, 2))
    assert texts(translator, [Request(source=line) for line in LINES]) != expected
    monkeypatch.setattr(translator_module, "WINDOW", window)
    assert texts(translator, iter(LINES)) == expected
    assert [i for i, text in enumerate(expected) if text == ""] == [2, 6, 7]


def test_a_line_depends_on_no_other_than_those_before_it(translator_of: Make) -> None:
    translator = translator_of(TWO)
    requests = requests_of(LINES, 2)
    together = list(translator.translate(requests, SEARCH))
    for request, expected in zip(requests, together, strict=True):
        (alone,) = translator.translate([request], SEARCH)
        assert alone.text == expected.text
        assert alone.scores == pytest.approx(expected.scores, abs=1e-10)
    further = [Request(source="b", context=["f", *before]) for before in (["a", "c"], ["d", "c"])]
    far, near = (next(translator.translate([each], SEARCH)).scores for each in further)
    assert far != near
    cut = Request(source="b", context=["a", "c"])
    assert next(translator.translate([cut], SEARCH)).scores == far


@READS_FILES
@given(lines=TEXTS.filter(lambda lines: lines != [""]), window=st.integers(1, 5), data=st.data())
def test_a_window_knows_what_stands_before_it(
    lines: list[str], window: int, data: st.DataObject, tmp_path: Path
) -> None:
    n, skipped = data.draw(st.integers(0, 3)), data.draw(st.integers(0, len(lines)))
    as_json = data.draw(st.booleans())
    written = [json.dumps({"source": line}) if as_json else line for line in lines]
    (tmp_path / "in").write_text("".join(line + "\n" for line in written), encoding="utf-8")
    form = LineFormat.jsonl if as_json else LineFormat.text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WINDOW", window)
        with closing(Lines(str(tmp_path / "in"), form, n)) as reader:
            reader.skip(skipped)
            found = [request for each in reader.windows() for request in each.requests]
        with closing(Lines(str(tmp_path / "in"), form, n)) as reader:
            reader.skip(skipped)
            reader.rewind()
            again = [request for each in reader.windows() for request in each.requests]
    assert [list(request.context) for request in found] == contexts(lines, n)[skipped:]
    assert [list(request.context) for request in again] == contexts(lines, n)


def test_lines_of_json_may_say_what_stands_before_them(tmp_path: Path) -> None:
    objects: list[dict[str, Any]] = [
        {"source": "a"},
        {"source": "b"},
        {"source": "c", "context": ["x", "y", "z"]},
        {"source": "d"},
        {"source": "e", "context": []},
        {"source": "f"},
    ]
    (tmp_path / "in").write_text("".join(json.dumps(x) + "\n" for x in objects), encoding="utf-8")
    expected = [[], ["a"], ["x", "y", "z"], ["z", "c"], [], ["e"]]
    for skipped in range(len(objects)):
        with closing(Lines(str(tmp_path / "in"), LineFormat.jsonl, 2)) as lines:
            lines.skip(skipped)
            (window,) = lines.windows()
        assert [list(request.context) for request in window.requests] == expected[skipped:]


def test_lines_that_are_typed_have_those_before_them(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reader, os.fdopen(write, "wb", 0) as writer:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=reader))
        windows = Lines(None, LineFormat.text, 2).windows()
        for line, before in zip(LINES, contexts(LINES, 2), strict=True):
            writer.write(line.encode() + b"\n")
            assert next(windows).requests == [Request(source=line, context=tuple(before))]


def test_a_file_is_translated_alike_in_any_number_of_processes(
    checkpoint_of: Callable[..., Path],
    translator_of: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WINDOW", 3)
    (tmp_path / "in").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    folder, found = str(checkpoint_of(TWO)), []
    for n in (1, 2):
        translate_file(
            TranslateSettings(
                checkpoint=folder,
                input=str(tmp_path / "in"),
                output=str(tmp_path / "out"),
                search=SEARCH,
                device="cpu",
                precision=Precision.fp32,
                processes=n,
                threads=1,
            )
        )
        found.append((tmp_path / "out").read_text(encoding="utf-8").split("\n"))
    assert found[0] == found[1] == [*texts(translator_of(TWO), LINES), ""]


@pytest.mark.parametrize("line", range(0, 13, 2))
def test_a_file_that_was_interrupted_goes_on_with_what_stood_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: int
) -> None:
    monkeypatch.setattr(module, "WINDOW", 2)
    command = fake_command(tmp_path, monkeypatch, data_of("de", source=3))
    command.input.write_text("\n".join(LINES) + "\n", encoding="utf-8")

    def crash(first: int) -> None:
        if first >= line:
            raise KeyboardInterrupt

    command.translator.before = crash
    with pytest.raises(BaseException):  # noqa: B017, PT011  # whatever it becomes
        translate_file(command.settings())
    command.translator.before = lambda first: None
    translate_file(command.settings())
    found = [request for window in command.translator.windows for request in window]
    assert [request.source for request in found] == LINES
    assert [list(request.context) for request in found] == contexts(LINES, 3)


def test_a_model_without_context_takes_none(translator_of: Make) -> None:
    translator = translator_of(data_of("de"))
    with pytest.raises(InputError, match=r"^line 2: context has text, but the model was"):
        texts(translator, [Request(source="a"), Request(source="b", context=["a"])])
    assert texts(translator, [Request(source="b", context=[])]) == texts(translator, ["b"])
    with pytest.raises(InputError, match="context='word' is one text"):
        Request(source="a line", context="word")


def test_the_parts_of_a_long_line_have_nothing_before_them(translator_of: Make) -> None:
    translator = translator_of(data_of("de", "zh", source=2), max_source_pieces=7)
    request = Request(source="ab cd ef", context=["a"], target_language="zh")
    (line,) = translator.planner.lines([request], SEARCH, 0)
    assert min(len(job.source) for job in line.jobs) + 3 <= 7, "a sentence must fit"
    assert {(job.first, job.source[0]) for job in line.jobs} == {(1, mark(translator, "<2zh>"))}


def mark(translator: Translator, piece: str) -> int:
    return translator.tokenizers.source.ids([piece])[0]


def test_attention_is_to_the_line_itself(translator_of: Make) -> None:
    translator = translator_of(data_of("de", "zh", source=2), target_language="de")
    request = Request(source="ab c", context=["de f", "a"])
    ((job,),) = (line.jobs for line in translator.planner.lines([request], SEARCH, 0))
    (found,) = translator.translate([request], SEARCH, alignment=True, attention=True)
    (output,) = found.outputs
    target = translator.tokenizers.target.ids(output.tokens)
    (scored,) = translator._scorer(SEARCH).score_tokens(
        [job.source], [target + [EOS_ID] * output.finished], 100, attend=True
    )
    assert scored.attention is not None
    looks = scored.attention[:, 10:]  # behind the tag, 5 and 2 pieces, and 2 separators
    assert looks.size(1) == len(translator.tokenizers.source.encode(["ab c"])[0]) + 1
    assert output.attention == pytest.approx(looks.numpy(), abs=1e-10)
    (starts,) = word_starts(translator.tokenizers.source.model, ["ab c"])
    (written,) = written_word_starts(translator.tokenizers.target.model, [target])
    assert output.alignment == word_links(looks, starts, written)
