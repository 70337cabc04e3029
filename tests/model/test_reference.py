"""The same weights give the same logits as PyTorch's own Transformer."""

from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn

from transformer.config import Norm
from transformer.model import Transformer
from transformer.model.attention import CrossAttention, SelfAttention
from transformer.model.layers import DecoderLayer, EncoderLayer, FeedForward, PostNorm

D, F, PAD = 16, 24, 0
Build = Callable[..., Transformer]


def copy(to: nn.Module, own: nn.Module) -> None:
    to.load_state_dict(own.state_dict())


def copy_attention(to: nn.MultiheadAttention, own: SelfAttention | CrossAttention) -> None:
    parts = [own.query_key_value] if isinstance(own, SelfAttention) else [own.query, own.key_value]
    to.in_proj_weight.data = torch.cat([part.weight for part in parts])
    to.in_proj_bias.data = torch.cat([part.bias for part in parts])
    copy(to.out_proj, own.output)


def copy_rest(
    to: nn.TransformerEncoderLayer | nn.TransformerDecoderLayer,
    network: FeedForward,
    residuals: Iterable[PostNorm],
) -> None:
    copy(to.linear1, network.inner)
    copy(to.linear2, network.outer)
    for i, residual in enumerate(residuals, start=1):
        copy(getattr(to, f"norm{i}"), residual.norm)


def reference_encoder(model: Transformer, n_heads: int, *, pre: bool) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(D, n_heads, F, 0.0, batch_first=True, norm_first=pre)
    norm = nn.LayerNorm(D) if pre else None
    encoder = nn.TransformerEncoder(layer, len(model.encoder), norm, enable_nested_tensor=False)
    for to, own in zip(encoder.layers, model.encoder, strict=True):
        assert isinstance(own, EncoderLayer)
        copy_attention(to.self_attn, own.attention)
        copy_rest(to, own.feed_forward, [own.attention_residual, own.feed_forward_residual])
    if encoder.norm is not None:
        copy(encoder.norm, model.encoder_norm)
    return encoder.double().eval()


def reference_decoder(model: Transformer, n_heads: int, *, pre: bool) -> nn.TransformerDecoder:
    layer = nn.TransformerDecoderLayer(D, n_heads, F, 0.0, batch_first=True, norm_first=pre)
    norm = nn.LayerNorm(D) if pre else None
    decoder = nn.TransformerDecoder(layer, len(model.decoder), norm)
    for to, own in zip(decoder.layers, model.decoder, strict=True):
        assert isinstance(own, DecoderLayer)
        copy_attention(to.self_attn, own.self_attention)
        copy_attention(to.multihead_attn, own.cross_attention)
        residuals = [own.self_residual, own.cross_residual, own.feed_forward_residual]
        copy_rest(to, own.feed_forward, residuals)
    if decoder.norm is not None:
        copy(decoder.norm, model.decoder_norm)
    return decoder.double().eval()


@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize("n_heads", [1, 2, 8])
@pytest.mark.parametrize("padded", [False, True])
def test_logits_equal_those_of_pytorchs_transformer(
    build_model: Build, source: Tensor, target: Tensor, norm: Norm, n_heads: int, padded: bool
) -> None:
    model = build_model(norm=norm, n_heads=n_heads)
    pre = norm is Norm.pre
    if not padded:
        source = source.masked_fill(source == PAD, 9)
    padding = source == PAD  # there, True is what must not be looked at

    def embed(embedding: nn.Embedding, tokens: Tensor) -> Tensor:
        return embedding(tokens) * D**0.5 + model.positions(0, tokens.shape[1])  # type: ignore[no-any-return]

    causal = torch.ones(9, 9, dtype=torch.bool).triu(1)
    with torch.no_grad():
        memory = reference_encoder(model, n_heads, pre=pre)(
            embed(model.source_embedding, source), src_key_padding_mask=padding
        )
        hidden = reference_decoder(model, n_heads, pre=pre)(
            embed(model.target_embedding, target),
            memory,
            tgt_mask=causal,
            memory_key_padding_mask=padding,
        )
        expected = hidden @ model.output.weight.t()
        found = model.step(target, model.start(source))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
