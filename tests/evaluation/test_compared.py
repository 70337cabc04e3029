"""Several systems beside each other, several references, named test sets."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from transformer.config import (
    EvaluateSettings,
    MetricsConfig,
    SignificanceConfig,
    SignificanceTest,
    TrainSettings,
)
from transformer.errors import InputError
from transformer.evaluation import Evaluation, Results, evaluate
from transformer.evaluation import system as system_module
from transformer.evaluation.sets import EvaluationSet

Make = Callable[..., TrainSettings]
Pairs = list[tuple[str, str]]
Write = Callable[..., None]

WORDS = ("der", "die", "das", "ein", "Hund", "Katze", "Haus", "Baum", "steht", "läuft", "rot")
PLAIN = MetricsConfig(names=["bleu"], resamples=0)


def lines_of(n: int, seed: int) -> list[str]:
    """`n` made sentences."""
    state = seed
    found = []
    for _ in range(n):
        words = []
        for _ in range(6 + state % 5):
            state = (state * 1103515245 + 12345) % 2**31
            words.append(WORDS[state // 65536 % len(WORDS)])
        found.append(" ".join(words).capitalize() + ".")
    return found


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A reference, a second one, and three systems that are right ever less often."""
    reference, noise = lines_of(120, 1), lines_of(120, 2)
    found = {"reference": reference, "second": lines_of(120, 3)}
    for name, every in (("a", 2), ("b", 3), ("c", 5)):
        found[name] = [
            r if i % every == 0 else n
            for i, (r, n) in enumerate(zip(reference, noise, strict=True))
        ]
    paths = {}
    for name, lines in found.items():
        paths[name] = tmp_path / f"{name}.de"
        paths[name].write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return paths


def compared(files: dict[str, Path], **changes: Any) -> Results:
    asked: dict[str, Any] = {
        "hypothesis": [str(files[name]) for name in "abc"],
        "reference": str(files["reference"]),
        "target_language": "de",
        "metrics": PLAIN,
        **changes,
    }
    return evaluate(EvaluateSettings(**asked))


def by_system(results: Results) -> dict[str, Evaluation]:
    return {Path(each.system).stem: each for each in results.evaluations}


def test_several_files_are_compared_with_the_first_or_with_the_one_named(
    files: dict[str, Path],
) -> None:
    results = compared(files)
    assert results.baseline == str(files["a"])
    assert list(by_system(results)) == ["a", "b", "c"]
    p = {name: each.p[0] for name, each in by_system(results).items()}
    assert p["a"] == {}
    assert p["b"]["bootstrap"] < 0.05
    other = compared(files, baseline=str(files["b"]))
    assert other.baseline == str(files["b"])
    assert by_system(other)["b"].p[0] == {}
    assert by_system(other)["a"].p[0]["bootstrap"] == pytest.approx(p["b"]["bootstrap"], abs=0.02)
    assert list(by_system(other)) == ["a", "b", "c"]


def test_the_command_line_of_sacrebleu_gives_the_same_p(files: dict[str, Path]) -> None:
    results = compared(files, significance=SignificanceConfig(test=SignificanceTest.both))
    for option, test in (("--paired-bs", "bootstrap"), ("--paired-ar", "randomisation")):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "sacrebleu", str(files["reference"]), "-m", "bleu", "-i"),
                *(str(files[name]) for name in "abc"),
                *(option, "-w", "10", "-f", "json"),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        rows = {Path(row["system"]).stem: row for row in json.loads(done.stdout)}
        for name, each in by_system(results).items():
            row = (
                rows[name.removesuffix(" (baseline)")]
                if name in rows
                else rows[f"Baseline: {name}"]
            )
            found = next(value for key, value in row.items() if key.startswith("BLEU"))
            assert each.scores[0].value == pytest.approx(found["score"], abs=1e-9)
            if name != "a":
                assert each.p[0][test] == pytest.approx(found["p_value"], abs=1e-9)


def test_against_is_the_baseline_of_what_is_scored(files: dict[str, Path]) -> None:
    results = compared(files, hypothesis=str(files["b"]), against=str(files["c"]))
    assert results.baseline == str(files["c"])
    assert list(by_system(results)) == ["b", "c"]
    assert by_system(results)["b"].p[0]["bootstrap"] < 0.05


def test_a_better_match_with_any_of_several_references_counts(files: dict[str, Path]) -> None:
    one = compared(files, hypothesis=str(files["second"]))
    both = compared(
        files,
        hypothesis=str(files["second"]),
        reference=[str(files["reference"]), str(files["second"])],
    )
    assert one.evaluations[0].scores[0].value < 30
    assert both.evaluations[0].scores[0].value == pytest.approx(100)
    assert "nrefs:2" in both.table()


def test_a_checkpoint_is_compared_with_another_run_and_with_a_file(
    make_run: Make, tmp_path: Path, pairs: Pairs
) -> None:
    run = make_run()
    output = tmp_path / "mine.de"
    own = evaluate(
        EvaluateSettings(
            checkpoint=run.run_dir, search=run.search, metrics=PLAIN, output=str(output)
        )
    )
    copy = Path(run.run_dir) / "checkpoints" / "00000001"
    results = evaluate(
        EvaluateSettings(
            checkpoint=run.run_dir,
            against=[str(copy), str(output)],
            search=run.search,
            metrics=PLAIN,
        )
    )
    assert results.baseline == str(copy)
    found = [each.translations for each in results.evaluations]
    assert found == [own.evaluations[0].translations] * 3
    assert [each.system for each in results.evaluations] == [run.run_dir, str(copy), str(output)]


def test_a_file_is_not_compared_on_several_test_sets(
    make_run: Make, tmp_path: Path, write: Write, pairs: Pairs
) -> None:
    write(tmp_path / "more", pairs[:7])
    run = make_run(test=[str(tmp_path / "test"), str(tmp_path / "more")])
    with pytest.raises(
        InputError, match=r"against=.*one file, but there are the test sets test, more; give one"
    ):
        evaluate(
            EvaluateSettings(
                checkpoint=run.run_dir, against=str(tmp_path / "test.de"), search=run.search
            )
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"against": "nothing"}, "against: nothing does not exist"),
        ({"against": "short.de"}, "short.de has 1"),
        ({"against": "."}, "checkpoint"),
        ({"trained_on": "nothing"}, "trained_on=nothing is no run"),
        ({"against": "short.de", "output": "short.de"}, "output=.*short.de"),
    ],
)
def test_what_is_wrong_with_other_systems_shows_before_anything_is_translated(
    make_run: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    message: str,
) -> None:
    run = make_run()
    monkeypatch.chdir(tmp_path)
    Path("short.de").write_text("eine\n", encoding="utf-8")
    monkeypatch.setattr(system_module, "translated", None)
    with pytest.raises(InputError, match=message):
        evaluate(EvaluateSettings(checkpoint=run.run_dir, search=run.search, **changes))


def test_a_folder_cannot_translate_where_there_is_no_source(
    files: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"against=.* is to translate.*give source=FILE"):
        compared(files, hypothesis=str(files["a"]), against=str(tmp_path))


def test_a_model_of_another_language_is_refused(make_run: Make, tmp_path: Path) -> None:
    run = make_run()
    (tmp_path / "in.en").write_text("the a is old\n", encoding="utf-8")
    (tmp_path / "out.fr").write_text("le a est vieux\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"translates into de, but the references are in fr"):
        system_module._require_same_direction(
            run.run_dir, [EvaluationSet("fr", ["a"], [["b"]])], run.data, None
        )


def test_a_named_set_is_translated_in_the_direction_of_the_model(
    make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def named_set(name: str, direction: str) -> EvaluationSet:
        asked.append((name, direction))
        lines = [["the a is old", "the b is new"]]
        return EvaluationSet("de", lines[0], lines, name=name, source_language="en")

    monkeypatch.setattr(system_module, "named_set", named_set)
    run = make_run()
    results = evaluate(
        EvaluateSettings(
            checkpoint=run.run_dir, test_set=["wmt14", "wmt15"], search=run.search, metrics=PLAIN
        )
    )
    assert asked == [("wmt14", "en-de"), ("wmt15", "en-de")]
    assert [each.name for each in results.evaluations] == ["wmt14", "wmt15"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference": None}, "hypothesis=FILE needs reference=FILE or test_set=NAME"),
        ({"target_language": None}, "needs target_language"),
        ({"baseline": "x"}, "baseline=x is none of the systems"),
        ({"hypothesis": ["a", "a"]}, "a is given twice"),
        ({"hypothesis": ["a"], "against": "./b/../a"}, "a is given twice"),
        ({"test_set": ["wmt14", "wmt15", "wmt14"], "reference": None}, "names wmt14 twice"),
        ({"test_set": "wmt14"}, "reference and test_set exclude each other"),
        ({"direction": "en-de"}, "direction=en-de goes with test_set"),
        ({"hypothesis": ["a", ""]}, "hypothesis=.* holds an empty name"),
        ({"against": 3}, "against=3 must be text or a list of it"),
    ],
)
def test_what_cannot_be_compared_is_named(changes: dict[str, Any], message: str) -> None:
    asked: dict[str, Any] = {"hypothesis": "a", "reference": "r", "target_language": "de"}
    with pytest.raises(InputError, match=message):
        EvaluateSettings(**asked | changes)


def test_every_file_must_have_as_many_lines(files: dict[str, Path], tmp_path: Path) -> None:
    short = tmp_path / "short.de"
    short.write_text("eins\n", encoding="utf-8")
    for key in ("hypothesis", "reference", "source"):
        others = {"hypothesis": str(files["a"]), "reference": str(files["reference"])}
        with pytest.raises(InputError, match=r"120 lines but|has 1 lines but|but .* has 1;"):
            compared(files, **others | {key: str(short)})
