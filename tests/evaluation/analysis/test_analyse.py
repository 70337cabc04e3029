"""The analysis as a whole: tables, JSON, odd input."""

import json
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.config import MetricsConfig
from transformer.errors import InputError
from transformer.evaluation.analysis import TrainingText, analyse
from transformer.metrics import score_sentences

CONFIG = MetricsConfig()
NO_TEXT = TrainingText(Counter(), 0, None, frozenset(), frozenset())

SOURCES = ["A dog runs.", "A cat sleeps on the sofa.", "Two men."]
TRANSLATIONS = ["Ein Hund rennt.", "Eine Katze Katze Katze schläft.", ""]
REFERENCES = ["Ein Hund läuft.", "Eine Katze schläft auf dem Sofa.", "Zwei Männer."]


def test_best_and_worst_are_by_chrf_and_equals_keep_their_order() -> None:
    texts = ["same", "zzzz", "qqqq", "same", "sample"]
    found = analyse(None, texts, [["same"] * 5], "en", None, CONFIG)
    assert found.best(3) == [0, 3, 4]
    assert found.worst(3) == [1, 2, 4]
    assert found.worst(9) == [1, 2, 4, 0, 3]
    assert found.sentence_scores == score_sentences("chrf", texts, [["same"] * 5], "en", CONFIG)


def test_tables_can_be_printed_in_each_form() -> None:
    found = analyse(SOURCES, TRANSLATIONS, [REFERENCES], "de", NO_TEXT, CONFIG)
    titles = [table.title for table in found.tables()]
    assert titles == ["By words of the source", "By rare words of the source", "Behaviour"]
    for table in found.tables():
        assert len({len(row) for row in table.rows} | {len(table.columns)}) == 1
        assert all(table.render(form) for form in ("table", "markdown", "latex"))


def test_suspects_have_a_table_that_names_their_lines() -> None:
    loop = "auf dem Dach " * 6
    for sources in (SOURCES, None):
        found = analyse(sources, [*TRANSLATIONS[:2], loop], [REFERENCES], "de", None, CONFIG)
        table = found.tables()[-1]
        assert table.title == "Suspected hallucinations"
        row = table.summary()[0]
        assert (row["line"], row["translation"]) == (3, loop)
        assert "oscillation" in str(row["why"])


def test_a_table_of_many_suspects_says_how_many_there_are() -> None:
    found = analyse(None, ["haha" * 9] * 12, [["x"] * 12], "de", None, CONFIG)
    table = found.tables()[-1]
    assert len(table.rows) == 10
    assert "10 of 12" in table.title


def test_the_note_on_what_was_read_is_below_the_table() -> None:
    training = TrainingText(Counter(), 2_000, 9_000, frozenset(), frozenset())
    found = analyse(SOURCES, TRANSLATIONS, [REFERENCES], "de", training, CONFIG)
    assert "2,000 pairs of about 9,000" in " ".join(found.tables()[1].notes)


def test_the_summary_is_json_with_lines_from_one() -> None:
    found = analyse(SOURCES, TRANSLATIONS, [REFERENCES], "de", NO_TEXT, CONFIG)
    summary = json.loads(json.dumps(found.summary(), allow_nan=False))
    behaviour = summary["behaviour"]
    assert behaviour["repetitive"] == {"n": 1, "share": pytest.approx(1 / 3), "lines": [2]}
    assert behaviour["empty"]["lines"] == [3]
    assert sum(each["sentences"] for each in summary["by_length"]) == 3
    assert summary["by_length"][0]["scores"][0]["signature"].startswith("nrefs:1")
    no_training = analyse(SOURCES, TRANSLATIONS, [REFERENCES], "de", None, CONFIG).summary()
    assert no_training["by_rarity"] is no_training["training"] is None


LINE = st.sampled_from(["", " ", "a", "...", "我们。", "A dog, a dog", "x" * 40, "1 2 3"])


@given(
    st.integers(1, 3).flatmap(
        lambda n: st.tuples(
            st.one_of(st.none(), st.lists(LINE, min_size=n, max_size=n)),
            st.lists(LINE, min_size=n, max_size=n),
            st.lists(st.lists(LINE, min_size=n, max_size=n), min_size=1, max_size=2),
        )
    ),
    st.sampled_from(["de", "zh", "th"]),
)
def test_any_lines_can_be_analysed(
    lines: tuple[list[str] | None, list[str], list[list[str]]], language: str
) -> None:
    found = analyse(*lines, language, NO_TEXT, CONFIG)
    json.dumps(found.summary(), allow_nan=False)
    for table in found.tables():
        table.render("markdown")
    assert all(math.isfinite(score) for score in found.sentence_scores)
    assert (found.by_rarity is None) == (lines[0] is None)


def test_counts_that_differ_are_named() -> None:
    with pytest.raises(InputError, match="2 translations but 1 references"):
        analyse(None, ["a", "b"], [["a"]], "de", None, CONFIG)
    with pytest.raises(InputError, match="1 translations but 2 sources"):
        analyse(["a", "b"], ["a"], [["a"]], "de", None, CONFIG)
    with pytest.raises(InputError, match="no line"):
        analyse(None, [], [[]], "de", None, CONFIG)
    with pytest.raises(InputError, match="no reference"):
        analyse(None, ["a"], [], "de", None, CONFIG)
