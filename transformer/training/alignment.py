"""Guided alignment: cross-attention of one decoder layer learns given word alignments."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from transformer.config import AlignmentConfig, TrainSettings
from transformer.errors import require
from transformer.model import Transformer
from transformer.model.attention import CrossAttention, KeyValue, Padded, attention_weights
from transformer.text.batching import Batch
from transformer.text.dataset import PreparedData
from transformer.training.objective import Objective, TokenLoss

# Added to probabilities: their logarithm, and its gradient times fp16's loss scale, stay finite.
FLOOR = 1e-8


def check_alignment_settings(settings: TrainSettings, data: PreparedData) -> None:
    """Raise InputError unless data and model have what guided alignment needs."""
    config, n_layers = settings.training.alignment, settings.model.decoder_layers
    require(
        data.train.aligned,
        f"training.alignment.weight={config.weight} needs data.alignment, the ending of the files "
        "that hold the alignments",
    )
    require(
        abs(config.layer) <= n_layers,
        f"training.alignment.layer={config.layer} is none of model.decoder_layers={n_layers}; "
        "layers are counted from 1, or from the last with a minus",
    )


class GuidedAlignment:
    """An objective beside which cross-attention learns the links of the batch.

    Adds `config.weight` times the sum, over the target pieces with links, of the cross-entropy
    between the uniform distribution over the source pieces they are linked with and the mean of
    the heads' attention weights (Chen et al., 2016; Garg et al., 2019, who teach a single head
    and divide by the target's length). Over several passes of the batch, as R-Drop makes them,
    it is the mean.
    """

    def __init__(self, objective: Objective, config: AlignmentConfig) -> None:
        self.objective = objective
        self.weight = config.weight
        self.layer = config.layer - 1 if config.layer > 0 else config.layer

    def __call__(self, model: Transformer, batch: Batch) -> TokenLoss:
        """The loss of `batch`, which has links; NLL is that of the labels alone."""
        assert batch.links is not None
        attention = model.decoder[self.layer].cross_attention
        assert isinstance(attention, CrossAttention)
        with recorded(attention) as calls:
            loss = self.objective(model, batch)
        disagreement = alignment_loss(calls.weights(), batch.links, len(batch.source))
        return TokenLoss(loss.smoothed + self.weight * disagreement, loss.nll)


@dataclass
class AttentionCalls:
    """What an attention was asked in one or more forward passes."""

    queries: list[Tensor] = field(default_factory=list)  # projected, each [B, H, T, C]
    keys: list[Tensor] = field(default_factory=list)  # each [B, H, S, C]
    masks: list[Tensor | None] = field(default_factory=list)

    def weights(self) -> Tensor:
        """The mean of the heads' attention weights, [passes * B, T, S]."""
        calls = zip(self.queries, self.keys, self.masks, strict=True)
        return torch.cat([attention_weights(*call).mean(1) for call in calls])


@contextmanager
def recorded(attention: CrossAttention) -> Iterator[AttentionCalls]:
    """What `attention` is asked within the context, still part of the graph.

    Queries are recorded as projected: afterwards the projection's weights may be spread over
    processes, and out of reach.
    """
    calls = AttentionCalls()

    def record_call(_: nn.Module, args: tuple[Tensor, KeyValue, Padded]) -> None:
        calls.keys.append(args[1].key)
        calls.masks.append(args[2].allowed)

    def record_query(_: nn.Module, __: tuple[Tensor], query: Tensor) -> None:
        calls.queries.extend(attention.heads(query, 1))

    hooks = [
        attention.register_forward_pre_hook(record_call),
        attention.query.register_forward_hook(record_query),
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def alignment_loss(weights: Tensor, links: Tensor, n_rows: int) -> Tensor:
    """Cross-entropy of `weights` [passes * rows, T, S] with `links` [n_links, 3] of `n_rows` rows.

    Summed over the target positions that have links, and averaged over the passes.
    """
    row, target, source = links.unbind(1)
    n_links = weights.new_zeros(n_rows, weights.shape[1])  # [B, T]
    n_links.index_put_((row, target), weights.new_ones(len(links)), accumulate=True)
    passes = weights.view(-1, n_rows, *weights.shape[1:])  # [passes, B, T, S]
    surprise: Tensor = -(passes[:, row, target, source] + FLOOR).log()  # [passes, n_links]
    return (surprise / n_links[row, target]).sum() / len(passes)
