"""Properties of translating with a model of several target languages."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.translation.conftest import MARKS, data_of, save
from transformer.config import (
    DecodingSettings,
    LineFormat,
    Precision,
    Protected,
    ScoreSettings,
    SearchConfig,
    TranslateSettings,
    Utility,
)
from transformer.errors import InputError
from transformer.text.alignment import word_starts
from transformer.text.tokenizer import EOS_ID
from transformer.translation import Request, Translator, score_file, translate_file
from transformer.translation import translator as module
from transformer.translation.alignment import word_links, written_word_starts
from transformer.translation.mbr import choose
from transformer.translation.request import BLANK
from transformer.translation.terminology import Terminology

SEARCH = SearchConfig(beam_size=2, max_length_offset=5, max_length_ratio=1.0)
BOTH = data_of("de", "zh")
LINES = ["abc def", "", "fed a cb", "b"]
Make = Callable[..., Translator]
MakeSettings = Callable[..., TranslateSettings]


@pytest.fixture
def settings(checkpoint_of: Callable[..., Path], tmp_path: Path) -> MakeSettings:
    """Settings that translate tmp_path/in to tmp_path/out with a model of two languages."""
    folder = checkpoint_of(BOTH)

    def make(**changes: Any) -> TranslateSettings:
        values = {"input": str(tmp_path / "in"), "output": str(tmp_path / "out"), **changes}
        return TranslateSettings(
            checkpoint=str(folder),
            search=SEARCH,
            device="cpu",
            precision=Precision.fp32,
            threads=1,
            **values,
        )

    return make


def texts(translator: Translator, lines: Any) -> list[str]:
    return [found.text for found in translator.translate(lines, SEARCH)]


def test_a_line_is_translated_into_the_language_asked_for(translator_of: Make) -> None:
    either = translator_of(BOTH)
    alone = {each: texts(translator_of(BOTH, target_language=each), LINES) for each in ("de", "zh")}
    assert alone["de"] != alone["zh"]
    for language, expected in alone.items():
        requests = [Request(source=line, target_language=language) for line in LINES]
        assert texts(either, requests) == expected
        other = translator_of(BOTH, target_language="zh" if language == "de" else "de")
        assert texts(other, requests) == expected
    mixed = [Request(source=line, target_language=lan) for line in LINES for lan in ("de", "zh")]
    assert texts(either, mixed) == [
        text for pair in zip(alone["de"], alone["zh"], strict=True) for text in pair
    ]


def test_a_model_of_one_language_takes_no_other(translator_of: Make) -> None:
    one = data_of("de")
    expected = texts(translator_of(one), LINES)
    assert texts(translator_of(one, target_language="de"), LINES) == expected
    assert texts(translator_of(one), [Request(source=x, target_language="de") for x in LINES]) == (
        expected
    )
    with pytest.raises(InputError, match=r"^target_language=zh, but .* into de alone$"):
        translator_of(one, target_language="zh")


def test_the_line_without_a_language_is_named(translator_of: Make) -> None:
    requests = [Request(source="a", target_language="zh"), Request(source="b")]
    with pytest.raises(InputError, match=r"^line 2: the model translates into de, zh; give"):
        texts(translator_of(BOTH), requests)
    with pytest.raises(InputError, match=r"^line 1: target_language=fr, but"):
        texts(translator_of(BOTH), [Request(source="", target_language="fr")])
    with pytest.raises(InputError, match=r"^the model translates into de, zh; give"):
        translator_of(BOTH).score([("a", "b")])


@pytest.mark.parametrize(("language", "joint"), [("de", "u v"), ("zh", "uv")])
def test_parts_are_joined_as_in_the_language_asked_for(
    translator_of: Make, language: str, joint: str
) -> None:
    translator = translator_of(BOTH, max_source_pieces=3)
    (line,) = translator.planner.lines(
        [Request(source="ab cd", target_language=language)], SEARCH, 0
    )
    assert len(line.jobs) == 2
    (tag,) = translator.tokenizers.source.ids([f"<2{language}>"])
    assert [(job.source[0], job.first) for job in line.jobs] == [(tag, 1)] * 2
    outputs = [[replace(BLANK, text=text)] for text in "uv"]
    assert translator.planner.translation(line, outputs).text == joint


def test_outputs_are_compared_in_the_language_asked_for(
    translator_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def spy(outputs: Any, utility: Any, language: str, n_best: int, *, drawn: bool) -> Any:
        asked.append(language)
        return choose(outputs, utility, language, n_best, drawn=drawn)

    monkeypatch.setattr(module, "choose", spy)
    config = SearchConfig(beam_size=2, mbr=Utility.chrf, batch_tokens=1, max_length=8)
    requests = [
        Request(source="a" * n, target_language=language)
        for n, language in ((3, "zh"), (2, "de"), (1, "zh"))
    ]
    list(translator_of(BOTH).translate(requests, config))
    assert asked == ["zh", "de", "zh"]


def test_limits_of_length_do_not_count_tags(translator_of: Make) -> None:
    limits = [
        line.jobs[0].task.longest
        for translator in (translator_of(BOTH, target_language="zh"), translator_of(data_of("zh")))
        for line in translator.planner.lines([Request(source="abc def")], SEARCH, 0)
    ]
    assert limits[0] == limits[1]


@pytest.mark.parametrize("words", ["ab", "ab c", "a b c d"])
def test_alignment_is_of_the_words_of_the_line(translator_of: Make, words: str) -> None:
    translator = translator_of(BOTH, target_language="de")
    (found,) = translator.translate([words], SEARCH, alignment=True, attention=True)
    tokenizers, output = translator.tokenizers, found.outputs[0]
    (own,) = tokenizers.source.encode([words])
    source = [*tokenizers.source.ids(["<2de>"]), *own]
    target = tokenizers.target.ids(output.tokens)
    (scored,) = translator._scorer(SEARCH).score_tokens(
        [source], [target + [EOS_ID] * output.finished], 1000, attend=True
    )
    assert scored.attention is not None
    looks = scored.attention[:, 1:]
    (starts,) = word_starts(tokenizers.source.model, [words])
    (written,) = written_word_starts(tokenizers.target.model, [target])
    assert output.alignment == word_links(looks, starts, written)
    assert output.attention is not None
    assert [len(row) for row in output.attention] == [len(own) + 1] * len(looks)
    assert [sum(row) for row in output.attention] == pytest.approx(looks.sum(1).tolist())
    (pair,) = translator.score([(words, found.text)], SEARCH, alignment=True, attention=True)
    assert pair.attention is not None
    assert {len(row) for row in pair.attention} == {len(own) + 1}
    assert {i for i, _ in pair.alignment or ()} <= {*range(len(words.split()))}


def test_what_is_asked_of_a_line_holds_in_each_language(translator_of: Make) -> None:
    options = {
        "terminology": Terminology({"abc": "uvw"}),
        "protect": [Protected.numbers],
        "exclude": ["2de", "sep", "z"],
    }
    for language in ("de", "zh"):
        translator = translator_of(BOTH, target_language=language, **options)
        request = Request(source="abc 12.5 d", prefix="x")
        (found,) = translator.translate([request], SEARCH)
        assert found.text.startswith("x")
        assert "uvw" in found.text
        assert "12.5" in found.text
        assert "<" not in found.text


def test_text_to_leave_out_does_not_concern_marks(translator_of: Make) -> None:
    pieces = translator_of(BOTH, target_language="de").planner.vocabulary.pieces
    assert pieces[-len(MARKS) :] == [""] * len(MARKS)
    assert all(pieces[4 : -len(MARKS)])


def test_the_command_needs_a_language_before_it_reads(
    settings: MakeSettings, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"^the model translates into de, zh; give target_lang"):
        translate_file(settings())
    (tmp_path / "in").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    found = []
    for language in ("de", "zh"):
        translate_file(settings(target_language=language))
        found.append((tmp_path / "out").read_text(encoding="utf-8").splitlines())
    objects = [{"source": line, "target_language": lan} for line in LINES for lan in ("de", "zh")]
    (tmp_path / "in").write_text("".join(json.dumps(x) + "\n" for x in objects), encoding="utf-8")
    translate_file(settings(input_format=LineFormat.jsonl))
    together = (tmp_path / "out").read_text(encoding="utf-8").splitlines()
    assert together == [text for pair in zip(*found, strict=True) for text in pair]


def test_scores_are_of_the_language_asked_for(
    settings: MakeSettings, translator_of: Make, tmp_path: Path
) -> None:
    for name, lines in (("source", LINES), ("target", ["uv", "", "w", "x y"])):
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    scores = []
    for language in ("de", "zh"):
        score_file(
            ScoreSettings(
                checkpoint=settings().checkpoint,
                source=str(tmp_path / "source"),
                target=str(tmp_path / "target"),
                output=str(tmp_path / "out"),
                target_language=language,
                search=SEARCH,
                precision=Precision.fp32,
                device="cpu",
            )
        )
        scores.append([float(x) for x in (tmp_path / "out").read_text().splitlines()])
        pairs = zip(LINES, ["uv", "", "w", "x y"], strict=True)
        expected = translator_of(BOTH, target_language=language).score(pairs, SEARCH)
        assert scores[-1] == pytest.approx([output.score for output in expected], abs=1e-4)
    assert [a == b for a, b in zip(*scores, strict=True)] == [False, True, False, False]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (data_of("de"), "with tags of de, zh and of no languages"),
        (data_of("de", "zh", source=2, target=1), "with data.context 0, 0 and 2, 1"),
    ],
    ids=["tags", "context"],
)
def test_models_that_read_lines_differently_are_no_ensemble(
    checkpoint_of: Callable[..., Path], data: Any, message: str
) -> None:
    folders = [str(checkpoint_of(BOTH, "one")), str(checkpoint_of(data, "two"))]
    with pytest.raises(InputError, match=message):
        Translator.of(DecodingSettings(checkpoint=folders, device="cpu"))


def test_an_ensemble_takes_the_language_too(translator_of: Make, tmp_path: Path) -> None:
    folder = str(save(translator_of(BOTH), tmp_path / "model"))
    both = Translator.load([folder, folder], "cpu", "fp32", target_language="zh")
    one = Translator.load(folder, "cpu", "fp32", target_language="zh")
    assert texts(both, LINES) == texts(one, LINES)
