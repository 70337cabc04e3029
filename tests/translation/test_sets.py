"""What is asked of a translator for the lines of a set."""

from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.config import ContextConfig, FilesConfig
from transformer.errors import InputError
from transformer.translation import Request
from transformer.translation.sets import numbered_documents, requests_of

SEVERAL = [{"path": "a", "target": "de"}, {"path": "b", "target": "zh"}]


def data_of(train: Any = "a", source: int = 0) -> FilesConfig:
    context = ContextConfig(source=source)
    return FilesConfig(source="en", target="de", train=train, valid="c", context=context)


def test_a_model_of_one_target_language_without_context_is_asked_for_lines_alone() -> None:
    rows = [("a", "b"), ("", "c"), ("d", "e")]
    assert requests_of(rows, "de", data_of()) == [Request(source=row[0]) for row in rows]


def test_a_model_of_several_target_languages_is_told_which() -> None:
    requests = requests_of([("a", "b"), ("c", "d")], "zh", data_of(SEVERAL))
    assert requests == [Request(source=text, target_language="zh") for text in "ac"]


def test_a_language_that_a_model_of_several_has_not_learnt_is_refused() -> None:
    with pytest.raises(InputError, match=r"^target_language=fr .*: de, zh$|which are de, zh$"):
        requests_of([("a", "b")], "fr", data_of(SEVERAL))


@given(
    documents=st.lists(st.tuples(st.sampled_from("xyz"), st.integers(1, 5)), max_size=6),
    k=st.integers(1, 4),
)
def test_context_is_the_nearest_sources_of_the_same_document(
    documents: list[tuple[str, int]], k: int
) -> None:
    names = [name for name, size in documents for _ in range(size)]
    rows = [(f"source {i}", f"target {i}", name) for i, name in enumerate(names)]
    found = requests_of(rows, "de", data_of(source=k))
    assert [request.source for request in found] == [row[0] for row in rows]
    expected: list[list[str]] = []
    for _, run in groupby(rows, key=lambda row: row[2]):
        sources = [row[0] for row in run]
        # An empty list, since None would leave it to the translator to look at other lines.
        expected += [sources[:i][-k:] for i in range(len(sources))]
    assert [request.context for request in found] == expected


def test_rows_without_documents_are_of_one() -> None:
    rows = [("a", "x"), ("b", "x"), ("c", "y")]
    found = requests_of(rows, "de", data_of(source=2))
    assert [request.context for request in found] == [[], ["a"], ["a", "b"]]


def test_blank_lines_are_borders_that_belong_to_no_document() -> None:
    sources = ["a", "b", "", " ", "c", "d"]
    documents = numbered_documents(sources)
    rows = [(source, "", document) for source, document in zip(sources, documents, strict=True)]
    found = requests_of(rows, "de", data_of(source=9))
    assert [request.context for request in found] == [[], ["a"], [], [], [], ["c"]]
