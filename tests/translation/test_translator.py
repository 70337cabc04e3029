"""Properties of translating lines."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import pytest
import torch

from transformer.config import Precision, SearchConfig
from transformer.search import Task
from transformer.translation import Member, Request, Translation, Translator
from transformer.translation import translator as module
from transformer.translation.batches import LEAST_PIECES, plan

Draw = Callable[[int], list[str]]
SHORT: dict[str, Any] = {"max_length_offset": 3, "max_length_ratio": 1.0}


def assert_same(found: list[Translation], expected: list[Translation]) -> None:
    assert [translation.texts for translation in found] == [t.texts for t in expected]
    for a, b in zip(found, expected, strict=True):
        assert a.scores == pytest.approx(b.scores, abs=1e-10)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_line_alone_gets_the_translation_it_gets_among_others(
    translator: Translator, draw_lines: Draw, beam_size: int
) -> None:
    config = SearchConfig(beam_size=beam_size, n_best=beam_size, **SHORT)
    lines = draw_lines(16)
    together = list(translator.translate(lines, config))
    alone = [next(translator.translate([line], config)) for line in lines]
    assert len({translation.text for translation in together}) > 5, "the order must show"
    assert_same(together, alone)
    assert_same(list(translator.translate(lines[::-1], config)), together[::-1])


@pytest.mark.parametrize("window", [1, 3, 7])
@pytest.mark.parametrize("batch_tokens", [1, 20, 10_000])
def test_windows_and_batches_change_nothing(
    translator: Translator,
    draw_lines: Draw,
    monkeypatch: pytest.MonkeyPatch,
    window: int,
    batch_tokens: int,
) -> None:
    lines = draw_lines(13)
    expected = list(translator.translate(lines, SearchConfig(beam_size=2, **SHORT)))
    monkeypatch.setattr(module, "WINDOW", window)
    config = SearchConfig(beam_size=2, batch_tokens=batch_tokens, **SHORT)
    assert_same(list(translator.translate(iter(lines), config)), expected)


def test_blank_lines_give_one_empty_line_each(translator: Translator) -> None:
    lines = ["", "abc", "   ", "\t", "def", "\u3000 "]
    found = list(translator.translate(lines, SearchConfig(beam_size=2, n_best=2, **SHORT)))
    assert [i for i, t in enumerate(found) if t.texts == [""] and t.scores == [0.0]] == [0, 2, 3, 5]
    assert len(found[1].texts) == 2
    assert list(translator.translate(["", ""], SearchConfig()))[1].text == ""
    assert list(translator.translate([], SearchConfig())) == []


def test_lines_are_read_no_further_than_a_window_ahead(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WINDOW", 2)
    read = []

    def endless() -> Iterator[str]:
        while True:
            read.append("abc")
            yield "abc"

    found = islice(translator.translate(endless(), SearchConfig(beam_size=1, **SHORT)), 3)
    assert len(list(found)) == 3
    assert len(read) == 4


@pytest.mark.parametrize(
    "line",
    [
        "a\u2028b",
        "a\x00b",
        "a\tb",
        "😀 ab",
        "שלום",
        "a\u0085b\x0cc",
        "e\u0301",
        "\ufeffab",
        "a\rb",
        "\U0010ffff",
    ],
)
def test_exotic_characters_come_through_as_one_line(translator: Translator, line: str) -> None:
    (found,) = translator.translate([line], SearchConfig(beam_size=2, **SHORT))
    assert "\n" not in found.text
    assert "\r" not in found.text
    found.text.encode("utf-8")


@pytest.mark.parametrize("beam_size", [1, 4])
@pytest.mark.parametrize("batch_tokens", [1, 80, 300])
def test_batches_keep_to_their_budget_and_hold_each_line_once(
    beam_size: int, batch_tokens: int
) -> None:
    lengths = [3, 19, 1, 1, 40, 4, 9, 2]
    batches = list(plan(lengths, SearchConfig(beam_size=beam_size, batch_tokens=batch_tokens)))
    rows = [row for batch in batches for row in batch]
    assert sorted(rows) == list(range(len(lengths)))
    assert [lengths[row] for row in rows] == sorted(lengths, reverse=True)
    for batch in batches:
        size = len(batch) * max(lengths[batch[0]] + 1, LEAST_PIECES) * beam_size
        assert size <= batch_tokens or len(batch) == 1
    for batch, following in pairwise(batches):
        size = (len(batch) + 1) * max(lengths[batch[0]] + 1, LEAST_PIECES) * beam_size
        assert size > batch_tokens, f"{following[0]} would have fitted"


def tasks_of(translator: Translator, lines: list[str], config: SearchConfig) -> list[Task]:
    requests = [Request(source=line) for line in lines]
    planned = translator.planner.lines(requests, config, 0)
    return [job.task for line in planned for job in line.jobs]


def test_the_length_limits_are_each_lines_own(translator: Translator) -> None:
    config = SearchConfig(max_length_ratio=1.5, max_length_offset=4, min_length=2)
    tasks = tasks_of(translator, ["a", "abcdefghi", "abc"], config)
    n_pieces = [2, 10, 4]  # a character a piece, and the mark of a space
    assert [task.longest for task in tasks] == [int(1.5 * n) + 4 for n in n_pieces]
    assert [task.shortest for task in tasks] == [3, 3, 3]
    tasks = tasks_of(translator, ["abcdefghi"], replace(config, max_length=7, min_length_ratio=0.5))
    assert [(task.shortest, task.longest) for task in tasks] == [(6, 7)]


def test_an_output_is_no_longer_than_its_limit(translator: Translator) -> None:
    config = SearchConfig(beam_size=2, max_length_ratio=0.0, max_length_offset=3)
    for translation in translator.translate(["abc def", "f"], config):
        assert len(translation.text) <= 3  # of at most a character a piece


def test_n_best_hypotheses_come_best_first(translator: Translator) -> None:
    (found,) = translator.translate(["abc"], SearchConfig(beam_size=5, n_best=4, **SHORT))
    assert len(found.texts) == len(found.scores) == 4
    assert found.scores == sorted(found.scores, reverse=True)
    assert found.text == found.texts[0]


@pytest.mark.gpu
def test_greedy_translations_on_a_gpu_are_those_of_the_cpu(
    translator: Translator, draw_lines: Draw
) -> None:
    config = SearchConfig(beam_size=1, **SHORT)
    expected = [t.text for t in translator.translate(draw_lines(40), config)]
    (member,) = translator.members
    gpu = Translator(
        [Member(member.model.float().cuda(), member.settings)],
        translator.tokenizers,
        torch.device("cuda"),
        Precision.fp32,
    )
    assert [t.text for t in gpu.translate(draw_lines(40), config)] == expected
