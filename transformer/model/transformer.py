"""The encoder-decoder Transformer (Vaswani et al., 2017)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from transformer.config import ModelConfig, Tying
from transformer.model.attention import KeyValue
from transformer.model.layers import DecoderLayer, EncoderLayer, build_final_norm
from transformer.model.positions import Positions


@dataclass
class DecoderState:
    """What the decoder knows of B sentences: their encoded sources and the targets so far."""

    memory: list[KeyValue]  # L of them, of the source
    source_mask: Tensor  # [B, 1, 1, S]
    sources: Tensor  # [B], the row of the source that each row translates
    past: list[KeyValue | None]  # L of them, of the target
    length: int  # target positions so far

    def select(self, rows: Tensor) -> "DecoderState":
        """The sentences `rows` [N] in that order; a row may occur again, or not at all."""
        sources = self.sources[rows]
        memory, source_mask = self.memory, self.source_mask
        if not torch.equal(sources, self.sources):
            memory = [layer.select(rows) for layer in memory]
            source_mask = source_mask.index_select(0, rows)
        past = [None if layer is None else layer.select(rows) for layer in self.past]
        return DecoderState(memory, source_mask, sources, past, self.length)


class Transformer(nn.Module):
    """Source sentences to logits of their translations' next tokens.

    Training is one `step` over the whole target from a fresh state; search is a `step` a token.
    """

    def __init__(
        self, config: ModelConfig, *, source_vocab_size: int, target_vocab_size: int, pad_id: int
    ) -> None:
        super().__init__()
        self.pad_id = pad_id
        d_model = config.d_model
        self.embedding_scale = math.sqrt(d_model) if config.embedding_scale else 1.0
        self.source_embedding = nn.Embedding(source_vocab_size, d_model)
        self.target_embedding = nn.Embedding(target_vocab_size, d_model)
        self.positions = Positions(d_model)
        self.embedding_dropout = nn.Dropout(config.embedding_dropout)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.encoder_norm = build_final_norm(config)
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.decoder_norm = build_final_norm(config)
        self.output = nn.Linear(d_model, target_vocab_size, bias=False)
        self.run_layer: Callable[..., Any] = run_layer
        initialize(self)
        self._tie(config.tying)

    def _tie(self, tying: Tying) -> None:
        if tying is not Tying.none:
            self.output.weight = self.target_embedding.weight
        if tying is Tying.three_way:
            self.source_embedding.weight = self.target_embedding.weight

    def checkpoint_layers(self) -> None:
        """Keep the inputs of layers alone for the backward pass, which runs each layer again.

        Chen et al., 2016, section 4. Gradients stay the same, dropout included.
        """
        self.run_layer = run_layer_twice

    def start(self, source: Tensor) -> DecoderState:
        """The state before the first target token of `source` [B, S], padded on the right."""
        mask = (source != self.pad_id)[:, None, None, :]  # [B, 1, 1, S]
        x = self._embed(self.source_embedding, source, 0)
        for layer in self.encoder:
            x = self.run_layer(layer, x, mask)
        x = self.encoder_norm(x)
        memory = [layer.cross_attention.project(x) for layer in self.decoder]  # type: ignore[union-attr,operator]
        rows = torch.arange(len(source), device=source.device)
        return DecoderState(memory, mask, rows, [None] * len(memory), 0)

    def step(self, tokens: Tensor, state: DecoderState) -> Tensor:
        """Logits [B, T, V] of the tokens that follow each of `tokens` [B, T].

        `state` moves on by these T positions.
        """
        return self.logits(self.hidden(tokens, state))

    def hidden(self, tokens: Tensor, state: DecoderState) -> Tensor:
        """What `step` makes its logits from, [B, T, D]; `state` moves on by T positions."""
        # No mask for target padding: it lies to the right, where nothing may look.
        mask = causal_mask(state.length, tokens.shape[1], tokens.device)
        x = self._embed(self.target_embedding, tokens, state.length)
        for i, layer in enumerate(self.decoder):
            x, state.past[i] = self.run_layer(
                layer, x, state.past[i], mask, state.memory[i], state.source_mask
            )
        state.length += tokens.shape[1]
        return self.decoder_norm(x)  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., D] to [..., V]."""
        return F.linear(hidden, self.output.weight)

    def _embed(self, embedding: nn.Module, tokens: Tensor, start: int) -> Tensor:
        positions = self.positions(start, tokens.shape[1])
        x = embedding(tokens) * self.embedding_scale + positions  # [B, T, D]
        return self.embedding_dropout(x)  # type: ignore[no-any-return]


def run_layer(layer: nn.Module, *inputs: Any) -> Any:
    """What `layer` makes of `inputs`."""
    return layer(*inputs)


def run_layer_twice(layer: nn.Module, *inputs: Any) -> Any:
    """What `layer` makes of `inputs`, which are all that is kept to make gradients from."""
    if not torch.is_grad_enabled():
        return layer(*inputs)
    return checkpoint(layer, *inputs, use_reentrant=False, preserve_rng_state=True)


def causal_mask(past: int, length: int, device: torch.device) -> Tensor | None:
    """True where one of `length` positions after `past` others may look: [length, past + length].

    None for a single position: it may look at all before it.
    """
    if length == 1:
        return None
    mask = torch.ones(length, past + length, dtype=torch.bool, device=device)
    return mask.tril(diagonal=past)


def initialize(model: nn.Module) -> None:
    """Draw the initial weights.

    Matrices: uniform by Glorot and Bengio (2010), where keys and values count as two matrices;
    biases: zero; embeddings: normal with standard deviation D ** -0.5, so that a tied output
    layer starts with logits of unit size.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            parts = 2 if name.endswith("key_value") else 1
            for matrix in module.weight.detach().chunk(parts):
                nn.init.xavier_uniform_(matrix)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
