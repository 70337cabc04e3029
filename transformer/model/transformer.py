"""The encoder-decoder Transformer (Vaswani et al., 2017)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from transformer.config import ModelConfig, Tying
from transformer.model.attention import KeyValue, Mask, Packed, Padded, causal_mask
from transformer.model.dropout import Dropout
from transformer.model.layers import DecoderLayer, EncoderLayer, build_final_norm
from transformer.model.packing import Packing
from transformer.model.positions import Positions

# Of a layer: for frozen inputs, each arithmetic, and sizes of 1. Beyond the limit, layers would run
# uncompiled, and drop out otherwise than a fresh process, which has compiled less before.
RECOMPILATIONS = 64


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
        self.embedding_dropout = Dropout(config.embedding_dropout)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.encoder_norm = build_final_norm(config)
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.decoder_norm = build_final_norm(config)
        self.output = nn.Linear(d_model, target_vocab_size, bias=False)
        self.train_layer: Callable[..., Any] = run_layer  # how, where gradients are wanted
        initialize(self)
        self._tie(config.tying)

    def _tie(self, tying: Tying) -> None:
        if tying is not Tying.none:
            self.output.weight = self.target_embedding.weight
        if tying is Tying.three_way:
            self.source_embedding.weight = self.target_embedding.weight

    def compile_layers(self) -> None:
        """Let torch.compile make kernels for the training of a layer, once for all like it.

        Sizes of batches are not part of what is compiled; search goes on as before.
        """
        torch._dynamo.config.recompile_limit = RECOMPILATIONS
        self.train_layer = torch.compile(run_layer, dynamic=True)

    def checkpoint_layers(self) -> None:
        """Keep the inputs of layers alone for the backward pass, which runs each layer again.

        Chen et al., 2016, section 4. Gradients stay the same, dropout included. To be called
        after `compile_layers`, if that is.
        """
        self.train_layer = partial(
            checkpoint, self.train_layer, use_reentrant=False, preserve_rng_state=True
        )

    def start(self, source: Tensor) -> DecoderState:
        """The state before the first target token of `source` [B, S], padded on the right."""
        mask = (source != self.pad_id)[:, None, None, :]  # [B, 1, 1, S]
        positions = self.positions(0, source.shape[1])
        memory = self._encode(self._embed(self.source_embedding, source, positions), Padded(mask))
        rows = torch.arange(len(source), device=source.device)
        return DecoderState(memory, mask, rows, [None] * len(memory), 0)

    def step(self, tokens: Tensor, state: DecoderState) -> Tensor:
        """Logits [B, T, V] of the tokens that follow each of `tokens` [B, T].

        `state` moves on by these T positions.
        """
        return self.logits(self.hidden(tokens, state))

    def hidden(self, tokens: Tensor, state: DecoderState) -> Tensor:
        """What `step` makes its logits from, [B, T, D]; `state` moves on by T positions."""
        T = tokens.shape[1]
        # No mask for target padding: it lies to the right, where nothing may look.
        causal = Padded(None, causal=T > 1)
        if state.length and T > 1:
            causal = Padded(causal_mask(state.length, T, tokens.device))
        x = self._embed(self.target_embedding, tokens, self.positions(state.length, T))
        x = self._decode(x, state.past, causal, state.memory, Padded(state.source_mask))
        state.length += T
        return x

    def packed_hidden(
        self, source: Tensor, target: Tensor, source_packing: Packing, target_packing: Packing
    ) -> Tensor:
        """What `hidden` makes of whole sentences, [N, D], all of them without padding.

        `source` and `target` [N] are their tokens end to end, as the packings say.
        """
        places = [
            self.positions(0, packing.longest)[packing.place]
            for packing in (source_packing, target_packing)
        ]
        x = self._embed(self.source_embedding, source, places[0])  # [N, D]
        memory = self._encode(x, Packed(source_packing, source_packing))
        x = self._embed(self.target_embedding, target, places[1])
        causal = Packed(target_packing, target_packing, causal=True)
        across = Packed(target_packing, source_packing)
        return self._decode(x, [None] * len(memory), causal, memory, across)

    def _encode(self, x: Tensor, mask: Mask) -> list[KeyValue]:
        for layer in self.encoder:
            x = self._run(layer, x, mask)
        x = self.encoder_norm(x)
        return [layer.cross_attention.project(x) for layer in self.decoder]  # type: ignore[union-attr,operator]

    def _decode(
        self,
        x: Tensor,
        past: list[KeyValue | None],
        causal: Mask,
        memory: list[KeyValue],
        source: Mask,
    ) -> Tensor:
        for i, layer in enumerate(self.decoder):
            x, past[i] = self._run(layer, x, past[i], causal, memory[i], source)
        return self.decoder_norm(x)  # type: ignore[no-any-return]

    def _run(self, layer: nn.Module, *inputs: Any) -> Any:
        run = self.train_layer if torch.is_grad_enabled() else run_layer
        return run(layer, *inputs)

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., D] to [..., V]."""
        return F.linear(hidden, self.output.weight)

    def _embed(self, embedding: nn.Module, tokens: Tensor, positions: Tensor) -> Tensor:
        x = embedding(tokens) * self.embedding_scale + positions  # [..., T, D]
        return self.embedding_dropout(x)  # type: ignore[no-any-return]


def run_layer(layer: nn.Module, *inputs: Any) -> Any:
    """What `layer` makes of `inputs`."""
    return layer(*inputs)


def initialize(model: nn.Module) -> None:
    """Draw the initial weights.

    Matrices: uniform by Glorot and Bengio (2010), each of a stack apart (see `stacked`); biases:
    zero; embeddings: normal with standard deviation D ** -0.5, so that a tied output layer starts
    with logits of unit size.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            for matrix in module.weight.detach().chunk(stacked(name)):
                nn.init.xavier_uniform_(matrix)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)


def stacked(name: str) -> int:
    """How many matrices lie on one another in the weight of the linear layer `name`."""
    last = name.rpartition(".")[2]
    return {"query_key_value": 3, "key_value": 2}.get(last, 1)
