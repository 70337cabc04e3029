"""How scores are shown."""

import json

import pytest

from transformer.evaluation import Evaluation, Report
from transformer.evaluation.report import evaluation_of

LINES = [f"line {i} of these few" for i in range(18)]


def made(name: str | None, n_right: int, direction: str = "en-de") -> Evaluation:
    """An evaluation of which `n_right` lines are as their references."""
    translations = LINES[:n_right] + ["something else"] * (len(LINES) - n_right)
    language = direction.partition("-")[2]
    return evaluation_of(
        "runs/x", language, LINES, translations, LINES, name=name, direction=direction
    )


def test_one_set_is_reported_without_its_name() -> None:
    (only,) = (report := Report([made("test", 9)])).sets
    assert report.table() == only.table()
    assert report.table().startswith("runs/x: 18 sentences, language de\nBLEU ")
    assert report.samples(3) == only.samples(3)
    found = json.loads(report.json())
    assert (found["name"], found["direction"]) == ("test", "en-de")
    assert "sets" not in found


def test_several_sets_have_a_table_each_and_their_mean() -> None:
    sets = [made("one", 18), made("two", 9), made("three", 12)]
    tables = Report(sets).table().split("\n\n")
    for table, each in zip(tables[:3], sets, strict=True):
        assert table.startswith(f"runs/x, {each.name}: 18 sentences, language de\n")
        assert table.split("\n")[1:] == each.table().split("\n")[1:]
    bleu = [each.scores[0].value for each in sets]
    head, line, *_ = tables[3].split("\n")
    assert head == "mean of 3 test sets"
    assert line == f"BLEU  {sum(bleu) / 3:6.2f}"
    found = json.loads(Report(sets).json())
    assert found["sets"] == [each.summary() for each in sets]
    assert found["mean"]["BLEU"] == pytest.approx(sum(bleu) / 3, rel=1e-12)
    assert list(found["mean"]) == ["BLEU", "chrF2", "TER"]


def test_where_there_are_several_directions_each_set_has_its_own_beside_it() -> None:
    sets = [made("one", 18), made("two", 9, "en-zh")]
    text = Report(sets, directed=True).table()
    assert "runs/x, one (en-de): 18 sentences, language de\n" in text
    assert "runs/x, two (en-zh): 18 sentences, language zh\n" in text
    assert Report(sets[1:], directed=True).table().startswith("runs/x, two (en-zh): ")
    assert Report([made(None, 3)], directed=True).table().startswith("runs/x: ")


def test_samples_come_from_the_whole_set() -> None:
    found = made("test", 18)
    samples = found.samples(3).split("\n\n")
    sources = [sample.splitlines()[0].split(maxsplit=1)[1] for sample in samples]
    assert sources == [LINES[0], LINES[6], LINES[12]]
    assert len(found.samples(100).split("\n\n")) == len(LINES)


def test_samples_of_several_sets_stand_under_their_names() -> None:
    sets = [made("one", 18), made("two", 9)]
    assert Report(sets).samples(2) == (
        f"one\n\n{sets[0].samples(2)}\n\ntwo\n\n{sets[1].samples(2)}"
    )
