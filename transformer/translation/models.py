"""The models behind a translator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from transformer.checkpoint import Checkpoint
from transformer.config import AttentionConfig, EnsembleConfig, TrainSettings
from transformer.errors import require
from transformer.model import DecoderState, Transformer
from transformer.search import AttendingModel, Ensemble
from transformer.search.shortlist import AttendingShortlisted, Subvocabulary


@dataclass(frozen=True)
class Member:
    """One model of a translator, and the settings that it was trained with."""

    model: Transformer
    settings: TrainSettings

    def watched(self, config: AttentionConfig) -> "Watched":
        """The model with an attention to be looked at; InputError where it has no such layer."""
        n_layers, n_heads = self.settings.model.decoder_layers, self.settings.model.n_heads
        layer = config.layer
        if layer is None:
            guided = self.settings.training.alignment
            layer = guided.layer if guided.weight > 0 else -min(2, n_layers)
        require(
            abs(layer) <= n_layers,
            f"search.attention.layer={layer} is none of the {n_layers} layers of the decoder",
        )
        require(
            all(head <= n_heads for head in config.heads),
            f"search.attention.heads={config.heads} names more than the {n_heads} heads there are",
        )
        heads = tuple(head - 1 for head in config.heads)
        return Watched(self.model, layer - 1 if layer > 0 else layer, heads)


@dataclass(frozen=True)
class Watched:
    """A model of which the search sees the cross-attention of one layer."""

    model: Transformer
    layer: int
    heads: Sequence[int]

    @property
    def output(self) -> torch.nn.Linear:
        """What makes logits of what `hidden` gives."""
        return self.model.output

    def start(self, source: Tensor, /) -> DecoderState:
        """As of the model."""
        return self.model.start(source)

    def hidden(self, tokens: Tensor, state: DecoderState, /) -> Tensor:
        """As of the model."""
        return self.model.hidden(tokens, state)

    def step(self, tokens: Tensor, state: DecoderState, /) -> Tensor:
        """As of the model."""
        return self.model.step(tokens, state)

    def attend(self, tokens: Tensor, state: DecoderState, /) -> tuple[Tensor, Tensor]:
        """As of the model, of the layer and the heads chosen."""
        return self.model.attend(tokens, state, layer=self.layer, heads=self.heads)


def combined(
    members: Sequence[Member],
    ensemble: EnsembleConfig,
    attention: AttentionConfig,
    subvocabulary: Subvocabulary | None = None,
) -> AttendingModel[Any]:
    """The `members` as one model, which may be limited to the tokens of a `subvocabulary`."""
    models: list[AttendingModel[Any]] = []
    for member in members:
        watched = member.watched(attention)
        models.append(
            watched if subvocabulary is None else AttendingShortlisted(watched, subvocabulary)
        )
    if len(models) == 1:
        return models[0]
    return Ensemble(models, ensemble.weights, ensemble.mean)


def require_same_tokenizers(checkpoints: Sequence[Checkpoint]) -> None:
    """Raise InputError unless all models read and write the same pieces."""
    first, *others = checkpoints
    for other in others:
        require(
            other.tokenizers.digests() == first.tokenizers.digests(),
            f"{first.folder} and {other.folder} have different tokenizers; the models of an "
            "ensemble need the same (train with tokenizer.init_from, or on the same data)",
        )
