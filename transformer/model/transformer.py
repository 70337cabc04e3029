"""The encoder-decoder Transformer (Vaswani et al., 2017)."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from transformer.config import ModelConfig, Tying
from transformer.model.attention import (
    AttentionWeights,
    KeyValue,
    Mask,
    Packed,
    Padded,
    Watched,
)
from transformer.model.cache import Cache, prune, seen
from transformer.model.dropout import Dropout
from transformer.model.layers import DecoderLayer, EncoderLayer, build_final_norm
from transformer.model.packing import Packing
from transformer.model.positions import Positions

# Of a layer: for frozen inputs, each arithmetic, and sizes of 1. Beyond the limit, layers would run
# uncompiled, and drop out otherwise than a fresh process, which has compiled less before.
RECOMPILATIONS = 64


class DecoderState:
    """What the decoder knows of B sentences: their encoded sources, and K outputs of each so far.

    The outputs of a sentence are a tree, of which each position is kept once: selecting outputs
    copies none of their keys and values, as long as all sentences stay.
    """

    def __init__(self, memory: list[KeyValue], source: Padded) -> None:
        self.memory = memory  # L of them, of the source
        self.source = source  # lets the real tokens of [B, 1, 1, S] be seen
        self.past: list[Cache] = []  # L of them, of the target; none before the first token
        self.width = 1  # K
        self.length = 0  # tokens of each output so far
        # [B, K, P], True where an output went through a position; None: everywhere, and K = 1.
        self.ancestors: Tensor | None = None

    def __len__(self) -> int:
        return len(self.memory[0].key)

    def select(self, rows: Tensor) -> "DecoderState":
        """The state of the outputs `rows` [B', K'], each line of them of one sentence.

        A row may occur again, or not at all; a sentence once, or not at all. It shares tensors
        with this one, which must not be used any more.
        """
        rows = rows.to(self.memory[0].key.device)
        sentences = rows[:, 0] // self.width
        everyone = torch.arange(len(self), device=rows.device)
        stays = torch.equal(sentences, everyone)
        state = self if stays else self._of(sentences)
        selected = DecoderState(state.memory, state.source)
        selected.past, selected.length = state.past, self.length
        selected.width = rows.shape[1]
        if self.ancestors is not None or selected.width > 1:
            selected.ancestors = self._paths().flatten(0, 1)[rows]
        return selected

    def _paths(self) -> Tensor:
        """`ancestors`, also where all positions are."""
        if self.ancestors is not None:
            return self.ancestors
        used = self.past[0].used if self.past else 0
        return torch.ones(len(self), 1, used, dtype=torch.bool, device=self.memory[0].key.device)

    def _of(self, sentences: Tensor) -> "DecoderState":
        """Sources and positions of the int64 `sentences`."""
        memory = [layer.select(sentences) for layer in self.memory]
        allowed = self.source.allowed
        assert allowed is not None
        source = Padded(allowed.index_select(0, sentences))
        if self.source.bias is not None:
            n_heads = memory[0].key.shape[1]
            source = source.with_bias(n_heads, self.source.bias.dtype)
        state = DecoderState(memory, source)
        state.past = [cache.of(sentences) for cache in self.past]
        return state

    def begin(self, T: int) -> Padded:
        """Where T more positions of each output may look, themselves included; makes room."""
        if self.length == 0 and self.width == 1:
            return Padded(None, causal=T > 1)
        room = self._make_room(self.width * T)
        key = self.memory[0].key
        return Padded(seen(self._paths(), T, room)).with_bias(key.shape[1], key.dtype)

    def _make_room(self, n: int) -> int:
        """All positions that fit in, once `n` more do and useless ones are gone."""
        if not self.past:
            return n
        if self.ancestors is not None and self.past[0].used + n > self.past[0].room:
            pruned = prune(self.past, self.ancestors)
            self.ancestors = self.ancestors if pruned is None else pruned
        for cache in self.past:
            cache.grow(cache.used + n)
        return self.past[0].room

    def end(self, T: int) -> None:
        """Note that T positions of each output were appended."""
        self.length += T
        if self.ancestors is not None:
            own = torch.eye(self.width, dtype=torch.bool, device=self.ancestors.device)
            own = own.repeat_interleave(T, 1).expand(len(self), -1, -1)
            self.ancestors = torch.cat([self.ancestors, own], dim=2)


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
        self.n_heads = config.n_heads
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
        embedded, padded = self._read(source)
        memory = self._encode(embedded, padded)
        if not torch.is_grad_enabled():
            # Of a search, which reads them again at each token.
            memory = [KeyValue(*(x.contiguous() for x in layer)) for layer in memory]
        return DecoderState(memory, padded)

    def _read(self, source: Tensor) -> tuple[Tensor, Padded]:
        """The embedded `source` [B, S], and where it may be looked at."""
        mask = (source != self.pad_id)[:, None, None, :]  # [B, 1, 1, S]
        positions = self.positions(0, source.shape[1])
        embedded = self._embed(self.source_embedding, source, positions)
        return embedded, Padded(mask).with_bias(self.n_heads, embedded.dtype)

    def step(self, tokens: Tensor, state: DecoderState) -> Tensor:
        """Logits [B * K, T, V] of the tokens that follow each of `tokens` [B * K, T].

        `state` moves on by these T positions.
        """
        return self.logits(self.hidden(tokens, state))

    def hidden(self, tokens: Tensor, state: DecoderState) -> Tensor:
        """What `step` makes its logits from, [B * K, T, D]; `state` moves on by T positions."""
        return self._advance(tokens, state, [state.source] * len(self.decoder))

    def attend(
        self, tokens: Tensor, state: DecoderState, *, layer: int, heads: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """What `step` gives, and the weights [B * K, T, S] of the source in one decoder layer.

        They are the mean of its `heads`, counted from 0, or of all where none are given; `layer`
        counts from 0, or from the last with a minus.
        """
        watched = Watched(state.source)
        sources: list[Mask] = [state.source] * len(self.decoder)
        sources[layer] = watched
        logits = self.logits(self._advance(tokens, state, sources))
        (weights,) = watched.weights  # [B, H, K * T, S]
        chosen = weights[:, list(heads)] if heads else weights
        return logits, chosen.mean(1).reshape(*tokens.shape, -1)

    @torch.no_grad()
    def look(self, source: Tensor, tokens: Tensor) -> AttentionWeights:
        """The weights of all layers and heads while `tokens` [B, T] of `source` [B, S] are read."""
        embedded, padded = self._read(source)
        encoder, cross = Watched(padded), Watched(padded)
        decoder = Watched(Padded(None, causal=True))
        memory = self._encode(embedded, encoder)
        positions = self.positions(0, tokens.shape[1])
        x = self._embed(self.target_embedding, tokens, positions)
        self._decode(x, [], decoder, memory, [cross] * len(memory))
        return AttentionWeights(*(torch.stack(w.weights) for w in (encoder, decoder, cross)))

    def _advance(self, tokens: Tensor, state: DecoderState, sources: Sequence[Mask]) -> Tensor:
        T = tokens.shape[1]
        # No mask for target padding: it lies to the right, where nothing may look.
        mask = state.begin(T)
        positions = self.positions(state.length, T).repeat(state.width, 1)
        beside = tokens.reshape(len(state), state.width * T)  # outputs of a sentence on one line
        x = self._embed(self.target_embedding, beside, positions)
        x = self._decode(x, state.past, mask, state.memory, sources)
        state.end(T)
        return x.view(*tokens.shape, -1)

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
        across: list[Mask] = [Packed(target_packing, source_packing)] * len(memory)
        return self._decode(x, [], causal, memory, across)

    def _encode(self, x: Tensor, mask: Mask) -> list[KeyValue]:
        for layer in self.encoder:
            x = self._run(layer, x, mask)
        x = self.encoder_norm(x)
        return [layer.cross_attention.project(x) for layer in self.decoder]  # type: ignore[union-attr,operator]

    def _decode(
        self,
        x: Tensor,
        past: list[Cache],
        causal: Mask,
        memory: Sequence[KeyValue],
        sources: Sequence[Mask],
    ) -> Tensor:
        """`x` through all layers; `past` takes in its keys and values, layer by layer."""
        before: list[Cache | None] = [*past] or [None] * len(memory)
        for i, layer in enumerate(self.decoder):
            x, own = self._run(layer, x, before[i], causal, memory[i], sources[i])
            if before[i] is None:
                past.append(Cache(own))
        return self.decoder_norm(x)  # type: ignore[no-any-return]

    def _run(self, layer: nn.Module, *inputs: Any) -> Any:
        run = self.train_layer if torch.is_grad_enabled() else run_layer
        return run(layer, *inputs)

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., D] to [..., V]."""
        return self.output(hidden)  # type: ignore[no-any-return]

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
