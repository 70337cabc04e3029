"""The network of a COMET model: encoder, mixture of its layers, and feed-forward estimator."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from transformer.errors import InputError, require
from transformer.metrics.comet.checkpoint import Checkpoint
from transformer.metrics.comet.design import N_VECTORS, Design
from transformer.metrics.comet.encoder import Encoder


class LayerMix(nn.Module):
    """Layers added with learnt weights (Rei et al., 2020, section 2.2; Peters et al., 2018)."""

    def __init__(self, n_layers: int, *, sparse: bool, normalise: bool) -> None:
        super().__init__()
        self.sparse, self.normalise = sparse, normalise
        self.scalar_parameters = nn.ParameterList(torch.zeros(1) for _ in range(n_layers))
        self.gamma = nn.Parameter(torch.ones(1))

    def forward(self, layers: Sequence[Tensor], mask: Tensor) -> Tensor:
        """[B, S, D], from as many of it; `mask` [B, S, 1] is 1 at tokens and 0 at padding."""
        values = torch.cat(list(self.scalar_parameters))
        shares = sparsemax(values) if self.sparse else values.softmax(0)
        mixed = torch.zeros_like(layers[0])
        for share, layer in zip(shares, layers, strict=True):
            mixed += share * (normalised(layer, mask) if self.normalise else layer)
        return self.gamma * mixed


class Estimator(nn.Module):
    """Vectors of texts and, of those, scores; parts are called as in the format."""

    def __init__(self, design: Design, encoder: Encoder) -> None:
        super().__init__()
        self.pool, self.layer, self.pad_id = design.pool, design.layer, encoder.pad_id
        self.encoder = nn.ModuleDict({"model": encoder.model})
        if design.layer is None:
            self.layerwise_attention = LayerMix(
                encoder.n_layers, sparse=design.sparse, normalise=design.layer_norm
            )
        d_input = N_VECTORS[design.kind] * encoder.width
        self.estimator = nn.ModuleDict({"ff": feed_forward(design, d_input)})

    def embed(self, tokens: Tensor, is_token: Tensor) -> Tensor:
        """[B, D] of `tokens` [B, S]; `is_token` [B, S] is False at padding."""
        output = self.encoder["model"](
            input_ids=tokens, attention_mask=is_token.long(), output_hidden_states=True
        )
        if self.pool == "default":
            first: Tensor = output.last_hidden_state[:, 0]
            return first
        mask = is_token[..., None].float()
        layers = output.hidden_states
        states = (
            self.layerwise_attention(layers, mask) if self.layer is None else layers[self.layer]
        )
        return pooled(states, tokens != self.pad_id, mask, self.pool)

    def estimate(self, vectors: Sequence[Tensor]) -> Tensor:
        """[B], from as many [B, D] as the kind of model has."""
        scores: Tensor = self.estimator["ff"](torch.cat(list(vectors), dim=1))
        return scores[:, 0]


def feed_forward(design: Design, d_input: int) -> nn.Sequential:
    """The layers from `d_input` values to one."""
    parts: list[nn.Module] = []
    for size in design.hidden_sizes:
        # What would be dropout in training keeps its place, as parts are numbered.
        parts += [nn.Linear(d_input, size), getattr(nn, design.activation)(), nn.Identity()]
        d_input = size
    parts.append(nn.Linear(d_input, 1))
    if design.final_activation is not None:
        parts.append(getattr(nn, design.final_activation)())
    return nn.Sequential(*parts)


def sparsemax(values: Tensor) -> Tensor:
    """The nearest shares [N] to `values` [N], some of them 0 (Martins and Astudillo, 2016)."""
    ordered = values.sort(descending=True).values
    excess = ordered.cumsum(0) - 1
    counts = torch.arange(1, len(values) + 1, device=values.device)
    n_kept = (counts * ordered > excess).sum()
    return (values - excess[n_kept - 1] / n_kept).clamp(min=0)


def normalised(states: Tensor, mask: Tensor) -> Tensor:
    """`states` [B, S, D] with mean 0 and variance 1 over all values of a text's tokens."""
    n_values = mask.sum(dim=(1, 2), keepdim=True) * states.shape[2]
    centred = states - (states * mask).sum(dim=(1, 2), keepdim=True) / n_values
    variance = (centred * mask).square().sum(dim=(1, 2), keepdim=True) / n_values
    return centred / (variance + 1e-12).sqrt()


def pooled(states: Tensor, is_word: Tensor, mask: Tensor, pool: str) -> Tensor:
    """[B, D] of `states` [B, S, D].

    A text may name the padding token, which `is_word` [B, S] leaves out of it: the mean still
    counts it, as `mask` [B, S, 1] does.
    """
    match pool:
        case "cls":
            return states[:, 0]
        case "max":
            return states.masked_fill(~is_word[..., None], float("-inf")).amax(dim=1)
        case _:
            return states.masked_fill(~is_word[..., None], 0).sum(dim=1) / mask.sum(dim=1)


def build_estimator(checkpoint: Checkpoint, encoder: Encoder) -> Estimator:
    """The network with the weights of `checkpoint`, for use alone.

    InputError where they are not those of such a network.
    """
    layer = checkpoint.design.layer
    require(
        layer is None or layer < encoder.n_layers,
        f"{checkpoint.file}: layer={layer}, but its encoder has {encoder.n_layers}, from 0",
    )
    estimator = Estimator(checkpoint.design, encoder)
    _require_fit(checkpoint, estimator.state_dict())
    estimator.load_state_dict(checkpoint.weights)
    return estimator.eval().requires_grad_(requires_grad=False)


def _require_fit(checkpoint: Checkpoint, wanted: Mapping[str, Tensor]) -> None:
    got, file = checkpoint.weights, checkpoint.file
    missing = [name for name in wanted if name not in got]
    if missing:
        raise InputError(f"{file} lacks {len(missing)} of its weights, as {missing[0]}")
    unknown = [name for name in got if name not in wanted]
    if unknown:
        raise InputError(
            f"{file} has {len(unknown)} weights that its hyper-parameters know nothing of, as "
            f"{unknown[0]}"
        )
    for name, value in wanted.items():
        require(
            value.shape == got[name].shape,
            f"{file}: {name} is {tuple(got[name].shape)}, but after hyper-parameters and encoder "
            f"{tuple(value.shape)}",
        )
