"""Properties of one update."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from transformer.config import OptimConfig, OptimKind, Precision
from transformer.model import Transformer
from transformer.text.batching import Batch
from transformer.training.objective import batch_loss
from transformer.training.optimizer import multiply_gradients, set_rate
from transformer.training.stream import UpdateBatches
from transformer.training.update import Updater, UpdateResult

Build = Callable[..., Transformer]
Make = Callable[..., Batch]
As = Callable[..., UpdateBatches]
Pairs = list[tuple[list[int], list[int]]]
OBJECTIVE = partial(batch_loss, smoothing=0.1)


def make_updater(
    model: Transformer, precision: Precision = Precision.fp32, **optim: Any
) -> Updater:
    config = OptimConfig(**{"clip_norm": None, **optim})
    return Updater(model, OBJECTIVE, config, lambda _: 1e-3, precision)


def gradient_of(updater: Updater, update: UpdateBatches) -> tuple[dict[str, Tensor], UpdateResult]:
    """The gradients as the optimizer uses them, by name, and what the update tells."""
    seen: dict[str, Tensor] = {}

    def look(*_: Any) -> None:
        for name, parameter in updater.model.named_parameters():
            assert parameter.grad is not None
            seen[name] = parameter.grad.clone()

    handle = updater.optimizers[0].register_step_post_hook(look)
    result = updater.update(update)
    handle.remove()
    return seen, result


def norm_of(gradients: dict[str, Tensor]) -> float:
    return float(torch.stack([gradient.norm() for gradient in gradients.values()]).norm())


@pytest.mark.parametrize("cuts", [[1], [3, 4], [1, 2, 3, 4, 5, 6]])
def test_accumulated_batches_give_the_gradient_of_one_large_batch(
    build_model: Build, make_batch: Make, as_update: As, id_pairs: Pairs, cuts: list[int]
) -> None:
    ends = [0, *cuts, len(id_pairs)]
    parts = [
        make_batch(id_pairs[a:b], extra=i) for i, (a, b) in enumerate(itertools.pairwise(ends))
    ]
    whole, one = gradient_of(make_updater(build_model()), as_update([make_batch(id_pairs)]))
    found, several = gradient_of(make_updater(build_model()), as_update(parts))
    for name, gradient in whole.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-12)
    assert float(several.nll) == pytest.approx(float(one.nll), rel=1e-6)


def test_the_gradient_is_that_of_the_mean_over_all_labels(
    build_model: Build, make_batch: Make, as_update: As, id_pairs: Pairs
) -> None:
    model = build_model()
    batch = make_batch(id_pairs)
    logits = model.step(batch.target, model.start(batch.source)).flatten(0, 1)
    torch.nn.functional.cross_entropy(
        logits, batch.labels.flatten(), ignore_index=0, label_smoothing=0.1
    ).backward()  # type: ignore[no-untyped-call]
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    found, _ = gradient_of(make_updater(model), as_update([batch]))
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-12)


def test_padding_adds_nothing_to_the_loss(
    build_model: Build, make_batch: Make, as_update: As, id_pairs: Pairs
) -> None:
    model = build_model()
    tight = batch_loss(model, make_batch(id_pairs), 0.1)
    loose = batch_loss(model, make_batch(id_pairs, extra=5), 0.1)
    torch.testing.assert_close(loose, tight, rtol=1e-12, atol=0)


def test_the_nll_told_is_the_sum_over_all_labels_of_all_batches(
    build_model: Build, make_batch: Make, as_update: As, id_pairs: Pairs
) -> None:
    model = build_model(torch.float32)
    parts = [make_batch(id_pairs[:2]), make_batch(id_pairs[2:])]
    expected = sum(float(batch_loss(model, part, 0.0).smoothed.detach()) for part in parts)
    assert float(make_updater(model).update(as_update(parts)).nll) == pytest.approx(
        expected, rel=1e-5
    )


def test_clipping_limits_the_norm_and_keeps_the_direction(
    build_model: Build, make_batch: Make, as_update: As, id_pairs: Pairs
) -> None:
    batches = as_update([make_batch(id_pairs)])
    plain, before = gradient_of(make_updater(build_model()), batches)
    clipped, after = gradient_of(make_updater(build_model(), clip_norm=0.01), batches)
    norm = norm_of(plain)
    assert float(before.gradient_norm) == pytest.approx(norm)
    assert float(after.gradient_norm) == pytest.approx(norm)
    assert norm_of(clipped) == pytest.approx(0.01, rel=1e-3)
    for name, gradient in plain.items():
        torch.testing.assert_close(clipped[name], gradient * 0.01 / norm, rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("kind", [OptimKind.adam, OptimKind.adamw, OptimKind.muon])
def test_clipping_inside_the_optimizer_is_multiplication_before_it(
    build_model: Build,
    make_batch: Make,
    as_update: As,
    id_pairs: Pairs,
    kind: OptimKind,
    scaled: bool,
) -> None:
    inside, before = (make_updater(build_model(), clip_norm=1.0, kind=kind) for _ in range(2))

    # Of few binary digits, so that fp32 has the divisor exactly.
    def factor(_: Tensor) -> Tensor:
        return torch.tensor((0.125 if scaled else 1.0) / 2048, dtype=torch.float64)

    def step(lr: float, factor: Tensor | None, skipped: Tensor) -> None:
        set_rate(before.optimizers, lr)
        assert not skipped
        for optimizer in before.optimizers:
            multiply_gradients(optimizer, factor)
            optimizer.step()
            optimizer.zero_grad()

    inside._factor = before._factor = factor  # type: ignore[method-assign,assignment]
    before._step = step  # type: ignore[method-assign]
    for number in range(1, 6):
        for updater in (inside, before):
            updater.update(as_update([make_batch(id_pairs)], number))
    for one, other in zip(inside.parameters, before.parameters, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_no_factor_is_applied_where_none_is_needed(
    build_model: Build, make_batch: Make, as_update: As, id_pairs: Pairs
) -> None:
    updater = make_updater(build_model(torch.float32))
    updater.update(as_update([make_batch(id_pairs)]))
    assert updater.optimizers[0].grad_scale is None  # type: ignore[attr-defined]


class NoWaiting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Fails where a number is read from a tensor, for which a GPU would have to be waited for."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        assert function is not torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", [Precision.fp32, Precision.fp16])
def test_an_update_by_adam_reads_no_number_from_the_device(
    build_model: Build, make_batch: Make, as_update: As, id_pairs: Pairs, precision: Precision
) -> None:
    batches = as_update([make_batch(id_pairs[:3]), make_batch(id_pairs[3:])])
    updater = make_updater(build_model(torch.float32), precision, clip_norm=0.1)
    with NoWaiting():  # type: ignore[no-untyped-call]
        updater.update(batches)
    updater = make_updater(build_model(torch.float32), kind=OptimKind.muon)
    with pytest.raises(AssertionError), NoWaiting():  # type: ignore[no-untyped-call]
        updater.update(batches)


@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_fp16_gradients_are_clipped_after_they_are_unscaled(
    build_model: Build, make_batch: Make, as_update: As, id_pairs: Pairs, clip_norm: float | None
) -> None:
    batches = as_update([make_batch(id_pairs[:3]), make_batch(id_pairs[3:])])
    # Of this width, no ReLU is so near zero that rounding flips it.
    full = make_updater(build_model(torch.float32, d_feed_forward=48), clip_norm=clip_norm)
    half = make_updater(
        build_model(torch.float32, d_feed_forward=48), Precision.fp16, clip_norm=clip_norm
    )
    assert float(half.scale.scale) == 2.0**16
    expected, one = gradient_of(full, batches)
    found, other = gradient_of(half, batches)
    assert float(other.gradient_norm) == pytest.approx(float(one.gradient_norm), rel=1e-2)
    assert norm_of(found) == pytest.approx(norm_of(expected), rel=1e-2)
    difference = {name: found[name] - expected[name] for name in expected}
    assert norm_of(difference) < 0.01 * norm_of(expected)
    # Adam's first step is the rate times the sign, wherever a gradient is not near zero.
    for name, parameter in full.model.named_parameters():
        clear = expected[name].abs() > 1e-2 * expected[name].abs().max()
        stepped = dict(half.model.named_parameters())[name]
        torch.testing.assert_close(stepped[clear], parameter[clear], rtol=0, atol=1e-5)


@pytest.mark.parametrize("precision", [Precision.fp32, Precision.bf16, Precision.fp16])
def test_updates_lower_the_loss_in_every_precision(
    build_model: Build, make_batch: Make, as_update: As, id_pairs: Pairs, precision: Precision
) -> None:
    updater = make_updater(build_model(torch.float32), precision, clip_norm=1.0)
    batches = [make_batch(id_pairs[:4]), make_batch(id_pairs[4:])]
    nll = [float(updater.update(as_update(batches, number)).nll) for number in range(1, 31)]
    assert nll[-1] < 0.8 * nll[0]
    assert all(parameter.isfinite().all() for parameter in updater.model.parameters())
    assert all(parameter.dtype is torch.float32 for parameter in updater.model.parameters())


def test_an_overflow_in_fp16_skips_the_step_and_halves_the_scale(
    build_model: Build, make_batch: Make, as_update: As, id_pairs: Pairs
) -> None:
    updater = make_updater(build_model(torch.float32), Precision.fp16, clip_norm=1.0)
    before = {name: p.detach().clone() for name, p in updater.model.named_parameters()}
    handle = updater.model.output.weight.register_hook(  # type: ignore[no-untyped-call]
        lambda gradient: gradient * torch.inf
    )
    updater.update(as_update([make_batch(id_pairs)]))
    handle.remove()
    assert float(updater.scale.scale) == 2.0**15
    for name, parameter in updater.model.named_parameters():
        assert torch.equal(parameter, before[name])
    updater.update(as_update([make_batch(id_pairs)], 2))
    assert not torch.equal(updater.model.output.weight, before["source_embedding.weight"])


def test_the_rate_is_the_schedules_for_the_number_of_the_update(
    build_model: Build, make_batch: Make, as_update: As, id_pairs: Pairs
) -> None:
    updater = Updater(
        build_model(torch.float32), OBJECTIVE, OptimConfig(), lambda n: n / 100, Precision.fp32
    )
    result = updater.update(as_update([make_batch(id_pairs)], 7))
    assert result.lr == 0.07
    assert {group["lr"] for group in updater.optimizers[0].param_groups} == {0.07}


def test_gradients_do_not_carry_over_to_the_next_update(
    build_model: Build, make_batch: Make, as_update: As, id_pairs: Pairs
) -> None:
    updater = make_updater(build_model())
    updater.update(as_update([make_batch(id_pairs)]))
    assert all(parameter.grad is None for parameter in updater.model.parameters())


@pytest.mark.gpu
@pytest.mark.parametrize("precision", [Precision.tf32, Precision.bf16, Precision.fp16])
def test_updates_on_a_gpu_stay_near_those_on_the_cpu(
    build_model: Build, make_batch: Make, as_update: As, id_pairs: Pairs, precision: Precision
) -> None:
    batches = [make_batch(id_pairs[:4]), make_batch(id_pairs[4:])]
    cpu = make_updater(build_model(torch.float32), clip_norm=1.0)
    gpu = make_updater(build_model(torch.float32).cuda(), precision, clip_norm=1.0)
    for number in range(1, 6):
        expected, found = (u.update(as_update(batches, number)) for u in (cpu, gpu))
        assert float(found.nll) == pytest.approx(float(expected.nll), rel=3e-2)
        assert float(found.gradient_norm) == pytest.approx(float(expected.gradient_norm), rel=0.1)
