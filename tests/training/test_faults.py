"""Properties of the watch over a run's numbers."""

import logging
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from transformer.config import FaultsConfig, OptimConfig, Precision, TrainSettings
from transformer.model import Transformer
from transformer.text.batching import Batch
from transformer.text.dataset import prepare_data
from transformer.training.distributed import Processes
from transformer.training.faults import CHECK_EVERY, HORIZON, Monitor, Reports, Seen, Trouble
from transformer.training.objective import TokenLoss, batch_loss
from transformer.training.stream import Position, UpdateBatches
from transformer.training.update import Updater, UpdateResult

N_LABELS = 100


class Watched:
    """A monitor that is shown the loss of a token update by update; NaN: skipped."""

    def __init__(self, **config: float | None) -> None:
        self.reported: list[int] = []
        self.monitor = self.fresh(**config)
        self.number = 0

    def fresh(self, **config: float | None) -> Monitor:
        faults = FaultsConfig(**config)  # type: ignore[arg-type]
        return Monitor(faults, lambda seen: self.reported.append(seen.number))

    def show(self, *losses: float) -> list[Trouble]:
        found = []
        for loss in losses:
            self.number += 1
            update = UpdateBatches([], 0, N_LABELS, 0, Position(self.number), 0.0)
            nll, bad = torch.tensor(loss * N_LABELS), torch.tensor(float(math.isnan(loss)))
            self.monitor.add(update, UpdateResult(nll, [], torch.tensor(1.0), bad, 1e-3, []))
            trouble = self.monitor.check()
            if trouble:
                found.append(trouble)
        return found


def test_skipped_updates_in_a_row_are_trouble_and_others_are_not() -> None:
    watched = Watched(max_skipped=3)
    assert not watched.show(*[3.0, math.nan, math.nan] * 20)
    (trouble,) = watched.show(*[math.nan] * 3, *[2.0] * (2 * CHECK_EVERY - 3))
    assert not trouble.lasting
    assert "3 updates in a row" in trouble.text
    assert trouble.text.endswith("at update 61")
    assert watched.reported[:3] == [2, 3, 5]


def test_it_looks_every_so_many_updates_only() -> None:
    watched = Watched(max_skipped=1)
    assert not watched.show(*[math.nan] * (CHECK_EVERY - 1))
    assert not watched.reported
    assert watched.show(math.nan)
    assert watched.reported


def test_a_loss_that_rises_by_more_than_the_margin_is_trouble() -> None:
    watched = Watched(divergence=1.0)
    assert not watched.show(*[9.0 - 0.05 * i for i in range(100)])
    assert watched.monitor.state()["calm"]
    assert not watched.show(*[4.5] * 100)  # a little more than the lowest, 4.05
    troubles = watched.show(*[8.0] * HORIZON)
    assert troubles[0].lasting
    assert "diverges" in troubles[0].text
    assert not watched.monitor.state()["calm"]


def test_no_margin_means_no_trouble() -> None:
    assert not Watched(divergence=None).show(*[1.0] * 100, *[100.0] * 100)


def test_a_watch_resumed_from_any_update_says_the_same() -> None:
    losses = [5.0 - 0.02 * i for i in range(95)] + [math.nan] * 7 + [9.0] * 88
    whole = Watched(max_skipped=7, divergence=0.5)
    expected = whole.show(*losses)
    assert len(expected) > 2
    for cut in (1, 9, 10, 37, 96, 99, 101, 150):
        parts = Watched(max_skipped=7, divergence=0.5)
        found = parts.show(*losses[:cut])
        state = parts.monitor.state()
        parts.monitor = parts.fresh(max_skipped=7, divergence=0.5)
        parts.monitor.load_state(state)
        found += parts.show(*losses[cut:])
        assert found == expected
        assert parts.monitor.state() == whole.monitor.state()


@pytest.mark.parametrize(("nll", "named"), [(math.nan, [3, 4]), (5.0, [1, 2, 3, 4])])
def test_a_report_shows_the_lines_of_the_batches_to_blame(
    settings: TrainSettings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    nll: float,
    named: list[int],
    corpus: Path,
) -> None:
    data = prepare_data(settings.data, settings.tokenizer, settings.cleaning)
    rows = [np.array([1, 2]), np.array([3, 4])]
    losses = [torch.tensor(2.0), torch.tensor(nll)]
    seen = Seen(7, 20, torch.tensor(nll), torch.tensor(1.0), rows, losses)
    reports = Reports(tmp_path / "faults", data, Processes(), lambda: False)
    with caplog.at_level(logging.WARNING):
        reports.write(seen)
    (message,) = caplog.messages
    assert "update 7 skipped" in message
    lines = (tmp_path / "faults" / "00000007.0.tsv").read_text(encoding="utf-8").splitlines()
    assert [int(line.split("\t")[0]) for line in lines] == named
    texts = [
        [" ".join(line.split()) for line in text.splitlines()]
        for text in (corpus.joinpath(f"train.{side}").read_text("utf-8") for side in ("xx", "yy"))
    ]
    for line in lines:
        _, source, target = line.split("\t")
        assert (source, target) in list(zip(*texts, strict=True))


def test_overflows_of_fp16_are_no_fault_of_the_text(
    settings: TrainSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = prepare_data(settings.data, settings.tokenizer, settings.cleaning)
    seen = Seen(7, 20, torch.tensor(3.0), torch.tensor(1.0), [], [])
    with caplog.at_level(logging.WARNING):
        Reports(tmp_path / "faults", data, Processes(), lambda: True).write(seen)
    assert not caplog.messages
    assert not (tmp_path / "faults").exists()


def test_skipped_updates_leave_weights_and_moments_as_they_were(
    build_model: Callable[..., Transformer],
    make_batch: Callable[..., Batch],
    id_pairs: list[tuple[list[int], list[int]]],
    as_update: Callable[..., UpdateBatches],
) -> None:
    poison = False

    def objective(model: Transformer, batch: Batch) -> TokenLoss:
        loss = partial(batch_loss, smoothing=0.1)(model, batch)
        return TokenLoss(loss.smoothed * math.nan, loss.nll) if poison else loss

    model = build_model(torch.float32)
    updater = Updater(model, objective, OptimConfig(), lambda _: 1e-2, Precision.fp32)
    updater.update(as_update([make_batch(id_pairs)]))
    before = [p.detach().clone() for p in updater.parameters]
    moments = [v.clone() for s in updater.optimizers[0].state.values() for v in s.values()]
    poison = True
    result = updater.update(as_update([make_batch(id_pairs)], 2))
    assert float(result.skipped) == 1
    assert math.isfinite(float(result.nll))
    assert all(map(torch.equal, updater.parameters, before))
    after = [v for s in updater.optimizers[0].state.values() for v in s.values()]
    assert all(map(torch.equal, after, moments))
    poison = False
    assert float(updater.update(as_update([make_batch(id_pairs)], 3)).skipped) == 0
    assert not all(map(torch.equal, updater.parameters, before))
