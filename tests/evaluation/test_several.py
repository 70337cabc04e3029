"""Scores on several test sets, of several directions."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from transformer.config import (
    ContextConfig,
    EvaluateSettings,
    FilesConfig,
    MetricsConfig,
    SearchConfig,
    TrainSettings,
)
from transformer.errors import InputError
from transformer.evaluation import evaluate, evaluate_run
from transformer.evaluation import run as run_module
from transformer.evaluation import system as system_module
from transformer.translation import Request, Translation, Translator, start
from transformer.translation.request import BLANK

Make = Callable[..., TrainSettings]
Pairs = list[tuple[str, str]]
Write = Callable[..., None]


class Backwards:
    """A translator that writes lines backwards, and keeps what it was asked for."""

    def __init__(self, settings: TrainSettings) -> None:
        self.settings = settings
        self.requests: list[Request] = []

    def translate(self, requests: Sequence[Request], config: SearchConfig) -> Iterator[Translation]:
        self.requests += requests
        for each in requests:
            outputs = [replace(BLANK, text=each.source[::-1])]
            yield Translation(source=each.source, outputs=outputs)


@pytest.fixture
def two(make_run: Make, tmp_path: Path, write: Write, pairs: Pairs) -> TrainSettings:
    """A run of two directions into one language, with a test set of each."""
    write(tmp_path / "french", pairs[:7], ("fr", "de"))
    test = [{"path": str(tmp_path / "test")}, {"path": str(tmp_path / "french"), "source": "fr"}]
    train = [{"path": "a"}, {"path": "b", "source": "fr"}]
    return make_run(train=train, test=test)


@pytest.fixture
def tagged(
    make_run: Make, tmp_path: Path, write: Write, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> Backwards:
    """A translator into German and Chinese, which is used whatever the checkpoint."""
    write(tmp_path / "news", pairs[:7], ("en", "zh"))
    train = [{"path": "a"}, {"path": "b", "target": "zh"}]
    test = [{"path": str(tmp_path / "test")}, {"path": str(tmp_path / "news"), "target": "zh"}]
    translator = Backwards(make_run(train=train, test=test))
    for module in (run_module, system_module):
        monkeypatch.setattr(module, "start", lambda settings: translator)
    return translator


def test_a_checkpoint_is_scored_on_all_its_test_sets(two: TrainSettings, pairs: Pairs) -> None:
    results = evaluate(EvaluateSettings(checkpoint=two.run_dir, search=two.search))
    translator = Translator.load(two.run_dir)
    assert [(each.name, each.direction) for each in results.evaluations] == [
        ("test", "en-de"),
        ("french", "fr-de"),
    ]
    for each, n in zip(results.evaluations, (len(pairs), 7), strict=True):
        sources = [source for source, _ in pairs[:n]]
        assert each.sources == sources
        assert each.translations == [t.text for t in translator.translate(sources, two.search)]
    assert "french (fr-de)" in results.table()


def test_a_run_keeps_the_translations_and_scores_of_each_set(
    two: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = evaluate_run(two)
    assert results is not None
    folder = Path(two.run_dir)
    names = ["test.test.de", "test.french.de"]
    assert sorted(path.name for path in (folder / "translations").iterdir()) == sorted(names)
    for name, each in zip(names, results.evaluations, strict=True):
        text = (folder / "translations" / name).read_text(encoding="utf-8")
        assert text.split("\n") == [*each.translations, ""]
    kept = json.loads((folder / "test.json").read_text(encoding="utf-8"))
    assert kept.pop("made_by")["checkpoint"] == "00000001"
    assert kept == results.summary()
    monkeypatch.delattr(run_module, "start")
    assert evaluate_run(two) == results


@pytest.mark.parametrize("change", ["another line", "another order", "a lost output"])
def test_the_test_is_made_again_where_a_set_is_another(
    two: TrainSettings, change: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    evaluate_run(two)
    assert isinstance(two.data, FilesConfig)
    if change == "another line":
        for language in ("fr", "de"):
            with (tmp_path / f"french.{language}").open("a", encoding="utf-8") as file:
                file.write("x\n")
    elif change == "another order":
        two.data.test.reverse()
    else:
        (Path(two.run_dir) / "translations" / "test.french.de").unlink()
    calls: list[EvaluateSettings] = []

    def counted(settings: EvaluateSettings) -> Translator:
        calls.append(settings)
        return start(settings)

    monkeypatch.setattr(run_module, "start", counted)
    results = evaluate_run(two)
    assert len(calls) == 1
    assert evaluate_run(two) == results
    assert len(calls) == 1


def test_a_test_that_fails_leaves_the_earlier_one_whole(
    two: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate_run(two)
    folder = Path(two.run_dir)
    before = {path: path.read_bytes() for path in folder.rglob("*test.*") if path.is_file()}
    assert len(before) == 3
    translate = Translator.translate

    def failing(self: Translator, requests: list[Request], config: SearchConfig) -> Any:
        if len(requests) == 7:
            raise InputError("the second set")
        return translate(self, requests, config)

    monkeypatch.setattr(Translator, "translate", failing)
    two.search.beam_size = 1
    with pytest.raises(InputError, match="the second set"):
        evaluate_run(two)
    assert {p: p.read_bytes() for p in folder.rglob("*test.*") if p.is_file()} == before


def test_several_sets_do_not_go_into_one_output(two: TrainSettings, tmp_path: Path) -> None:
    output = tmp_path / "out.txt"
    output.write_text("kept\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"output=.*test sets test, french; give one"):
        evaluate(EvaluateSettings(checkpoint=two.run_dir, output=str(output)))
    assert output.read_text(encoding="utf-8") == "kept\n"


def test_each_set_is_translated_into_and_scored_in_its_own_language(tagged: Backwards) -> None:
    at_the_end = partial(evaluate_run, tagged.settings)
    for made in (partial(evaluate, EvaluateSettings(checkpoint="x")), at_the_end):
        results = made()
        assert results is not None
        sizes = [len(each.translations) for each in results.evaluations]
        asked = [request.target_language for request in tagged.requests]
        assert asked == ["de"] * sizes[0] + ["zh"] * sizes[1]
        tagged.requests.clear()
        tokenizers = [each.scores[0].signature.split("tok:")[1][:3] for each in results.evaluations]
        assert tokenizers == ["13a", "zh|"]
    names = {path.name for path in (Path(tagged.settings.run_dir) / "translations").iterdir()}
    assert names == {"test.test.de", "test.news.zh"}


def test_a_target_language_chooses_among_the_test_sets(tagged: Backwards, tmp_path: Path) -> None:
    output = str(tmp_path / "out.txt")
    asked = EvaluateSettings(checkpoint="x", target_language="zh", output=output)
    (only,) = evaluate(asked).evaluations
    assert only.name == "news"
    assert Path(output).read_text(encoding="utf-8").split("\n") == [*only.translations, ""]
    with pytest.raises(InputError, match=r"^target_language=fr: .* are in de, zh$"):
        evaluate(EvaluateSettings(checkpoint="x", target_language="fr"))


def test_files_are_translated_into_the_language_asked_for(
    tagged: Backwards, tmp_path: Path
) -> None:
    files: dict[str, Any] = {
        "source": str(tmp_path / "news.en"),
        "reference": str(tmp_path / "news.zh"),
    }
    asked = EvaluateSettings(checkpoint="x", target_language="zh", **files)
    (only,) = evaluate(asked).evaluations
    assert {request.target_language for request in tagged.requests} == {"zh"}
    assert "tok:zh" in only.scores[0].signature
    assert (only.name, only.direction) == (None, None)
    with pytest.raises(InputError, match="into de, zh; give one, as in target_language=de"):
        evaluate(EvaluateSettings(checkpoint="x", **files))


def test_lines_of_files_are_given_with_those_before_up_to_a_blank_one(
    tagged: Backwards, tmp_path: Path, write: Write, pairs: Pairs
) -> None:
    assert isinstance(tagged.settings.data, FilesConfig)
    data = replace(tagged.settings.data, train="a", context=ContextConfig(source=2))
    tagged.settings = replace(tagged.settings, data=data)
    write(tmp_path / "x", [*pairs[:3], ("", ""), *pairs[3:5]])
    files: dict[str, Any] = {"source": str(tmp_path / "x.en"), "reference": str(tmp_path / "x.de")}
    (only,) = evaluate(EvaluateSettings(checkpoint="x", **files)).evaluations
    assert len(only.translations) == 6
    a, b, _, d, _ = [source for source, _ in pairs[:5]]
    expected = [[], [a], [a, b], [], [], [d]]
    assert [request.context for request in tagged.requests] == expected


def test_a_set_without_a_tokenizer_is_refused_before_any_is_translated(
    tagged: Backwards, monkeypatch: pytest.MonkeyPatch
) -> None:
    def require_metrics(language: str, config: MetricsConfig, *, has_sources: bool) -> None:
        if language == "zh":
            raise InputError("no tokenizer")

    monkeypatch.setattr(system_module, "require_metrics", require_metrics)
    with pytest.raises(InputError, match="no tokenizer"):
        evaluate(EvaluateSettings(checkpoint="x"))
    assert tagged.requests == []
