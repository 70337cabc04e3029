"""Scores by length and by rare words."""

from collections import Counter

import pytest

from transformer.config import CometConfig, MetricsConfig
from transformer.evaluation.analysis.buckets import buckets_of, rare_share
from transformer.evaluation.analysis.groups import score_groups
from transformer.evaluation.analysis.lines import Lines
from transformer.evaluation.analysis.training import TrainingText
from transformer.metrics import score_corpus

CONFIG = MetricsConfig(names=["bleu", "chrf", "chrf++", "ter"])


def counted(counts: dict[str, int]) -> TrainingText:
    return TrainingText(Counter(counts), 10, 10, frozenset(), frozenset())


def test_each_group_scores_what_its_sentences_score_alone() -> None:
    translations = ["a b c d e f", "the cat sat there ", "", "an old man, in a coat", "x"]
    references = [
        ["a b c d f e", "the cat sat here", "nothing", "an old man in his coat", "x"],
        ["a b c", "a cat was sitting there", "", "old men in coats", "y"],
    ]
    groups = [[0, 1, 3], [2], [4, 2], [0, 1, 2, 3, 4]]
    found = score_groups(translations, references, groups, "en", CONFIG)
    for rows, scores in zip(groups, found, strict=True):
        assert scores == score_corpus(
            [translations[row] for row in rows],
            [[stream[row] for row in rows] for stream in references],
            "en",
            MetricsConfig(names=CONFIG.names, resamples=0),
        )


def test_each_sentence_is_in_one_bucket_of_its_length() -> None:
    lengths = [0, 1, 9, 10, 19, 20, 29, 30, 49, 50, 200]
    lines = Lines([" ".join(["w"] * n) for n in lengths], ["x"] * 11, [["y"] * 11])
    found, _ = buckets_of(lines, None, "en", CONFIG)
    assert [(each.label, each.n) for each in found] == [
        ("0", 1),
        *((label, 2) for label in ("1-9", "10-19", "20-29", "30-49", "50+")),
    ]


def test_without_sources_the_reference_has_the_length() -> None:
    lines = Lines(None, ["x", "x"], [["a b", "a " * 12], ["a", "a"]])
    found, rare = buckets_of(lines, counted({}), "en", CONFIG)
    assert [each.label for each in found] == ["1-9", "10-19"]
    assert rare is None


def test_characters_are_counted_where_there_are_no_spaces() -> None:
    lines = Lines(["我们今天去图书馆看一本书。"], ["x"], [["y"]])
    assert [each.label for each in buckets_of(lines, None, "en", CONFIG)[0]] == ["10-19"]


def test_rare_and_unseen_words_decide_the_bucket() -> None:
    training = counted({"often": 5, "seldom": 4})
    sources = ["often", "often often often seldom", "unseen often", "", "Often! " * 30 + "unseen"]
    _, found = buckets_of(Lines(sources, sources, [sources]), training, "en", CONFIG)
    assert found is not None
    assert [(each.label, each.n) for each in found] == [
        ("0 %", 2),
        ("under 10 %", 1),
        ("20-30 %", 1),
        ("30 % +", 1),
    ]
    assert rare_share(["often", "seldom", "unseen"], training) == pytest.approx(2 / 3)


def test_a_share_on_a_border_belongs_to_the_higher_bucket() -> None:
    training = counted({"often": 9})
    _, found = buckets_of(Lines(["often " * 9 + "new"], ["x"], [["y"]]), training, "en", CONFIG)
    assert found is not None
    assert found[0].label == "10-20 %"


def test_length_ratio_is_to_the_nearest_reference() -> None:
    lines = Lines(None, ["a b c"], [["a b"], ["a b c d e f"]])
    assert buckets_of(lines, None, "en", CONFIG)[0][0].length_ratio == 1.5
    empty = Lines(None, ["a b c"], [["..."]])
    assert buckets_of(empty, None, "en", CONFIG)[0][0].length_ratio is None


def test_there_is_no_interval_and_no_comet() -> None:
    config = MetricsConfig(names=["comet", "chrf"], comet=CometConfig(model="nowhere"))
    scores = buckets_of(Lines(None, ["a b"], [["a c"]]), None, "en", config)[0][0].scores
    assert [(each.name, each.mean) for each in scores] == [("chrF2", None)]
