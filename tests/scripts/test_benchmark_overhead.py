"""The benchmark of the trainer's care."""

from typing import cast

import benchmark_overhead
import pytest
import torch
from benchmark_overhead import BareLoop, take_turns

from transformer.training.stream import UpdateBatches


def test_each_round_begins_with_the_other_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def timed(loop: str, updates: str, _: torch.device) -> float:
        asked.append((loop, updates))
        return float(len(asked))

    monkeypatch.setattr(benchmark_overhead, "timed", timed)
    loops = cast(dict[str, BareLoop], {"bare": "b", "trainer": "t"})
    batches = cast(list[list[UpdateBatches]], ["1", "2", "3"])
    speeds = take_turns({**loops}, iter(batches), torch.device("cpu"))
    assert asked == [("b", "1"), ("t", "1"), ("t", "2"), ("b", "2"), ("b", "3"), ("t", "3")]
    assert speeds == {"bare": [1, 4, 5], "trainer": [2, 3, 6]}
