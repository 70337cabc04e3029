"""Losses and gradients that are not finite cost their update, and what is done about many."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.faults.conftest import cut_off
from tests.faults.runs import N_UPDATES, changed, checkpoints, curves, differences
from transformer.checkpoint import Checkpoint
from transformer.config import FaultAction, Precision, TrainSettings
from transformer.errors import InputError
from transformer.model import Transformer
from transformer.text.batching import Batch
from transformer.training import start, train
from transformer.training.objective import TokenLoss
from transformer.training.stream import UpdateBatches
from transformer.training.update import Flags, Updater, UpdateResult

Bad = Callable[[Updater, int], bool]  # whether the first batch of an update is


def spoil_loss(loss: TokenLoss) -> TokenLoss:
    return TokenLoss(loss.smoothed * torch.nan, loss.nll * torch.nan)


def spoil_gradient(loss: TokenLoss) -> TokenLoss:
    smoothed = loss.smoothed * 1.0
    smoothed.register_hook(lambda gradient: gradient * torch.nan)  # type: ignore[no-untyped-call]
    return TokenLoss(smoothed, loss.nll)


@contextmanager
def spoiling(bad: Bad, spoil: Callable[[TokenLoss], TokenLoss] = spoil_loss) -> Iterator[None]:
    """Spoils the first batch of each update that is `bad`."""
    armed = False
    update = Updater.update

    def updated(self: Updater, batches: UpdateBatches, flags: Flags) -> UpdateResult:
        nonlocal armed
        armed = bad(self, batches.position.update)
        return update(self, batches, flags)

    def build(original: Callable[..., Any]) -> Callable[..., Any]:
        def built(*args: Any) -> Callable[[Transformer, Batch], TokenLoss]:
            objective = original(*args)

            def spoilt(model: Transformer, batch: Batch) -> TokenLoss:
                nonlocal armed
                loss: TokenLoss = objective(model, batch)
                if not armed:
                    return loss
                armed = False
                return spoil(loss)

            return spoilt

        return built

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Updater, "update", updated)
        patch.setattr(start, "build_objective", build(start.build_objective))  # type: ignore[attr-defined]
        yield


def in_parts(settings: TrainSettings, run_dir: Path, *numbers: int) -> TrainSettings:
    """Trains a run that is cut off in the midst of updates."""
    parts = changed(settings, run_dir=str(run_dir))
    for number in numbers:
        cut_off(parts, number)
    train(parts)
    return parts


def faults(**values: Any) -> dict[str, Any]:
    return {f"training__faults__{key}": value for key, value in values.items()}


@pytest.mark.parametrize("spoil", [spoil_loss, spoil_gradient], ids=["loss", "gradient"])
def test_an_update_that_is_not_finite_is_skipped_counted_and_told(
    settings: TrainSettings,
    spoil: Callable[[TokenLoss], TokenLoss],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with spoiling(lambda _, number: number == 7, spoil):
        train(settings)
    assert curves(settings.run_dir)["train/skipped_updates"][-1] == (N_UPDATES, 1.0)
    told = [record.message for record in caplog.records if "update 7 skipped" in record.message]
    assert len(told) == 1
    (file,) = (Path(settings.run_dir) / "faults").iterdir()
    assert str(file) in told[0]
    pairs = [line.split("\t") for line in file.read_text().splitlines()]
    assert pairs
    for row, *sides in pairs:
        for side, text in zip(("xx", "yy"), sides, strict=True):
            corpus = Path(f"{settings.data.train}.{side}")  # type: ignore[attr-defined]
            assert text.split() == corpus.read_text().splitlines()[int(row)].split()

    step = Updater._step

    def no_step(
        self: Updater, lr: float, factor: torch.Tensor | None, skipped: torch.Tensor
    ) -> None:
        if current == 7:
            self.model.zero_grad(set_to_none=True)
        else:
            step(self, lr, factor, skipped)

    current = 0
    update = Updater.update

    def updated(self: Updater, batches: UpdateBatches, flags: Flags) -> UpdateResult:
        nonlocal current
        current = batches.position.update
        return update(self, batches, flags)

    monkeypatch.setattr(Updater, "_step", no_step)
    monkeypatch.setattr(Updater, "update", updated)
    without = changed(settings, run_dir=str(tmp_path / "without"))
    train(without)
    a, b = (Path(s.run_dir) / "checkpoints" / f"{N_UPDATES:08d}" for s in (settings, without))
    assert (a / "model.safetensors").read_bytes() == (b / "model.safetensors").read_bytes()


def test_a_run_that_skipped_an_update_goes_on_bit_for_bit_wherever_it_is_cut_off(
    settings: TrainSettings, tmp_path: Path
) -> None:
    with spoiling(lambda _, number: number in {5, 7}):
        train(settings)
        parts = in_parts(settings, tmp_path / "parts", 7, 8, 10, 12)
    assert not differences(parts.run_dir, settings.run_dir)


def test_fp16_that_gives_no_numbers_gives_way_to_fp32_and_goes_on_bit_for_bit(
    settings: TrainSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = changed(settings, precision=Precision.fp16, **faults(max_skipped=3))
    with spoiling(lambda updater, n: n >= 6 and updater.precision is Precision.fp16):
        train(settings)
        assert "going on in fp32, not fp16" in caplog.text
        parts = in_parts(settings, tmp_path / "parts", 9, 10, 11, 14)
    assert not differences(parts.run_dir, settings.run_dir)
    last = Path(settings.run_dir) / "checkpoints" / f"{N_UPDATES:08d}"
    assert Checkpoint(last).training()["updater"]["precision"] == "fp32"


def test_in_fp32_many_updates_that_are_not_finite_end_the_run_with_a_diagnosis(
    settings: TrainSettings, undisturbed: Callable[..., TrainSettings]
) -> None:
    settings = changed(settings, **faults(max_skipped=3))
    for _ in range(2):
        with (
            spoiling(lambda _, number: number >= 6),
            pytest.raises(InputError, match=r"3 updates in a row .* optim\.lr=") as raised,
        ):
            train(settings)
        assert "\n" not in str(raised.value)
    assert checkpoints(settings.run_dir)


# The checkpoint before the trouble is seen at update 10: with updates of the trouble in it, or not.
@pytest.mark.parametrize("checkpoint_every", [3, 5])
@pytest.mark.parametrize("numbers", [(), (10,), (11,), (12, 14)], ids=str)
def test_a_rollback_at_half_the_rate_is_bit_exact_wherever_the_run_is_cut_off(
    settings: TrainSettings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    checkpoint_every: int,
    numbers: tuple[int, ...],
) -> None:
    settings = changed(
        settings,
        training__checkpoint_every=checkpoint_every,
        **faults(max_skipped=3, action=FaultAction.rollback),
    )
    with spoiling(lambda updater, number: number >= 7 and updater.rate_factor == 1.0):
        train(settings)
        assert re.findall(r"at (\S+) times the learning rate \(rollback (\d)\)", caplog.text) == [
            ("0.5", "1")
        ]
        if numbers:
            parts = in_parts(settings, tmp_path / "parts", *numbers)
            assert not differences(parts.run_dir, settings.run_dir)


def test_a_loss_that_diverges_is_rolled_back_bit_for_bit_wherever_the_run_is_cut_off(
    settings: TrainSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = changed(
        settings,
        optim__lr=3.0,
        optim__warmup=200,
        optim__clip_norm=None,
        training__max_updates=85,
        training__validate_every=20,
        training__checkpoint_every=7,
        training__keep_last=50,
        **faults(action=FaultAction.rollback, divergence=1.0),
    )
    train(settings)
    message = r"the loss diverges: .* at update (\d+); going on from update (\d+) at 0\.5 times"
    trouble, restored = map(int, re.findall(message, caplog.text)[0])
    parts = changed(settings, run_dir=str(tmp_path / "parts"))
    cut_off(parts, trouble + 1, factor=1.0)
    cut_off(parts, restored + 2, factor=0.5)
    cut_off(parts, restored + 14, factor=0.5)
    train(parts)
    assert not differences(parts.run_dir, settings.run_dir)


def test_without_rollbacks_a_loss_that_diverges_ends_the_run_with_a_diagnosis(
    settings: TrainSettings,
) -> None:
    settings = changed(
        settings,
        optim__lr=3.0,
        optim__warmup=200,
        optim__clip_norm=None,
        training__max_updates=130,
        training__validate_every=200,
        training__checkpoint_every=20,
        **faults(divergence=1.0),
    )
    with pytest.raises(InputError, match=r"the loss diverges: .*action=rollback; .* 60$"):
        train(settings)
