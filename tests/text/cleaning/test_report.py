"""The report adds up, whatever it is made of, and shows all that it counts."""

import json

from hypothesis import given
from hypothesis import strategies as st

from transformer.text.cleaning import CleaningReport, CorpusReport
from transformer.text.cleaning.report import CHANGES, EXAMPLE_LENGTH, RULES

# What happened to each pair of a corpus: a change or a reason, and two texts.
EVENTS = st.lists(
    st.tuples(st.sampled_from(["html", "control", "empty", "leak", "max_ratio"]), st.text()),
    max_size=12,
)


def report_of(events: list[tuple[str, str]], n_examples: int = 2) -> CorpusReport:
    report = CorpusReport(n_examples=n_examples)
    for name, text in events:
        report.total += 1
        if name in CHANGES:
            report.change(name, [(text, text + "!")], 1)
        else:
            report.drop(name, [(text, "target", "more")])
    return report


def whole(*reports: CleaningReport) -> CleaningReport:
    total = CleaningReport()
    for name, report in (each for every in reports for each in every.corpora.items()):
        total.add_corpus(name, report)
    return total


@given(st.lists(EVENTS, min_size=1, max_size=4), st.integers(0, 4))
def test_parts_make_the_same_report_as_the_whole(
    chunks: list[list[tuple[str, str]]], n_examples: int
) -> None:
    parts = [report_of(chunk, n_examples) for chunk in chunks]
    at_once = report_of([event for chunk in chunks for event in chunk], n_examples)
    merged = CleaningReport()
    for part in parts:
        merged.add_corpus("a", part)
    assert merged.corpora["a"] == at_once
    assert merged.total == at_once.total
    assert merged.kept == at_once.kept == merged.total - merged.dropped
    assert all(len(each) <= n_examples for each in at_once.examples.values())


@given(EVENTS, EVENTS, EVENTS)
def test_adding_may_begin_anywhere(
    first: list[tuple[str, str]], second: list[tuple[str, str]], third: list[tuple[str, str]]
) -> None:
    a, b, c = (
        CleaningReport({name: report_of(events)})
        for name, events in (("x", first), ("y", second), ("x", third))
    )
    assert whole(a, b, c) == whole(whole(a, b), c) == whole(a, whole(b, c))
    assert whole(a, b, c).total == len(first) + len(second) + len(third)


@given(EVENTS, EVENTS)
def test_a_report_survives_json(
    first: list[tuple[str, str]], second: list[tuple[str, str]]
) -> None:
    report = CleaningReport({"a": report_of(first), "b": report_of(second)})
    assert CleaningReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_adding_leaves_what_is_added_as_it_was() -> None:
    part = report_of([("html", "a")])
    total = CleaningReport()
    total.add_corpus("a", part)
    total.add_corpus("a", part)
    assert part == report_of([("html", "a")])


def test_more_may_be_counted_than_handed_over() -> None:
    report = CorpusReport(n_examples=2, total=100)
    report.drop("duplicates", [("a", "b"), ("c", "d")], 40)
    report.drop("duplicates", [("e", "f")])
    assert report.dropped == {"duplicates": 41}
    assert report.examples == {"duplicates": [("a", "b"), ("c", "d")]}
    assert report.kept == 59


def test_the_table_shows_every_count_in_the_order_of_the_rules() -> None:
    report = CorpusReport(n_examples=0, total=10_000)
    for n, name in enumerate(reversed(RULES), start=1):
        report.drop(name, [], n)
    report.change("whitespace", [], 4_321)
    report.change("html", [], 1_234)
    table = CleaningReport({"a": report}).table()
    lines = [line.split() for line in table.splitlines()]
    assert lines[0] == ["training", "pairs", "10,000", "100.00%"]
    assert lines[1:3] == [
        ["changed:", "html", "1,234", "12.34%"],
        ["changed:", "whitespace", "4,321", "43.21%"],
    ]
    assert [line[1] for line in lines[3:-1]] == list(RULES)
    assert [int(line[2]) for line in lines[3:-1]] == list(range(len(RULES), 0, -1))
    assert lines[-1][:2] == ["kept", f"{10_000 - sum(range(len(RULES) + 1)):,}"]


def test_some_corpora_have_a_column_each_and_many_have_not() -> None:
    first, second = report_of([("html", "x"), ("empty", "")]), report_of([("leak", "x")] * 3)
    lines = CleaningReport({"one": first, "two": second}).table().splitlines()
    assert lines[0].split() == ["one", "two", "all"]
    assert len({len(line) for line in lines}) == 1
    rows = {line.partition("  ")[0]: line.split()[-6:] for line in lines[1:]}
    assert rows["training pairs"] == ["2", "100.00%", "3", "100.00%", "5", "100.00%"]
    assert rows["dropped: leak"][-5:] == ["-", "3", "100.00%", "3", "60.00%"]
    assert rows["kept"] == ["1", "50.00%", "0", "0.00%", "1", "20.00%"]
    many = CleaningReport({str(i): first for i in range(7)}).table()
    assert many.splitlines()[0].split() == ["training", "pairs", "14", "100.00%"]
    assert CleaningReport().table()


def test_examples_stay_short() -> None:
    report = CorpusReport(n_examples=1, total=1)
    report.drop("copies", [("x" * 9_999, "y")])
    assert [len(text) for text in report.examples["copies"][0]] == [EXAMPLE_LENGTH, 1]
