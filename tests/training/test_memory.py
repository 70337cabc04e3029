"""Properties of the search for the largest batch, and of batches that do not fit."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transformer.config import OptimConfig, Precision, TrainSettings
from transformer.errors import InputError
from transformer.model import Transformer
from transformer.text.batching import Batch
from transformer.text.dataset import prepare_data
from transformer.training.distributed import Processes
from transformer.training.memory import (
    FIRST,
    computes,
    find_batch_tokens,
    full_batch,
    largest_fitting,
    typical_lengths,
)
from transformer.training.objective import TokenLoss, batch_loss
from transformer.training.stream import UpdateBatches
from transformer.training.update import Updater, padded_size

Build = Callable[..., Transformer]
Make = Callable[..., Batch]
As = Callable[..., UpdateBatches]
Pairs = list[tuple[list[int], list[int]]]


class Small:
    """An objective on a device that holds so many padded tokens."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.sizes: list[int] = []

    def __call__(self, model: Transformer, batch: Batch) -> TokenLoss:
        self.sizes.append(padded_size(batch))
        if padded_size(batch) > self.capacity:
            raise torch.OutOfMemoryError
        return partial(batch_loss, smoothing=0.1)(model, batch)


def updater_of(model: Transformer, objective: Small) -> Updater:
    return Updater(model, objective, OptimConfig(clip_norm=None), lambda _: 1e-3, Precision.fp32)


@given(capacity=st.integers(1, 2**21), most=st.integers(1, 2**20))
def test_the_largest_that_fits_is_found_in_few_trials(capacity: int, most: int) -> None:
    trials: list[int] = []

    def fits(n: int) -> bool:
        trials.append(n)
        return n <= capacity

    found = largest_fitting(fits, most)
    assert len(trials) <= 12
    if capacity < FIRST:
        assert found is None
    else:
        assert found is not None
        assert found <= capacity
        assert found <= max(FIRST, most)
        assert found > 0.87 * capacity or 2 * found > most


def test_without_a_gpu_auto_is_a_fixed_number(
    settings: TrainSettings, change: Callable[..., TrainSettings], build_model: Build
) -> None:
    data = prepare_data(settings.data, settings.tokenizer, settings.cleaning)
    updater = updater_of(build_model(torch.float32), Small(10**9))
    auto = change(settings, data__batch_tokens="auto")
    assert find_batch_tokens(auto, data, updater, Processes()) == 4096
    assert find_batch_tokens(settings, data, updater, Processes()) == 100


def test_a_trial_changes_nothing(build_model: Build) -> None:
    updater = updater_of(build_model(torch.float32), Small(3000))
    before = [p.detach().clone() for p in updater.parameters]
    assert computes(updater, full_batch(1000, 10, 30))
    assert not computes(updater, full_batch(2000, 10, 30))
    assert all(map(torch.equal, updater.parameters, before))
    assert all(p.grad is None for p in updater.parameters)


def test_a_trial_batch_of_aligned_text_has_links() -> None:
    batch = full_batch(100, 10, 30, aligned=True)
    assert batch.links is not None
    assert batch.links.shape == (100, 3)
    assert set(map(tuple, batch.links[:, 1:].tolist())) == {(i, i) for i in range(10)}
    assert set(batch.links[:, 0].tolist()) == set(range(10))


def test_a_trial_batch_is_full_and_of_real_pieces() -> None:
    batch = full_batch(1000, 30, 50)
    assert batch.source.shape == batch.labels.shape == batch.target.shape == (33, 30)
    assert int(batch.source.min()) > 3
    assert int(batch.source.max()) < 50
    assert len(batch.label_positions) == batch.n_target_tokens == 990


def test_trials_are_of_short_middling_and_the_longest_pairs() -> None:
    source = np.arange(1, 1001, dtype=np.int32)
    assert typical_lengths(source, source[::-1].copy()) == [525, 750, 1000]


def test_lengths_that_lie_in_a_file_are_only_read(tmp_path: Path) -> None:
    np.arange(1, 9, dtype=np.int32).tofile(tmp_path / "lengths")
    lengths = np.memmap(tmp_path / "lengths", np.int32, mode="r")
    assert max(typical_lengths(lengths, lengths)) == 8  # and no warning, which is an error here


@pytest.mark.parametrize("capacity", [40, 60, 200])
def test_a_batch_that_does_not_fit_is_split_and_gives_the_same_gradient(
    build_model: Build, make_batch: Make, as_update: As, id_pairs: Pairs, capacity: int
) -> None:
    found: list[dict[str, torch.Tensor]] = []
    for objective in (Small(10**9), Small(capacity)):
        updater = updater_of(build_model(), objective)
        seen: dict[str, torch.Tensor] = {}

        def look(
            *_: object, updater: Updater = updater, seen: dict[str, torch.Tensor] = seen
        ) -> None:
            for name, parameter in updater.model.named_parameters():
                assert parameter.grad is not None
                seen[name] = parameter.grad.clone()

        updater.optimizers[0].register_step_pre_hook(look)
        result = updater.update(as_update([make_batch(id_pairs[:3]), make_batch(id_pairs)]))
        seen["nll"] = result.nll
        found.append(seen)
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-12, atol=1e-12)


def test_what_did_not_fit_once_is_split_at_once_later_and_after_a_resumption(
    build_model: Build, make_batch: Make, as_update: As, id_pairs: Pairs
) -> None:
    objective = Small(100)
    updater = updater_of(build_model(), objective)
    update = as_update([make_batch(id_pairs)])
    updater.update(update)
    assert max(objective.sizes) > 100
    again = Small(100)
    resumed = updater_of(build_model(), again)
    resumed.load_state(updater.state())
    resumed.update(update)
    assert max(again.sizes) <= 100


def test_a_single_pair_that_does_not_fit_is_an_input_error(
    build_model: Build, make_batch: Make, as_update: As, id_pairs: Pairs
) -> None:
    updater = updater_of(build_model(), Small(5))
    with pytest.raises(InputError, match="out of memory with a single sentence pair of"):
        updater.update(as_update([make_batch(id_pairs)]))


@pytest.mark.gpu
def test_a_gpu_finds_its_largest_batch(
    settings: TrainSettings, change: Callable[..., TrainSettings], build_model: Build
) -> None:
    torch.cuda.set_per_process_memory_fraction(0.05)
    try:
        data = prepare_data(settings.data, settings.tokenizer, settings.cleaning)
        model = build_model(torch.float32, 18, d_model=256, n_heads=4, d_feed_forward=1024).cuda()
        objective = partial(batch_loss, smoothing=0.1)
        updater = Updater(model, objective, OptimConfig(), lambda _: 1e-3, Precision.fp32)
        auto = change(settings, data__batch_tokens="auto")
        found = find_batch_tokens(auto, data, updater, Processes())
        assert found >= FIRST
        for length in typical_lengths(data.train.source_lengths, data.train.target_lengths):
            assert computes(updater, full_batch(found, length, 18))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
