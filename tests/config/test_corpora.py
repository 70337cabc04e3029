"""Entries of data.train, data.valid and data.test."""

from typing import Any

import pytest

from transformer.config import FilesConfig
from transformer.config.corpora import read_corpora
from transformer.errors import InputError


@pytest.mark.parametrize("tag", ["s", "pad", "unk", "sep", "0xFF", "2de", "2zh-Hant"])
def test_a_tag_that_means_something_else_is_refused(tag: str) -> None:
    with pytest.raises(InputError, match=rf"^data\.train: tag={tag} of a stands for a piece"):
        read_corpora("data.train", {"path": "a", "tag": tag})


@pytest.mark.parametrize("tag", ["bt", "seps", "2021", "2020_crawl", "x2de"])
def test_other_tags_are_taken(tag: str) -> None:
    assert read_corpora("data.train", {"path": "a", "tag": tag})[0].tag == tag


def test_the_number_of_a_column_needs_no_quotes() -> None:
    (corpus,) = read_corpora("data.train", {"path": "a.tsv", "source_column": 3})
    assert corpus.source_column == "3"


def test_what_has_no_effect_on_validation_is_refused() -> None:
    valid = {"path": "b", "weight": 2}
    with pytest.raises(InputError, match=r"^data\.valid: weight=2\.0 of b is for data\.train"):
        FilesConfig(source="xx", target="yy", train="a", valid=valid)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_tag_that_training_does_not_have_is_refused(split: str) -> None:
    splits: dict[str, Any] = {"valid": "b", split: {"path": "b", "tag": "bt"}}
    with pytest.raises(InputError, match=rf"^data\.{split}: tag=bt of b is of no corpus"):
        FilesConfig(source="xx", target="yy", train="a", **splits)
    train = {"path": "a", "tag": "bt"}
    assert FilesConfig(source="xx", target="yy", train=train, **splits).tags == ["<bt>"]
