"""The models behind a translator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from transformer.checkpoint import Checkpoint
from transformer.config import AttentionConfig, EnsembleConfig, TrainSettings
from transformer.errors import require
from transformer.model import DecoderState, Transformer
from transformer.search import AttendingModel, Ensemble
from transformer.search.shortlist import AttendingShortlisted, Shortlist, Subvocabulary


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


@dataclass(frozen=True)
class Always:
    """A shortlist with tokens that every sentence may use."""

    shortlist: Shortlist
    tokens: Sequence[int]

    def candidates(self, source: Sequence[int]) -> NDArray[np.int32]:
        """As of the shortlist."""
        return np.append(self.shortlist.candidates(source), np.array(self.tokens, np.int32))


def require_same_pieces(checkpoints: Sequence[Checkpoint]) -> None:
    """Raise InputError unless all models read and write the same pieces in the same order."""
    first, *others = checkpoints
    for other in others:
        both = f"{first.folder} and {other.folder}"
        (tags, context), (other_tags, other_context) = (
            (sorted(data.tagged_languages), data.context)
            for data in (first.settings.data, other.settings.data)
        )
        require(
            other.tokenizers.digests() == first.tokenizers.digests(),
            f"{both} have different tokenizers; the models of an ensemble need the same (train "
            "with tokenizer.init_from, or on the same data)",
        )
        require(
            tags == other_tags,
            f"{both} were trained with tags of {_shown(tags)} and of {_shown(other_tags)}; the "
            "models of an ensemble need the same",
        )
        require(
            context == other_context,
            f"{both} were trained with data.context {context.source}, {context.target} and "
            f"{other_context.source}, {other_context.target} (source, target); the models of an "
            "ensemble need the same",
        )


def _shown(languages: Sequence[str]) -> str:
    return ", ".join(languages) or "no languages"
