"""How scores are shown."""

import json

import pytest

from transformer.config import MetricsConfig, OutputFormat
from transformer.evaluation import Evaluation, Results
from transformer.evaluation.results import shown
from transformer.evaluation.sets import EvaluationSet
from transformer.evaluation.system import scored
from transformer.metrics import Score

LINES = [f"line {i} of these few" for i in range(18)]
PLAIN = MetricsConfig(resamples=0)


def made(name: str | None, n_right: int, direction: str = "en-de") -> Evaluation:
    """An evaluation of which `n_right` lines are as their references."""
    translations = LINES[:n_right] + ["something else"] * (len(LINES) - n_right)
    language = direction.partition("-")[2]
    each = EvaluationSet(language, LINES, [LINES], name=name, source_language="en")
    return scored("runs/x", each, translations, PLAIN)


def beside(system: str, value: float, p: dict[str, float], name: str = "test") -> Evaluation:
    """A system's evaluation with a score, and `p` beside the baseline's."""
    return Evaluation(
        system=system,
        language="de",
        scores=[Score("BLEU", value, "sig|b", value + 0.1, 1.5)],
        sources=None,
        translations=LINES,
        references=[LINES],
        name=name,
        p=[p],
    )


def test_one_set_is_shown_without_its_name() -> None:
    only = made("test", 9)
    results = Results([only])
    assert results.table() == only.table().render("table")
    head, columns, _, bleu, *_ = results.table().split("\n")
    assert head == "runs/x: 18 sentences, language de"
    assert columns.split() == ["metric", "score", "±", "95", "%", "signature"]
    score = only.scores[0]
    assert bleu.split() == ["BLEU", f"{score.value:.2f}", score.signature]
    assert results.samples(3) == only.samples(3)
    found = json.loads(results.json())
    assert (found["name"], found["direction"]) == ("test", "en-de")
    assert "sets" not in found


def test_several_sets_have_a_table_each_and_their_mean() -> None:
    sets = [made("one", 18), made("two", 9), made("three", 12)]
    tables = Results(sets).table().split("\n\n")
    for table, each in zip(tables[:3], sets, strict=True):
        assert table.startswith(f"runs/x, {each.name}: 18 sentences, language de\n")
        assert table.split("\n")[1:] == each.table().render("table").split("\n")[1:]
    bleu = [each.scores[0].value for each in sets]
    head, _, _, line, *_ = tables[3].split("\n")
    assert head == "mean of 3 test sets"
    assert line.split() == ["BLEU", f"{sum(bleu) / 3:.2f}"]
    found = json.loads(Results(sets).json())
    assert found["sets"] == [each.summary() for each in sets]
    assert found["mean"]["BLEU"] == pytest.approx(sum(bleu) / 3, rel=1e-12)
    assert list(found["mean"]) == ["BLEU", "chrF2", "TER"]


def test_where_there_are_several_directions_each_set_has_its_own_beside_it() -> None:
    sets = [made("one", 18), made("two", 9, "en-zh")]
    text = Results(sets, directed=True).table()
    assert "runs/x, one (en-de): 18 sentences, language de\n" in text
    assert "runs/x, two (en-zh): 18 sentences, language zh\n" in text
    assert Results(sets[1:], directed=True).table().startswith("runs/x, two (en-zh): ")
    assert Results([made(None, 3)], directed=True).table().startswith("runs/x: ")


def test_several_systems_stand_below_each_other_beside_the_baseline() -> None:
    found = Results(
        [beside("a", 30, {}), beside("b", 31, {"bootstrap": 0.04, "randomisation": 0.2})],
        baseline="a",
        level=0.05,
    )
    table = found.table()
    head, columns, _, first, second, *notes = table.split("\n")
    assert head == "test: 18 sentences, language de"
    assert columns.split()[1:] == ["BLEU", "p", "bs", "p", "ar"]
    assert first.startswith("a (baseline)")
    assert "30.00 ± 1.50" in first
    assert "0.0400*" in second
    assert "0.2000*" not in second
    assert any("BLEU: sig|b" in note for note in notes)
    assert any("below 0.05" in note for note in notes)
    summary = json.loads(found.json())
    assert summary["baseline"] == "a"
    systems = summary["sets"][0]["systems"]
    assert systems[1]["scores"][0]["p"] == {"bootstrap": 0.04, "randomisation": 0.2}
    assert "p" not in systems[0]["scores"][0]


def test_equal_scores_are_never_marked_as_different() -> None:
    found = Results([beside("a", 30, {}), beside("b", 30, {"bootstrap": 0.001})], baseline="a")
    assert "0.0010" in found.table()
    assert "0.0010*" not in found.table()


def test_systems_on_several_sets_have_their_means_in_one_table() -> None:
    found = Results(
        [
            *(beside("a", 30, {}, "one"), beside("b", 31, {"bootstrap": 0.5}, "one")),
            *(beside("a", 40, {}, "two"), beside("b", 43, {"bootstrap": 0.01}, "two")),
        ],
        baseline="a",
    )
    assert found.mean() == {"a": {"BLEU": 35}, "b": {"BLEU": 37}}
    last = found.table().split("\n\n")[-1]
    assert last.startswith("mean of 2 test sets\n")
    assert [line.split() for line in last.split("\n")[3:]] == [["a", "35.00"], ["b", "37.00"]]


@pytest.mark.parametrize("form", [OutputFormat.markdown, OutputFormat.latex])
def test_documents_and_papers_get_the_same_numbers(form: OutputFormat) -> None:
    found = Results([beside("a_b", 30, {}), beside("c|d", 31, {"bootstrap": 0.04})], baseline="a_b")
    text = found.text(form)
    rows = [line for line in text.split("\n") if "30.00 ±" in line or "31.00 ±" in line]
    assert len(rows) == 2
    assert "0.0400*" in rows[1]
    if form is OutputFormat.latex:
        assert r"a\_b (baseline)" in text
        assert text.count(r"\\") == 3
    else:
        assert rows[1].startswith("| c\\|d")


def test_comet_has_more_digits() -> None:
    assert shown(Score("COMET", 0.84567, "x", 0.8, 0.0123)) == "0.8457 ± 0.0123"
    assert shown(Score("BLEU", 33.456, "x")) == "33.46"


def test_samples_come_from_the_whole_set() -> None:
    found = made("test", 18)
    samples = found.samples(3).split("\n\n")
    sources = [sample.splitlines()[0].split(maxsplit=1)[1] for sample in samples]
    assert sources == [LINES[0], LINES[6], LINES[12]]
    assert len(found.samples(100).split("\n\n")) == len(LINES)


def test_samples_of_several_sets_stand_under_their_names() -> None:
    sets = [made("one", 18), made("two", 9)]
    assert Results(sets).samples(2) == (
        f"one\n\n{sets[0].samples(2)}\n\ntwo\n\n{sets[1].samples(2)}"
    )
