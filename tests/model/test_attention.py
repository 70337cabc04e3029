"""Properties of attention."""

import pytest
import torch

from transformer.model.attention import Attention, KeyValue

B, S, T, D, H = 2, 5, 3, 12, 4


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
