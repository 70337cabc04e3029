"""Properties of attention."""

import pytest
import torch
from torch import Tensor

from transformer.model import attention as attention_module
from transformer.model.attention import CrossAttention, KeyValue, Padded, attention_weights

B, S, T, D, H = 2, 5, 3, 12, 4


def weights_of(
    attention: CrossAttention, x: Tensor, memory: KeyValue, mask: Tensor | None
) -> Tensor:
    """How much of each value `attention` gathers, [B, H, T, S]."""
    return attention_weights(attention.heads(attention.query(x), 1)[0], memory.key, mask)


@pytest.fixture
def attention() -> CrossAttention:
    torch.manual_seed(0)
    return CrossAttention(D, H, dropout=0.0).double()


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_shapes_are_those_of_the_docstrings(attention: CrossAttention) -> None:
    memory = attention.project(draw(B, S, D))
    assert memory.key.shape == memory.value.shape == (B, H, S, D // H)
    assert attention(draw(B, T, D), memory, Padded(None)).shape == (B, T, D)
    rows = torch.tensor([1, 1, 0])
    assert torch.equal(memory.select(rows).key, memory.key[[1, 1, 0]])
    assert torch.equal(memory.select(rows).value, memory.value[[1, 1, 0]])


def test_attention_is_the_papers_formula_head_by_head(attention: CrossAttention) -> None:
    x, memory = draw(B, T, D), draw(B, S, D) + 1
    key_value = attention.key_value(memory)
    query, key, value = attention.query(x), key_value[..., :D], key_value[..., D:]
    heads = []
    for head in range(H):
        part = slice(head * D // H, (head + 1) * D // H)
        scores = query[..., part] @ key[..., part].transpose(1, 2) / (D // H) ** 0.5
        heads.append(scores.softmax(-1) @ value[..., part])
    expected = attention.output(torch.cat(heads, -1))
    found = attention(x, attention.project(memory), Padded(None))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_true_means_may_attend(attention: CrossAttention) -> None:
    x, memory = draw(B, T, D), attention.project(draw(B, S, D))
    mask = torch.tensor([True, True, False, True, False])
    seen = KeyValue(memory.key[:, :, mask], memory.value[:, :, mask])
    found = attention(x, memory, Padded(mask[None, None, None, :]))
    torch.testing.assert_close(found, attention(x, seen, Padded(None)), rtol=0, atol=1e-10)


MASKS = {
    "none": None,
    "causal": torch.ones(T, S, dtype=torch.bool).tril(2),
    "padding": torch.tensor([[True, True, False, False, False], [True] * 5])[:, None, None, :],
}


@pytest.mark.parametrize("name", MASKS)
def test_the_weights_are_those_by_which_values_are_gathered(
    attention: CrossAttention, name: str
) -> None:
    x, memory, mask = draw(B, T, D), attention.project(draw(B, S, D) + 1), MASKS[name]
    weights = weights_of(attention, x, memory, mask)
    assert weights.shape == (B, H, T, S)
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, H, T).double(), rtol=0, atol=1e-10)
    if mask is not None:
        assert (weights[~mask.expand_as(weights)] == 0).all()
    gathered = weights @ memory.value  # [B, H, T, C]
    found = attention.output(gathered.transpose(1, 2).flatten(2))
    torch.testing.assert_close(found, attention(x, memory, Padded(mask)), rtol=0, atol=1e-10)


def test_the_weights_know_no_dropout() -> None:
    torch.manual_seed(0)
    attention = CrossAttention(D, H, dropout=0.5).double().train()
    x, memory = draw(B, T, D), attention.project(draw(B, S, D))
    weights = weights_of(attention, x, memory, None)
    assert torch.equal(weights, weights_of(attention, x, memory, None))
    assert torch.equal(weights, weights_of(attention.eval(), x, memory, None))


def test_the_weights_carry_gradients_of_query_and_key(attention: CrossAttention) -> None:
    x, source = draw(1, 2, D).requires_grad_(), (draw(1, 3, D) + 1).requires_grad_()

    def weights(x: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        return weights_of(attention, x, attention.project(source), None)

    assert torch.autograd.gradcheck(weights, (x, source))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_weights_in_fp32(
    attention: CrossAttention, dtype: torch.dtype
) -> None:
    x, source = draw(B, T, D).float(), draw(B, S, D).float()
    attention = attention.float()
    expected = weights_of(attention, x, attention.project(source), None)
    with torch.autocast("cpu", dtype=dtype):
        found = weights_of(attention, x, attention.project(source), None)
    assert found.dtype is torch.float32
    torch.testing.assert_close(found.sum(-1), torch.ones(B, H, T))
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02)


@pytest.mark.parametrize("name", [*MASKS, "own causal"])
def test_plain_products_give_what_torchs_kernel_gives(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    n = S if name == "own causal" else T
    query, key, value = (
        draw(B, H, length, D // H).requires_grad_() + i for i, length in enumerate((n, S, S))
    )
    mask = Padded(MASKS.get(name), causal=name == "own causal")
    found = []
    for small in (0, n * S):
        monkeypatch.setattr(attention_module, "SMALL", small)
        gathered = mask.attend(query, KeyValue(key, value), 0.0)
        gradients = torch.autograd.grad(gathered.square().sum(), [query, key, value])
        found.append([gathered, *gradients])
    for plain, kernel in zip(*found, strict=True):
        torch.testing.assert_close(plain, kernel, rtol=0, atol=1e-10)


def test_attention_dropout_keeps_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, value = (draw(B, H, S, D // H) + i for i in range(3))
    expected = Padded(None).attend(query, KeyValue(key, value), 0.0)
    torch.manual_seed(1)
    found = [Padded(None).attend(query, KeyValue(key, value), 0.3) for _ in range(4000)]
    assert not torch.equal(found[0], found[1])
    torch.testing.assert_close(torch.stack(found).mean(0), expected, rtol=0, atol=0.1)
