"""A batch that memory is too small for is computed in parts; what fits is remembered."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.faults.conftest import cut_off
from tests.faults.runs import changed, differences
from transformer.checkpoint import Checkpoint
from transformer.config import ModelConfig, OptimConfig, Precision, TrainSettings
from transformer.errors import InputError
from transformer.model import Transformer
from transformer.text.batching import Batch
from transformer.text.dataset import prepare_data
from transformer.text.tokenizer import PAD_ID
from transformer.training import start, train
from transformer.training.objective import TokenLoss, batch_loss
from transformer.training.stream import Position, UpdateBatches, Work
from transformer.training.update import Updater, padded_size


def fitting(objective: Callable[..., TokenLoss], most: int) -> Callable[..., TokenLoss]:
    """The objective on a device that has memory for `most` tokens, padding included."""

    def computed(model: Transformer, batch: Batch) -> TokenLoss:
        loss = objective(model, batch)
        if padded_size(batch) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return loss

    return computed


@contextmanager
def memory_for(most: int) -> Iterator[None]:
    """Lets a run have memory for batches of `most` tokens."""
    build = start.build_objective  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "build_objective", lambda *args: fitting(build(*args), most))
        yield


def make_batch(corpus: Path, settings: TrainSettings) -> tuple[Batch, int]:
    """A batch of 24 pairs, and the size of the vocabulary."""
    data = prepare_data(settings.data, settings.tokenizer, settings.cleaning)
    return data.train.batch(np.arange(24)), data.tokenizers.target.vocab_size


@pytest.mark.parametrize("most", [400, 150, 40])
def test_the_gradient_in_parts_is_that_of_the_whole_batch(
    settings: TrainSettings, corpus: Path, most: int
) -> None:
    batch, vocab_size = make_batch(corpus, settings)
    assert padded_size(batch) > most

    def gradients(objective: Callable[..., TokenLoss]) -> tuple[dict[str, torch.Tensor], float]:
        torch.manual_seed(4)
        config = ModelConfig(
            encoder_layers=1,
            decoder_layers=1,
            d_model=16,
            d_feed_forward=24,
            n_heads=2,
            dropout=0.0,
            embedding_dropout=0.0,
        )
        sizes = {"source_vocab_size": vocab_size, "target_vocab_size": vocab_size}
        model = Transformer(config, **sizes, pad_id=PAD_ID).double()
        updater = Updater(model, objective, OptimConfig(), lambda _: 0.0, Precision.fp32)
        found: dict[str, torch.Tensor] = {}

        def keep(*_: Any) -> None:
            found.update(
                {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
            )

        updater._step = keep  # type: ignore[method-assign,assignment]
        work = [Work(batch, np.arange(24), seed=1)]
        n = batch.n_source_tokens, batch.n_target_tokens, padded_size(batch)
        result = updater.update(UpdateBatches(work, *n, Position(1), 0.0))
        return found, float(result.nll)

    def objective(model: Transformer, batch: Batch) -> TokenLoss:
        return batch_loss(model, batch, smoothing=0.1)

    whole, nll = gradients(objective)
    parts, nll_of_parts = gradients(fitting(objective, most))
    assert nll_of_parts == pytest.approx(nll, rel=1e-12)
    assert whole.keys() == parts.keys()
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, rtol=1e-12, atol=1e-12)


def test_a_run_short_of_memory_goes_on_and_its_resumption_remembers_what_fits(
    settings: TrainSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = replace(settings, run_dir=str(tmp_path / "parts"))
    with memory_for(100):
        train(settings)
        n_warnings = caplog.text.count("out of memory with a batch")
        assert n_warnings >= 1
        caplog.clear()
        for number in (2, 6, 11):
            cut_off(parts, number)
        train(parts)
    # The first attempt had no checkpoint to remember by.
    assert caplog.text.count("out of memory with a batch") <= 2 * n_warnings
    assert not differences(parts.run_dir, settings.run_dir)
    last = Path(settings.run_dir) / "checkpoints" / "last"
    assert Checkpoint(last).training()["updater"]["largest"] <= 100


def test_what_fits_need_not_be_found_twice(
    settings: TrainSettings, caplog: pytest.LogCaptureFixture
) -> None:
    with memory_for(100):
        cut_off(settings, 11)
        caplog.clear()
        train(settings)
    assert "out of memory" not in caplog.text


def test_a_single_pair_that_does_not_fit_ends_the_run_with_a_line_that_says_so(
    settings: TrainSettings,
) -> None:
    with (
        memory_for(8),
        pytest.raises(InputError, match=r"single sentence pair .* cleaning\.max_pieces"),
    ):
        train(settings)


def test_memory_that_runs_out_again_and_again_changes_nothing_but_the_parts(
    settings: TrainSettings, tmp_path: Path
) -> None:
    """Without dropout, a run in parts is the run in whole batches up to rounding."""
    settings = changed(
        settings,
        model__dropout=0.0,
        model__embedding_dropout=0.0,
        model__attention_dropout=0.0,
        model__feed_forward_dropout=0.0,
    )
    in_parts = replace(settings, run_dir=str(tmp_path / "parts"))
    train(settings)
    with memory_for(60):
        train(in_parts)
    last = [Checkpoint(Path(s.run_dir) / "checkpoints" / "last") for s in (settings, in_parts)]
    assert last[1].metrics["loss"] == pytest.approx(last[0].metrics["loss"], abs=1e-3)
