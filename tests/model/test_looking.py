"""Properties of the attention weights that a model shows."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from transformer.config import Norm
from transformer.model import Transformer
from transformer.model.attention import AttentionWeights
from transformer.model.layers import EncoderLayer

PAD = 0
Build = Callable[..., Transformer]


def assert_equal(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_shapes_are_those_of_the_docstrings_and_rows_sum_to_1(
    build_model: Build, source: Tensor, target: Tensor
) -> None:
    weights = build_model().look(source, target)
    shapes = {"encoder": (2, 4, 4, 7, 7), "decoder": (3, 4, 4, 9, 9), "cross": (3, 4, 4, 9, 7)}
    for name, shape in shapes.items():
        found = getattr(weights, name)
        assert found.shape == shape
        assert_equal(found.sum(-1), torch.ones(shape[:-1], dtype=torch.float64))


def test_padding_and_what_comes_later_get_exactly_nothing(
    build_model: Build, source: Tensor, target: Tensor
) -> None:
    weights = build_model().look(source, target)
    padding = (source == PAD)[None, :, None, None, :]
    for found in (weights.encoder, weights.cross):
        assert (found[padding.expand_as(found)] == 0).all()
        assert (found[~padding.expand_as(found)] > 0).all()
    assert (weights.decoder.triu(1) == 0).all()
    assert (weights.decoder[torch.ones_like(weights.decoder).tril() == 1] > 0).all()


def test_cross_attention_is_what_a_search_sees_layer_by_layer(
    build_model: Build, source: Tensor, target: Tensor
) -> None:
    model = build_model()
    found = model.look(source, target).cross
    for layer in range(3):
        with torch.no_grad():
            _, seen = model.attend(target, model.start(source), layer=layer, heads=[2])
        assert_equal(found[layer, :, 2], seen)


def test_a_pair_looks_the_same_in_any_batch(
    build_model: Build, source: Tensor, target: Tensor
) -> None:
    model = build_model()
    together = model.look(source, target)
    for i, row in enumerate(source):
        own = row[row != PAD]
        n = len(own)
        alone = model.look(own[None], target[i : i + 1, :4])
        expected = AttentionWeights(
            together.encoder[:, [i], :, :n, :n],
            together.decoder[:, [i], :, :4, :4],
            together.cross[:, [i], :, :4, :n],
        )
        for found, wanted in zip(alone, expected, strict=True):
            assert_equal(found, wanted)


def test_the_first_layer_looks_as_torchs_own_attention_does(
    build_model: Build, source: Tensor, target: Tensor
) -> None:
    model = build_model(norm=Norm.pre)
    layer = model.encoder[0]
    assert isinstance(layer, EncoderLayer)
    own = layer.attention
    reference = nn.MultiheadAttention(16, 4, batch_first=True, dtype=torch.float64).eval()
    reference.in_proj_weight.data = own.query_key_value.weight
    reference.in_proj_bias.data = own.query_key_value.bias
    embedded, _ = model._read(source)
    x = layer.attention_residual.norm(embedded)
    _, expected = reference(x, x, x, key_padding_mask=source == PAD, average_attn_weights=False)
    assert_equal(model.look(source, target).encoder[0], expected)


def test_looking_changes_no_logit_and_needs_no_gradient(
    build_model: Build, source: Tensor, target: Tensor
) -> None:
    model = build_model()
    before = model.step(target, model.start(source))
    assert not model.look(source, target).cross.requires_grad
    assert torch.equal(model.step(target, model.start(source)), before)


def test_weights_of_half_precision_are_made_in_fp32(
    build_model: Build, source: Tensor, target: Tensor
) -> None:
    model = build_model(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert all(found.dtype is torch.float32 for found in model.look(source, target))
