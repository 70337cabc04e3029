"""Properties of the training objective."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from transformer.model import Transformer
from transformer.text.batching import Batch
from transformer.training import objective
from transformer.training.objective import (
    Criterion,
    DerivedCriterion,
    TokenLoss,
    batch_loss,
    chunk_rows,
    chunked_loss,
    label_objective,
    packed_loss,
    token_loss,
)

D, V = 12, 37
Problem = tuple[Tensor, Tensor, Tensor]


def problem(n: int, d: int = D, v: int = V, dtype: torch.dtype = torch.float64) -> Problem:
    """`hidden`, `weight` and `labels` with logits of about unit size."""
    generator = torch.Generator().manual_seed(n)
    hidden = torch.randn(n, d, generator=generator, dtype=dtype)
    weight = torch.randn(v, d, generator=generator, dtype=dtype) * d**-0.5
    labels = torch.randint(v, (n,), generator=generator)
    return hidden.requires_grad_(), weight.requires_grad_(), labels


def gradients(loss: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, inputs)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize(("n", "chunk"), [(1, 512), (700, 512), (11, 4), (12, 4), (3, 1)])
def test_loss_and_gradients_equal_pytorchs_cross_entropy(
    monkeypatch: pytest.MonkeyPatch, smoothing: float, n: int, chunk: int
) -> None:
    monkeypatch.setattr(objective, "chunk_rows", lambda *_: chunk)
    hidden, weight, labels = problem(n)
    found = token_loss(hidden, weight, labels, smoothing)
    expected = F.cross_entropy(
        hidden @ weight.t(), labels, label_smoothing=smoothing, reduction="sum"
    )
    torch.testing.assert_close(found.smoothed, expected, rtol=1e-12, atol=1e-12)
    ours = gradients(found.smoothed / 3, hidden, weight)
    theirs = gradients(expected / 3, hidden, weight)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_nll_is_without_smoothing_and_without_gradient(smoothing: float) -> None:
    hidden, weight, labels = problem(20)
    nll = token_loss(hidden, weight, labels, smoothing).nll
    expected = F.cross_entropy(hidden @ weight.t(), labels, reduction="sum")
    torch.testing.assert_close(nll, expected.detach(), rtol=1e-12, atol=1e-12)
    assert not nll.requires_grad


def test_where_no_gradient_is_wanted_none_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Watched(objective.Output):
        def __init__(
            self, weight: Tensor, criterion: Criterion, dtype: torch.dtype, needed: bool
        ) -> None:
            made.append(needed)
            super().__init__(weight, criterion, dtype, needed)

    monkeypatch.setattr(objective, "Output", Watched)
    hidden, weight, labels = problem(5)
    with torch.no_grad():
        without = token_loss(hidden, weight, labels, 0.1)
    within = token_loss(hidden, weight, labels, 0.1)
    assert made == [False, True]
    assert not without.smoothed.requires_grad
    assert torch.equal(without.smoothed, within.smoothed)
    assert torch.equal(without.nll, within.nll)


@pytest.mark.parametrize("frozen", ["hidden", "weight"])
def test_a_frozen_input_leaves_the_others_gradient_alone(frozen: str) -> None:
    hidden, weight, labels = problem(9)
    free, expected = (weight, 1) if frozen == "hidden" else (hidden, 0)
    whole = gradients(token_loss(hidden, weight, labels, 0.1).smoothed, hidden, weight)
    (weight if frozen == "weight" else hidden).requires_grad_(False)
    (found,) = gradients(token_loss(hidden, weight, labels, 0.1).smoothed, free)
    assert torch.equal(found, whole[expected])


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.bfloat16, 2e-2), (torch.float16, 3e-3)], ids=["bf16", "fp16"]
)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_half_precision_stays_near_full_precision_at_a_large_vocabulary(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, tolerance: float, smoothing: float
) -> None:
    monkeypatch.setattr(objective, "chunk_rows", lambda *_: 16)
    hidden, weight, labels = problem(40, d=16, v=8000, dtype=torch.float32)
    expected = token_loss(hidden, weight, labels, smoothing)
    with torch.autocast("cpu", dtype=dtype):
        found = token_loss(hidden, weight, labels, smoothing)
    assert found.smoothed.dtype is found.nll.dtype is torch.float32
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=0)
    ours = gradients(found.smoothed, hidden, weight)
    theirs = gradients(expected.smoothed, hidden, weight)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype is torch.float32
        assert mine.isfinite().all()
        assert relative_error(mine, other) < tolerance
    # The rows of pieces that are no label get gradients near 1 / V only.
    never = torch.ones(8000, dtype=torch.bool).index_fill(0, labels, False)
    assert relative_error(ours[1][never], theirs[1][never]) < 2 * tolerance


@pytest.mark.parametrize("size", [0.1, 1.0, 30.0])
def test_fp16_gradients_neither_vanish_nor_overflow(size: float) -> None:
    hidden, weight, labels = problem(512, d=8, v=2000, dtype=torch.float32)
    # A label as frequent as the end of short sentences, where hidden states are much alike.
    often = torch.arange(512) % 4 == 0
    labels[often] = 3
    with torch.no_grad():
        hidden[often] = hidden[0].abs() + 0.1 * hidden[often]
        hidden *= size
    with torch.autocast("cpu", dtype=torch.float16):
        found = token_loss(hidden, weight, labels, 0.1)
    ours = gradients(found.smoothed, hidden, weight)
    theirs = gradients(token_loss(hidden, weight, labels, 0.1).smoothed, hidden, weight)
    for mine, other in zip(ours, theirs, strict=True):
        assert relative_error(mine, other) < 2e-2


def test_fp16_keeps_the_gradients_of_pieces_that_are_all_but_ruled_out() -> None:
    hidden, weight, labels = problem(256, v=2000, dtype=torch.float32)
    labels %= 10
    with torch.no_grad():
        # The first channel raises ten labels so high that other pieces have a probability of 2e-8.
        hidden[:, 0], weight[:, 0], weight[:10, 0] = 16, 0, 1
    with torch.autocast("cpu", dtype=torch.float16):
        found = token_loss(hidden, weight, labels, 0.0)
    (ours,) = gradients(found.smoothed, weight)
    (theirs,) = gradients(token_loss(hidden, weight, labels, 0.0).smoothed, weight)
    assert float(theirs[10:].abs().max()) < 1e-3
    assert relative_error(ours[10:], theirs[10:]) < 2e-2


def derived(labels: Tensor, factor: float = 1.0) -> DerivedCriterion:
    """`factor` times the cross-entropy of `labels` [N], of each of any number of passes."""

    def loss(logits: Tensor, part: slice) -> TokenLoss:
        expected = labels[part].repeat_interleave(logits[0, ..., 0].numel())
        nll = F.cross_entropy(logits.flatten(0, -2), expected, reduction="sum")
        return TokenLoss(factor * nll, nll)

    return DerivedCriterion(loss)


@pytest.mark.parametrize("passes", [(), (1,), (2,), (3,)])
@pytest.mark.parametrize("chunk", [1, 4, 5, 512])
def test_a_derived_gradient_is_that_of_the_whole_loss(
    monkeypatch: pytest.MonkeyPatch, passes: tuple[int, ...], chunk: int
) -> None:
    monkeypatch.setattr(objective, "chunk_rows", lambda *_: chunk)
    _, weight, labels = problem(11)
    hidden = torch.randn(11, *passes, D, dtype=torch.float64, requires_grad=True)
    found = chunked_loss(hidden, weight, derived(labels))
    expected, nll = derived(labels).loss(hidden @ weight.t(), slice(None))
    torch.testing.assert_close(found, TokenLoss(expected, nll.detach()), rtol=1e-12, atol=1e-12)
    assert not found.nll.requires_grad
    ours = gradients(found.smoothed / 3, hidden, weight)
    theirs = gradients(expected / 3, hidden, weight)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_a_derived_loss_without_a_gradient_is_the_same() -> None:
    hidden, weight, labels = problem(9)
    within = chunked_loss(hidden, weight, derived(labels))
    with torch.no_grad():
        without = chunked_loss(hidden, weight, derived(labels))
    assert not without.smoothed.requires_grad
    assert torch.equal(within.smoothed, without.smoothed)


@pytest.mark.parametrize("factor", [1e-2, 1.0, 1e4])
def test_fp16_holds_the_gradients_of_a_loss_of_any_size(factor: float) -> None:
    hidden, weight, labels = problem(64, v=2000, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.float16):
        found = chunked_loss(hidden, weight, derived(labels, factor))
    ours = gradients(found.smoothed, hidden, weight)
    exact = chunked_loss(hidden, weight, derived(labels, factor))
    theirs = gradients(exact.smoothed, hidden, weight)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype is torch.float32
        assert relative_error(mine, other) < 5e-3


def test_the_result_names_its_parts() -> None:
    assert TokenLoss._fields == ("smoothed", "nll")


PAIRS = [([5, 6, 7], [8, 9]), ([5], [9, 8, 7, 6]), ([9, 9, 4, 4, 5], [4])]


@pytest.mark.parametrize("extra", [0, 3])
def test_a_packed_batch_has_the_loss_and_gradients_of_the_padded_one(
    build_model: Callable[..., Transformer], make_batch: Callable[..., Batch], extra: int
) -> None:
    model = build_model(encoder_layers=2, decoder_layers=2)
    batch = make_batch(PAIRS, extra=extra)
    padded, packed = (loss(model, batch, 0.1) for loss in (batch_loss, packed_loss))
    torch.testing.assert_close(packed, padded, rtol=0, atol=1e-10)
    found, expected = (gradients(loss.smoothed, *model.parameters()) for loss in (packed, padded))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_the_arithmetic_of_packing_does_not_grow_with_the_padding(
    build_model: Callable[..., Transformer], make_batch: Callable[..., Batch]
) -> None:
    model = build_model()
    sizes: dict[int, list[int]] = {}
    for extra in (0, 40):
        seen = sizes.setdefault(extra, [])
        hook = model.encoder[0].register_forward_pre_hook(
            lambda _, args, seen=seen: seen.append(args[0].numel())
        )
        packed_loss(model, make_batch(PAIRS, extra=extra), 0.1)
        hook.remove()
    assert sizes[0] == sizes[40] == [12 * 16]


@pytest.mark.parametrize("packing", [False, True])
def test_compiled_terms_give_the_loss_of_plain_ones(
    monkeypatch: pytest.MonkeyPatch,
    build_model: Callable[..., Transformer],
    make_batch: Callable[..., Batch],
    packing: bool,
) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    model, batch = build_model(), make_batch(PAIRS)
    found, expected = (
        label_objective(0.1, packing=packing, compiled=compiled)(model, batch)
        for compiled in (True, False)
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(
        gradients(found.smoothed, *model.parameters()),
        gradients(expected.smoothed, *model.parameters()),
        rtol=0,
        atol=1e-10,
    )


def test_a_chunk_has_one_row_at_least_and_fewer_where_words_are_more() -> None:
    assert chunk_rows("cpu", 2**30) == 1
    assert chunk_rows("cpu", 8_000) > chunk_rows("cpu", 32_000) > 100
    assert chunk_rows("cuda", 32_000) >= 4_096


def test_labels_that_are_next_to_impossible_have_a_finite_loss() -> None:
    hidden = torch.tensor([[500.0, -500.0, 0.0]], requires_grad=True)
    loss = token_loss(hidden, torch.eye(3), torch.tensor([1]), 0.0)
    assert float(loss.nll) == pytest.approx(1000)
    (gradient,) = gradients(loss.smoothed, hidden)
    torch.testing.assert_close(gradient, torch.tensor([[1.0, -1.0, 0.0]]))
