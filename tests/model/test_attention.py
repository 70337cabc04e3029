"""Properties of attention."""

import pytest
import torch
from torch import Tensor

from transformer.model.attention import Attention, KeyValue, attention_weights

B, S, T, D, H = 2, 5, 3, 12, 4


def weights_of(attention: Attention, x: Tensor, memory: KeyValue, mask: Tensor | None) -> Tensor:
    """How much of each value `attention` gathers, [B, H, T, S]."""
    return attention_weights(attention.heads(attention.query(x)), memory.key, mask)


@pytest.fixture
def attention() -> Attention:
    torch.manual_seed(0)
    return Attention(D, H, dropout=0.0).double()


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_shapes_are_those_of_the_docstrings(attention: Attention) -> None:
    memory = attention.project(draw(B, S, D))
    assert memory.key.shape == memory.value.shape == (B, H, S, D // H)
    assert attention(draw(B, T, D), memory, None).shape == (B, T, D)
    longer = memory.append(attention.project(draw(B, 2, D)))
    assert longer.key.shape == longer.value.shape == (B, H, S + 2, D // H)
    rows = torch.tensor([1, 1, 0])
    assert torch.equal(memory.select(rows).key, memory.key[[1, 1, 0]])
    assert torch.equal(memory.select(rows).value, memory.value[[1, 1, 0]])


def test_attention_is_the_papers_formula_head_by_head(attention: Attention) -> None:
    x, memory = draw(B, T, D), draw(B, S, D) + 1
    key_value = attention.key_value(memory)
    query, key, value = attention.query(x), key_value[..., :D], key_value[..., D:]
    heads = []
    for head in range(H):
        part = slice(head * D // H, (head + 1) * D // H)
        scores = query[..., part] @ key[..., part].transpose(1, 2) / (D // H) ** 0.5
        heads.append(scores.softmax(-1) @ value[..., part])
    expected = attention.output(torch.cat(heads, -1))
    found = attention(x, attention.project(memory), None)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_true_means_may_attend(attention: Attention) -> None:
    x, memory = draw(B, T, D), attention.project(draw(B, S, D))
    mask = torch.tensor([True, True, False, True, False])
    seen = KeyValue(memory.key[:, :, mask], memory.value[:, :, mask])
    found = attention(x, memory, mask[None, None, None, :])
    torch.testing.assert_close(found, attention(x, seen, None), rtol=0, atol=1e-10)


MASKS = {
    "none": None,
    "causal": torch.ones(T, S, dtype=torch.bool).tril(2),
    "padding": torch.tensor([[True, True, False, False, False], [True] * 5])[:, None, None, :],
}


@pytest.mark.parametrize("name", MASKS)
def test_the_weights_are_those_by_which_values_are_gathered(
    attention: Attention, name: str
) -> None:
    x, memory, mask = draw(B, T, D), attention.project(draw(B, S, D) + 1), MASKS[name]
    weights = weights_of(attention, x, memory, mask)
    assert weights.shape == (B, H, T, S)
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, H, T).double(), rtol=0, atol=1e-10)
    if mask is not None:
        assert (weights[~mask.expand_as(weights)] == 0).all()
    gathered = weights @ memory.value  # [B, H, T, C]
    found = attention.output(gathered.transpose(1, 2).flatten(2))
    torch.testing.assert_close(found, attention(x, memory, mask), rtol=0, atol=1e-10)


def test_the_weights_know_no_dropout() -> None:
    torch.manual_seed(0)
    attention = Attention(D, H, dropout=0.5).double().train()
    x, memory = draw(B, T, D), attention.project(draw(B, S, D))
    weights = weights_of(attention, x, memory, None)
    assert torch.equal(weights, weights_of(attention, x, memory, None))
    assert torch.equal(weights, weights_of(attention.eval(), x, memory, None))


def test_the_weights_carry_gradients_of_query_and_key(attention: Attention) -> None:
    x, source = draw(1, 2, D).requires_grad_(), (draw(1, 3, D) + 1).requires_grad_()

    def weights(x: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        return weights_of(attention, x, attention.project(source), None)

    assert torch.autograd.gradcheck(weights, (x, source))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_weights_in_fp32(attention: Attention, dtype: torch.dtype) -> None:
    x, source = draw(B, T, D).float(), draw(B, S, D).float()
    attention = attention.float()
    expected = weights_of(attention, x, attention.project(source), None)
    with torch.autocast("cpu", dtype=dtype):
        found = weights_of(attention, x, attention.project(source), None)
    assert found.dtype is torch.float32
    torch.testing.assert_close(found.sum(-1), torch.ones(B, H, T))
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02)
