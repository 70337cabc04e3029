"""Pairs go through changes and rules, each is accounted for, and chunks make no difference."""

import pickle
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.config import CleaningConfig, CorpusConfig, UnicodeForm
from transformer.errors import InputError
from transformer.text.cleaning import Cleaner, CleaningReport

TEXT = st.lists(
    st.sampled_from(
        [
            "a",
            "B",
            " ",
            "  ",
            "\t",
            "&amp;",
            "<b>",
            "é",
            "é",
            "\u200b",
            "42",
            "да",
            "中",
            ".",
            "1999",
            "\u3000",
            "&#10;",
        ]
    ),
    max_size=6,
).map("".join)
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=10)
CONFIGS = st.builds(
    CleaningConfig,
    html=st.booleans(),
    unicode=st.sampled_from(UnicodeForm),
    control=st.booleans(),
    whitespace=st.booleans(),
    empty=st.booleans(),
    copies=st.booleans(),
    min_words=st.none() | st.just(2),
    max_word_ratio=st.none() | st.just(2.0),
    letters=st.none() | st.just(0.5),
    script=st.booleans(),
    numbers=st.booleans(),
    n_examples=st.integers(0, 3),
)


def cleaner(config: CleaningConfig, source: str = "en", target: str = "ru") -> Cleaner:
    return Cleaner(config, CorpusConfig(path="x", name="x", source=source, target=target))


def columns(pairs: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [source for source, _ in pairs], [target for _, target in pairs]


def chunks(n: int, size: int) -> Iterator[slice]:
    return (slice(first, first + size) for first in range(0, n, size))


@given(PAIRS, CONFIGS)
def test_every_pair_is_kept_or_counted(
    pairs: list[tuple[str, str]], config: CleaningConfig
) -> None:
    cleaned = cleaner(config).clean(*columns(pairs))
    assert len(cleaned.sources) == len(cleaned.targets) == len(cleaned.reasons) == len(pairs)
    report = cleaned.report
    assert report.total == len(pairs)
    assert report.kept == len(cleaned.kept)
    assert report.dropped == {name: cleaned.reasons.count(name) for name in report.dropped}
    assert set(cleaned.reasons) <= {None, *report.dropped}
    assert report.changed == {name: len(rows) for name, rows in cleaned.changed.items()}
    altered = {
        row
        for row, pair in enumerate(pairs)
        if pair != (cleaned.sources[row], cleaned.targets[row])
    }
    assert altered <= {row for rows in cleaned.changed.values() for row in rows}
    assert not any("\n" in text for text in cleaned.sources + cleaned.targets)


@given(PAIRS, CONFIGS, st.integers(1, 10))
def test_chunks_of_any_size_make_the_same_pairs_and_the_same_report(
    pairs: list[tuple[str, str]], config: CleaningConfig, size: int
) -> None:
    sources, targets = columns(pairs)
    cleans = cleaner(config)
    whole = cleans.clean(sources, targets)
    parts = [cleans.clean(sources[run], targets[run]) for run in chunks(len(pairs), size)]
    assert [text for part in parts for text in part.sources] == whole.sources
    assert [reason for part in parts for reason in part.reasons] == whole.reasons
    merged = CleaningReport()
    for part in parts:
        merged.add_corpus("x", part.report)
    expected = CleaningReport({"x": whole.report})
    assert not pairs or merged == expected
    assert not pairs or merged.table() == expected.table()


@given(PAIRS, CONFIGS)
def test_a_pair_does_not_depend_on_those_around_it(
    pairs: list[tuple[str, str]], config: CleaningConfig
) -> None:
    cleans = cleaner(config)
    together = cleans.clean(*columns(pairs))
    for row, (source, target) in enumerate(pairs):
        alone = cleans.clean([source], [target])
        assert (alone.sources, alone.targets) == ([together.sources[row]], [together.targets[row]])
        assert alone.reasons == [together.reasons[row]]


def test_without_changes_and_rules_every_pair_stays_as_it_is() -> None:
    pairs = [("", ""), ("a\t b&amp;", "a"), ("\u200b", "\x00"), ("e\u0301", "e\u0301")]
    cleaned = cleaner(CleaningConfig(empty=False)).clean(*columns(pairs))
    assert list(zip(cleaned.sources, cleaned.targets, strict=True)) == pairs
    assert cleaned.kept == [0, 1, 2, 3]
    assert cleaned.report.dropped == cleaned.report.changed == {}


def test_a_pair_counts_for_the_first_rule_that_drops_it_after_the_changes() -> None:
    config = CleaningConfig(control=True, html=True, copies=True, min_words=2, script=True)
    pairs = [("\u200b", "да"), ("&lt;b&gt;", "<B>"), ("yes", "YES"), ("да да", "но но"), ("a", "б")]
    cleaned = cleaner(config).clean(*columns(pairs))
    assert cleaned.reasons == ["empty", "empty", "copies", "script", "min_words"]
    assert cleaned.changed == {"html": [1], "control": [0]}
    report = cleaned.report
    assert list(report.changed) == ["html", "control"]
    assert list(report.dropped) == ["empty", "copies", "min_words", "script"]
    assert report.examples["control"] == [("\u200b", "")]
    assert report.examples["empty"] == [("", "да"), ("", "")]


def test_a_pair_is_dropped_whose_alignment_a_change_upsets() -> None:
    sources = ["a &amp; b", "a<br>b", "a\u3000b", "a \u200b b", "a<br>b", "<p>a b</p>"]
    targets = ["x"] * len(sources)
    alignments = ["0-0", "0-0", "1-0", "2-0", " ", "1-0"]
    config = CleaningConfig(html=True, control=True, whitespace=True)
    cleaned = cleaner(config, "en", "en").clean(sources, targets, alignments)
    assert cleaned.reasons == [None, "alignment", None, "alignment", None, None]
    assert cleaned.report.dropped == {"alignment": 2, "empty": 0}
    swapped = cleaner(config, "en", "en").clean(targets, sources, alignments)
    assert swapped.reasons == cleaned.reasons
    assert cleaner(config, "en", "en").clean(sources, targets).reasons == [None] * 6


def test_a_cleaner_may_go_to_another_process(caplog: pytest.LogCaptureFixture) -> None:
    config = CleaningConfig(
        html=True, unicode=UnicodeForm.nfc, control=True, copies=True, letters=0.5, script=True
    )
    first = cleaner(config, "en", "qq")
    assert len(caplog.messages) == 1
    second = pickle.loads(pickle.dumps(first))
    assert len(caplog.messages) == 1
    pairs = (["<b>a</b>", "a", "да"], ["b", "A", "x"])
    assert second.clean(*pairs) == first.clean(*pairs)


@pytest.mark.parametrize("setting", [{"mojibake": True}, {"language": True}])
def test_a_missing_library_is_told_when_the_cleaner_is_made(
    setting: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformer.text.cleaning import identification

    for name in ("ftfy", "py3langid", "py3langid.langid"):
        monkeypatch.setitem(sys.modules, name, None)
    identification._identifier.cache_clear()
    with pytest.raises(InputError, match=r"pip install 'transformer-mt\[cleaning\]'"):
        cleaner(CleaningConfig(**setting))
