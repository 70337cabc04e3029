"""Reports of whole runs, and of all that can be missing from one."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from transformer.cli.main import main
from transformer.config import MetricsConfig, TrainSettings, load_settings, save_settings
from transformer.errors import InputError
from transformer.evaluation.page import report
from transformer.pictures import page as page_module
from transformer.text.cleaning.report import CleaningReport, CorpusReport
from transformer.training.run import RunFolder

Build = Callable[..., Path]
Asked = Callable[..., Any]


@pytest.fixture(autouse=True)
def _without_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its 4.8 MB say nothing about a page."""
    monkeypatch.setattr(page_module, "_plotly", lambda: "/* plotly */")


@pytest.fixture
def show(asked: Asked) -> Callable[..., dict[str, str]]:
    """Makes a page and gives its parts by their anchors, the head as `head`."""

    def show(run: Path, **changes: Any) -> dict[str, str]:
        html = report(asked(run, **changes)).read_text("utf-8")
        head, *sections = html.partition("<body>")[2].split('<section id="')
        parts = {text.partition('"')[0]: text for text in sections}
        return {"head": head, **parts}

    return show


Show = Callable[..., dict[str, str]]


def test_a_whole_run_has_all_sections(build_run: Build, show: Show, tmp_path: Path) -> None:
    parts = show(build_run(tmp_path), attention=2)
    assert list(parts) == [
        *("head", "scores", "beside", "curves", "results", "sentences", "attention"),
        *("text", "cost", "settings"),
    ]
    assert "BLEU" in parts["head"]
    assert "update 40 of 100,000" in parts["head"]
    assert "scores of fewer than 100 are mostly chance" in parts["head"]
    assert "nrefs:1|" in parts["scores"]
    assert parts["curves"].count('class="figure"') == 6
    assert "mean of all sets" not in parts["curves"], "there is but one"
    assert parts["results"].count('class="figure"') == 2
    assert 'class="attention-view"' in parts["attention"]
    assert "the worst by chrF" in parts["attention"]
    missing = {name for name, text in parts.items() if 'class="absent"' in text}
    assert missing == {"beside", "text"}


def test_a_report_leaves_a_run_that_goes_on(build_run: Build, asked: Asked, tmp_path: Path) -> None:
    run = build_run(tmp_path)
    before = set(run.rglob("*"))
    file = report(asked(run))
    assert set(run.rglob("*")) - before == {file} == {run / "report.html"}
    RunFolder(load_settings(TrainSettings, run / "config.yaml")).check()


def test_an_untrained_run_says_what_is_to_come(
    build_run: Build, show: Show, tmp_path: Path
) -> None:
    run = build_run(tmp_path, trained=False)
    for folder in ("translations", "tensorboard", "checkpoints"):
        shutil.rmtree(run / folder)
    parts = show(run, attention=2)
    assert "not trained yet" in parts["head"]
    assert "the same training command does it" in parts["scores"]
    assert "the first validation" in parts["scores"]
    assert "training writes it" in parts["curves"]
    for name in ("results", "sentences", "attention"):
        assert "There are no translations" in parts[name]
    assert "There is no data.json" in parts["text"]
    assert "not known" in parts["cost"]


def test_in_the_middle_of_training_the_newest_validation_is_shown(
    build_run: Build, show: Show, tmp_path: Path
) -> None:
    run = build_run(tmp_path)
    (run / "translations" / "test.de").unlink()
    newest = run / "translations" / "valid.00000100.de"
    newest.write_text("something else\n" * 32, encoding="utf-8")
    parts = show(run, attention=1)
    assert "validation set en-de after update 100" in parts["scores"]
    assert "as checkpoint 00000040 reads them" in parts["attention"]
    assert "BLEU, validation" in parts["head"]
    assert "something else" in parts["sentences"]


def test_a_run_without_a_test_set_says_how_to_score_one(
    build_run: Build, show: Show, tmp_path: Path
) -> None:
    parts = show(build_run(tmp_path, tests=False))
    assert "data.test is not set" in parts["scores"]
    assert "validation set en-de after update 40" in parts["scores"]


def test_text_that_has_moved_leaves_the_scores_that_were_kept(
    build_run: Build, show: Show, tmp_path: Path
) -> None:
    run = build_run(tmp_path)
    for file in tmp_path.glob("*.??"):
        file.unlink()
    kept = {"scores": [{"name": "BLEU", "value": 43.21, "signature": "tok:13a"}]}
    (run / "test.json").write_text(json.dumps(kept), encoding="utf-8")
    parts = show(run)
    assert "43.21" in parts["scores"]
    assert "Put it back where config.yaml says" in parts["scores"]
    (run / "test.json").write_text("{", encoding="utf-8")
    assert "43.21" not in show(run)["scores"]


def test_only_the_training_text_may_have_moved(
    build_run: Build, show: Show, tmp_path: Path
) -> None:
    run = build_run(tmp_path)
    for file in tmp_path.glob("train.??"):
        file.unlink()
    parts = show(run)
    assert "The training text is not at hand" in parts["results"]
    assert parts["results"].count('class="figure"') == 1


def test_translations_of_another_text_are_left_out(
    build_run: Build, show: Show, tmp_path: Path
) -> None:
    run = build_run(tmp_path)
    (run / "translations" / "test.de").write_text("one\n", encoding="utf-8")
    parts = show(run)
    assert "test.de has 1 lines but the set" in parts["scores"]
    assert "validation set en-de" in parts["scores"]


def test_damaged_files_are_named_and_harm_nothing_else(
    build_run: Build, show: Show, tmp_path: Path
) -> None:
    run = build_run(tmp_path)
    (file,) = (run / "tensorboard").iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    (run / "data.json").write_text("{", encoding="utf-8")
    (run / "checkpoints" / "00000040" / "model.safetensors").write_bytes(b"nothing")
    parts = show(run, attention=1)
    assert file.name in parts["curves"]
    assert "data.json is damaged" in parts["text"]
    assert "The attention cannot be shown" in parts["attention"]
    assert "test set en-de" in parts["scores"]


@pytest.mark.parametrize("end", ["training ends: enough", "the run in R is finished: enough"])
def test_a_run_is_known_to_have_ended_until_it_goes_on(
    build_run: Build, show: Show, tmp_path: Path, end: str
) -> None:
    run = build_run(tmp_path)
    begun, ended = (
        "2026-01-01 00:00:00,000 INFO training from the beginning in R\n",
        f"x INFO {end}\n",
    )
    (run / "train.log").write_text(begun + ended, encoding="utf-8")
    assert "trained for 40 updates" in show(run)["head"]
    more = "x INFO going on after update 40 of R\n"
    (run / "train.log").write_text(begun + ended + more, encoding="utf-8")
    assert "goes on, or was interrupted" in show(run)["head"]


def test_cleaning_and_leaks_are_told_with_examples(
    build_run: Build, show: Show, tmp_path: Path, hostile: str
) -> None:
    run = build_run(tmp_path)
    corpus = CorpusReport(n_examples=3, total=10)
    corpus.drop("max_ratio", [(hostile, "b")])
    found = {"report": CleaningReport({"train": corpus}).to_dict(), "leaks": {"source": 4}}
    (run / "data.json").write_text(json.dumps(found), encoding="utf-8")
    text = show(run)["text"]
    assert "Of 10 training pairs 9 (90.0%) were kept" in text
    assert "dropped: max_ratio" in text
    assert "window.hacked" in text
    assert hostile not in text
    assert 'data-value="4"' in text


def test_leaks_that_were_not_looked_for_are_not_none(
    build_run: Build, show: Show, tmp_path: Path
) -> None:
    run = build_run(tmp_path)
    for leaks, told in (({}, "not looked for"), ({"source": 0, "target": 0}, "No text of")):
        found = {"report": CleaningReport({}).to_dict(), "leaks": leaks}
        (run / "data.json").write_text(json.dumps(found), encoding="utf-8")
        assert told in show(run)["text"]


@pytest.mark.parametrize("found", [{}, {"report": {"train": 1}}, {"report": 3, "leaks": {}}])
def test_a_cleaning_report_of_another_shape_is_no_crash(
    build_run: Build, show: Show, tmp_path: Path, found: Any
) -> None:
    run = build_run(tmp_path)
    (run / "data.json").write_text(json.dumps(found), encoding="utf-8")
    assert "holds no cleaning report" in show(run)["text"]


def test_a_metric_that_cannot_be_computed_is_told(
    build_run: Build, show: Show, tmp_path: Path
) -> None:
    metrics = MetricsConfig(names=["bleu"], resamples=0)
    metrics.bleu.tokenize = "nonsense"
    assert "cannot be scored" in show(build_run(tmp_path), metrics=metrics)["scores"]


def test_no_sentences_and_no_attention_are_as_asked(
    build_run: Build, show: Show, tmp_path: Path
) -> None:
    parts = show(build_run(tmp_path), sentences=0, attention=0)
    assert "sentences=0" in parts["sentences"]
    assert "attention=0" in parts["attention"]


def test_translations_that_no_picture_can_hold_leave_the_others(
    build_run: Build, show: Show, tmp_path: Path
) -> None:
    run = build_run(tmp_path)
    file = run / "translations" / "test.de"
    first, *others = file.read_text("utf-8").splitlines()
    loops = ["X Y " * 30 for _ in others]
    file.write_text("".join(f"{line}\n" for line in [first, *loops]), encoding="utf-8")
    assert "line 1, the worst" in show(run, attention=3)["attention"]
    file.write_text("X\n" + "\n" * len(others), encoding="utf-8")
    assert "line 1, the worst" in show(run, attention=3)["attention"]
    file.write_text("\n" * (1 + len(loops)), encoding="utf-8")
    assert "has a translation" in show(run, attention=3)["attention"]


def test_what_text_holds_is_shown_and_not_obeyed(
    build_run: Build, show: Show, tmp_path: Path, hostile: str
) -> None:
    pairs = [(f"{hostile} {i}", f"{hostile} {i}") for i in range(12)]
    parts = show(build_run(tmp_path, "run<b>", pairs=pairs), attention=1)
    assert "hacked" in parts["sentences"]
    for text in parts.values():
        assert "<img" not in text
        assert "<script>window" not in text
        assert "run<b>" not in text


def test_two_runs_stand_side_by_side(build_run: Build, show: Show, tmp_path: Path) -> None:
    better = build_run(tmp_path, "better", errors=8)
    worse = build_run(tmp_path, "worse", errors=2, seed=7)
    text = show(better, against=str(worse))["beside"]
    assert "▲ better" in text
    assert "▼ worse" in show(worse, against=str(better))["beside"]
    assert ">seed<" in text
    assert "max_updates" not in text
    assert "largest gains" in text


def test_runs_with_the_same_translations_are_the_same(
    build_run: Build, show: Show, tmp_path: Path
) -> None:
    first, second = build_run(tmp_path, "first"), build_run(tmp_path, "second")
    text = show(first, against=str(second))["beside"]
    assert text.count("<td>the same</td>") == 2
    assert "better</td>" not in text
    assert "0.0" not in "".join(re.findall(r"<td>(0\.[0-9]{4})</td>", text))
    assert "32 alike" in text
    assert "None but run_dir" in text


def test_a_run_that_translated_other_text_is_told(
    build_run: Build, show: Show, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    mine, other = build_run(tmp_path / "a"), build_run(tmp_path / "b", pairs=[("x", "y")] * 40)
    text = show(mine, against=[str(other)])["beside"]
    assert "has no translations of the same lines of test set en-de" in text
    # Runs of one name are told apart.
    assert str(other) in text


def test_the_command_prints_the_path_of_the_page(
    build_run: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = build_run(tmp_path, trained=False)
    assert main(["report", f"run_dir={run}", f"output={tmp_path}/page.html"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/page.html\n"
    assert (tmp_path / "page.html").exists()
    assert main(["report", f"run_dir={tmp_path}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert "holds no run" in line


@pytest.mark.parametrize("key", ["run_dir", "against"])
@pytest.mark.parametrize(
    ("name", "why"),
    [("absent", "does not exist"), ("file", "is a file"), ("empty", "holds no run")],
)
def test_what_is_no_run_is_an_error(
    build_run: Build, asked: Asked, tmp_path: Path, key: str, name: str, why: str
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    run = build_run(tmp_path)
    changes = {"run_dir": str(run)} | {key: str(tmp_path / name)}
    with pytest.raises(InputError, match=f"^{key}=.*{why}"):
        report(asked(run, **changes))


def test_settings_that_cannot_be_read_are_an_error(
    build_run: Build, asked: Asked, tmp_path: Path
) -> None:
    run = build_run(tmp_path)
    (run / "config.yaml").write_text("- a\n", encoding="utf-8")
    with pytest.raises(InputError, match="holds no settings"):
        report(asked(run))


@pytest.mark.parametrize("spelling", ["link", "run/../other"])
def test_a_run_beside_itself_by_any_name_is_an_error(
    build_run: Build, asked: Asked, tmp_path: Path, spelling: str
) -> None:
    run, other = build_run(tmp_path), build_run(tmp_path, "other", trained=False)
    (tmp_path / "link").symlink_to(other)
    again = str(tmp_path / spelling)
    for shown, against in ((run, [other, again]), (other, [again])):
        with pytest.raises(InputError, match=f"^against={again} is a run that is given again"):
            report(asked(shown, against=list(map(str, against))))


@pytest.mark.parametrize(
    ("name", "why"), [(".", "is a folder"), ("a/b.html", "there is no folder")]
)
def test_an_output_that_cannot_be_is_an_error(
    build_run: Build, asked: Asked, tmp_path: Path, name: str, why: str
) -> None:
    with pytest.raises(InputError, match=why):
        report(asked(build_run(tmp_path), output=str(tmp_path / name)))


def test_settings_that_differ_from_the_defaults_come_first_and_stand_out(
    build_run: Build, show: Show, tmp_path: Path
) -> None:
    run = build_run(tmp_path)
    values = yaml.safe_load((run / "config.yaml").read_text("utf-8"))
    settings = load_settings(TrainSettings, run / "config.yaml")
    settings.training.label_smoothing = 0.25
    save_settings(settings, run / "config.yaml")
    text = show(run)["settings"]
    rows = text.split("<tr")
    (changed,) = [row for row in rows if "training.label_smoothing<" in row]
    assert "strong" in changed
    assert "0.25" in changed
    assert [row for row in rows if "training.rdrop<" in row and "strong" in row] == []
    for key in values["training"]:
        assert f"training.{key}" in text
