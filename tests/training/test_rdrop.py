"""Properties of R-Drop: two dropouts of a batch that are to agree."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from transformer.config import Precision, TrainSettings
from transformer.model import Transformer, attention
from transformer.text.batching import Batch
from transformer.text.dataset import PreparedData, prepare_data
from transformer.training import objective
from transformer.training.objective import Objective, TokenLoss, batch_loss
from transformer.training.objectives import build_objective

CPU = torch.device("cpu")
VOCAB_SIZE = 30
Build = Callable[..., Transformer]
Make = Callable[..., Batch]
Pairs = list[tuple[list[int], list[int]]]
DROPOUT = {"dropout": 0.2, "embedding_dropout": 0.1, "attention_dropout": 0.2}


@pytest.fixture
def data(settings: TrainSettings) -> PreparedData:
    return prepare_data(settings.data, settings.tokenizer, settings.cleaning)


@pytest.fixture
def rdrop(settings: TrainSettings, data: PreparedData) -> Callable[..., Objective]:
    """Builds the objective with a weight of R-Drop and label smoothing."""

    def build(weight: float, smoothing: float = 0.1) -> Objective:
        training = replace(settings.training, rdrop=weight, label_smoothing=smoothing)
        return build_objective(
            replace(settings, training=training), data, CPU, precision=Precision.fp32
        )

    return build


def two_passes(model: Transformer, batch: Batch) -> tuple[Tensor, Tensor]:
    """Logits [2, N, V] at the labels of two dropouts, and the labels [N]."""
    twice = [torch.cat([tokens, tokens]) for tokens in (batch.source, batch.target)]
    logits = model.step(twice[1], model.start(twice[0]))  # [2 * B, T, V]
    logits = torch.stack([part.flatten(0, 1) for part in logits.chunk(2)])  # [2, B * T, V]
    return logits[:, batch.label_positions], batch.labels.flatten()[batch.label_positions]


def of_the_paper(model: Transformer, batch: Batch, alpha: float, smoothing: float) -> TokenLoss:
    """Equations 2 to 4 of Wu et al., 2021, with smoothed labels; NLL of both passes."""
    logits, labels = two_passes(model, batch)
    first, second = logits.log_softmax(-1)
    divergence = 0.5 * (
        F.kl_div(second, first, log_target=True, reduction="sum")
        + F.kl_div(first, second, log_target=True, reduction="sum")
    )
    both = [
        F.cross_entropy(part, labels, label_smoothing=smoothing, reduction="sum") for part in logits
    ]
    nll = F.cross_entropy(logits.flatten(0, 1), labels.repeat(2), reduction="sum")
    return TokenLoss(both[0] + both[1] + alpha * divergence, nll)


def gradients(model: Transformer, loss: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, list(model.parameters()))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("chunk", [1, 2, 7, 512])
def test_the_loss_is_half_that_of_the_paper_at_twice_the_weight(
    monkeypatch: pytest.MonkeyPatch,
    build_model: Build,
    make_batch: Make,
    id_pairs: Pairs,
    rdrop: Callable[..., Objective],
    smoothing: float,
    chunk: int,
) -> None:
    monkeypatch.setattr(objective, "chunk_rows", lambda *_: chunk)
    model = build_model(vocab_size=VOCAB_SIZE, **DROPOUT)
    batch = make_batch(id_pairs, extra=2)
    torch.manual_seed(3)
    found = rdrop(2.5, smoothing)(model, batch)
    torch.manual_seed(3)
    expected = of_the_paper(model, batch, 5.0, smoothing)
    torch.testing.assert_close(found.smoothed, expected.smoothed / 2, rtol=0, atol=1e-10)
    torch.testing.assert_close(found.nll, expected.nll.detach() / 2, rtol=0, atol=1e-10)
    assert not found.nll.requires_grad
    ours = gradients(model, found.smoothed)
    theirs = gradients(model, expected.smoothed / 2)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_without_dropout_there_is_nothing_to_agree_on(
    build_model: Build, make_batch: Make, id_pairs: Pairs, rdrop: Callable[..., Objective]
) -> None:
    model, batch = build_model(), make_batch(id_pairs)
    found, plain = rdrop(5.0)(model, batch), batch_loss(model, batch, 0.1)
    torch.testing.assert_close(found, plain, rtol=0, atol=1e-10)
    ours, theirs = gradients(model, found.smoothed), gradients(model, plain.smoothed)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_the_rows_of_the_second_pass_follow_those_of_the_first(
    monkeypatch: pytest.MonkeyPatch,
    build_model: Build,
    make_batch: Make,
    id_pairs: Pairs,
    rdrop: Callable[..., Objective],
) -> None:
    model, batch = build_model(), make_batch(id_pairs)
    start = Mock(wraps=model.start)
    hidden = Mock(wraps=model.hidden)
    monkeypatch.setattr(model, "start", start)
    monkeypatch.setattr(model, "hidden", hidden)
    rdrop(1.0)(model, batch)
    ((source,), _), ((target, _), _) = start.call_args, hidden.call_args
    assert start.call_count == hidden.call_count == 1
    assert torch.equal(source, torch.cat([batch.source, batch.source]))
    assert torch.equal(target, torch.cat([batch.target, batch.target]))


class LargestRows(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The most numbers in a tensor whose last dimension is the vocabulary."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.vocab_size = vocab_size
        self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, Tensor) and tensor.shape[-1:] == (self.vocab_size,):
                self.largest = max(self.largest, tensor.numel())
        return made


def test_the_logits_of_a_batch_never_exist_at_once(
    monkeypatch: pytest.MonkeyPatch,
    build_model: Build,
    make_batch: Make,
    id_pairs: Pairs,
    rdrop: Callable[..., Objective],
) -> None:
    monkeypatch.setattr(objective, "chunk_rows", lambda *_: 20)
    model = build_model(vocab_size=VOCAB_SIZE, **DROPOUT)
    batch, loss = make_batch(id_pairs), rdrop(1.0)
    with LargestRows(VOCAB_SIZE) as seen:
        loss(model, batch).smoothed.backward()  # type: ignore[no-untyped-call]
    assert seen.largest == 20 * VOCAB_SIZE
    assert batch.n_target_tokens > 20


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.bfloat16, 5e-2), (torch.float16, 1e-2)], ids=["bf16", "fp16"]
)
def test_half_precision_stays_near_full_precision_at_a_large_vocabulary(
    build_model: Build,
    make_batch: Make,
    id_pairs: Pairs,
    rdrop: Callable[..., Objective],
    dtype: torch.dtype,
    tolerance: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attention, "SMALL", 0)  # one kernel, so that both drop out alike
    # Of this width, no ReLU is so near zero that rounding flips it.
    model = build_model(torch.float32, vocab_size=4000, d_feed_forward=48, **DROPOUT)
    batch, loss = make_batch(id_pairs), rdrop(2.5)
    torch.manual_seed(3)
    exact = loss(model, batch)
    with torch.autocast("cpu", dtype=dtype):
        torch.manual_seed(3)
        found = loss(model, batch)
    assert found.smoothed.dtype is found.nll.dtype is torch.float32
    torch.testing.assert_close(found, exact, rtol=tolerance, atol=0)
    (ours,) = torch.autograd.grad(found.smoothed, [model.output.weight])
    (theirs,) = torch.autograd.grad(exact.smoothed, [model.output.weight])
    assert ours.isfinite().all()
    assert float((ours - theirs).norm() / theirs.norm()) < tolerance
