"""Sentences end to end give what padded ones give."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from transformer.config import Norm
from transformer.model import Transformer
from transformer.model import attention as attention_module
from transformer.model.attention import KeyValue, Packed
from transformer.model.packing import Packing

Build = Callable[..., Transformer]
PAD = 0
LENGTHS = torch.tensor([3, 1, 4, 2])


def test_packed_tokens_come_back_from_where_they_were() -> None:
    packing = Packing.of(LENGTHS, 5, 10)
    assert packing.bounds.tolist() == [0, 3, 4, 8, 10]
    assert packing.bounds.dtype is torch.int32
    assert packing.place.tolist() == [0, 1, 2, 0, 0, 1, 2, 3, 0, 1]
    padded = torch.arange(20, dtype=torch.float64).view(4, 5, 1) + 1
    tokens = packing.pick(padded)
    assert tokens.flatten().tolist() == [1, 2, 3, 6, 11, 12, 13, 14, 16, 17]
    spread = packing.spread(tokens)
    assert spread.shape == padded.shape
    assert torch.equal(spread, padded * packing.real()[..., None])
    assert packing.real().sum(1).tolist() == LENGTHS.tolist()


def packings(source: Tensor, target: Tensor, lengths: Tensor) -> tuple[Packing, Packing]:
    own = (source != PAD).sum(1)
    return (
        Packing.of(own, source.shape[1], int(own.sum())),
        Packing.of(lengths, target.shape[1], int(lengths.sum())),
    )


@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize("small", [0, 64 * 64])
def test_packed_sentences_give_the_hidden_states_of_padded_ones(
    build_model: Build,
    source: Tensor,
    target: Tensor,
    norm: Norm,
    small: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attention_module, "SMALL", small)
    model = build_model(norm=norm)
    lengths = torch.tensor([4, 9, 1, 6])
    theirs, ours = packings(source, target, lengths)
    expected = ours.pick(model.hidden(target, model.start(source)))
    found = model.packed_hidden(theirs.pick(source), ours.pick(target), theirs, ours)
    assert found.shape == (20, 16)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    gradients = [
        torch.autograd.grad(x.square().sum(), list(model.parameters()), allow_unused=True)
        for x in (found, expected)
    ]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-9)


def test_a_sentence_does_not_see_its_neighbours(
    build_model: Build, source: Tensor, target: Tensor
) -> None:
    model = build_model()
    lengths = torch.tensor([4, 9, 1, 6])
    theirs, ours = packings(source, target, lengths)
    tokens, written = theirs.pick(source), ours.pick(target)
    expected = model.packed_hidden(tokens, written, theirs, ours)
    tokens[:7], written[:4] = 5, 6  # the first sentence
    found = model.packed_hidden(tokens, written, theirs, ours)
    assert torch.equal(found[4:], expected[4:])
    assert not torch.equal(found[:4], expected[:4])


@pytest.mark.gpu
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_kernel_of_the_gpu_equals_padded_attention(causal: bool, dtype: torch.dtype) -> None:
    device = torch.device("cuda")
    lengths = torch.tensor([30, 1, 17, 64], device=device)
    packing = Packing.of(lengths, 64, 112)
    torch.manual_seed(1)
    query, key, value = (
        torch.randn(8, 112, 64, device=device, dtype=dtype, requires_grad=True) for _ in range(3)
    )
    mask = Packed(packing, packing, causal=causal)
    found = mask.attend(query, KeyValue(key, value), 0.0)
    expected = mask.attend(query.float(), KeyValue(key.float(), value.float()), 0.0)
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=2e-2)
    ours, theirs = (
        torch.autograd.grad(x.float().square().sum(), [query, key, value])
        for x in (found, expected)
    )
    for one, other in zip(ours, theirs, strict=True):
        assert float((one - other).float().norm() / other.float().norm()) < 2e-2
