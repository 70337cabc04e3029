"""Which training pairs are dropped, and that each is counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.config import CleaningConfig
from transformer.text.cleaning import CleaningReport, clean, keep_by_length

SIDE = st.sampled_from(["", " ", "\u3000", "a", "b", "a b"])
LENGTHS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1)


@given(st.lists(st.tuples(SIDE, SIDE)), st.booleans(), st.booleans())
def test_every_pair_is_kept_or_counted(
    pairs: list[tuple[str, str]], empty: bool, duplicates: bool
) -> None:
    report = CleaningReport()
    kept = list(clean(pairs, CleaningConfig(empty=empty, duplicates=duplicates), report))
    assert report.total == len(pairs)
    assert report.kept == len(kept)
    assert not (empty and any(not side.strip() for pair in kept for side in pair))
    assert not (duplicates and len(set(kept)) < len(kept))
    assert set(kept) == {pair for pair in pairs if not empty or all(map(str.strip, pair))}


def test_without_rules_nothing_is_dropped() -> None:
    pairs = [("", ""), ("a", "b"), ("a", "b")]
    config = CleaningConfig(empty=False, duplicates=False)
    assert list(clean(pairs, config, CleaningReport())) == pairs


def test_a_duplicate_has_both_sides_equal() -> None:
    pairs = [("a", "b"), ("a", "c"), ("c", "b"), ("a b", ""), ("a", "b")]
    report = CleaningReport()
    kept = list(clean(pairs, CleaningConfig(empty=False), report))
    assert kept == pairs[:-1]
    assert report.duplicates == 1


@given(LENGTHS, st.integers(1, 40), st.floats(1, 10))
def test_rules_on_length_keep_or_count(
    lengths: list[tuple[int, int]], max_pieces: int, max_ratio: float
) -> None:
    source, target = np.array(lengths, dtype=np.int32).T
    config = CleaningConfig(max_pieces=max_pieces, max_ratio=max_ratio)
    report = CleaningReport(total=len(lengths))
    kept = keep_by_length(source, target, config, report)
    assert report.kept == kept.sum()
    for keep, pair in zip(kept, lengths, strict=True):
        fits = max(pair) <= max_pieces and max(pair) / max(min(pair), 1) <= max_ratio
        assert keep == fits


def test_the_limits_themselves_are_kept() -> None:
    source, target = np.array([10, 11, 2], dtype=np.int32), np.array([10, 11, 9], dtype=np.int32)
    report = CleaningReport(total=3)
    kept = keep_by_length(source, target, CleaningConfig(max_pieces=10, max_ratio=4.5), report)
    assert kept.tolist() == [True, False, True]
    assert (report.too_long, report.uneven) == (1, 0)


def test_the_table_shows_every_count() -> None:
    report = CleaningReport(total=10_000, empty=1, duplicates=22, too_long=333, uneven=4_444)
    table = report.table()
    for count in ("10,000", "1", "22", "333", "4,444", "5,200"):
        assert f" {count} " in table
    assert "52.00%" in table


@pytest.mark.parametrize("report", [CleaningReport(), CleaningReport(total=9, empty=2, uneven=1)])
def test_a_report_survives_its_dictionary(report: CleaningReport) -> None:
    assert CleaningReport.from_dict(report.to_dict()) == report
    assert CleaningReport().table()


def test_what_goes_with_a_pair_is_kept_or_dropped_with_it() -> None:
    rows = [("a", "b", "0-0"), ("", "b", "1"), ("c", "d", ""), ("a", "b", "9-9"), ("e", "f", "0-0")]
    report = CleaningReport()
    assert list(clean(rows, CleaningConfig(), report)) == [rows[0], rows[2], rows[4]]
    assert (report.empty, report.duplicates) == (1, 1)
