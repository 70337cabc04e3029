"""What the hyper-parameters of a COMET checkpoint say about its model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from transformer.errors import InputError, require

POOLS = ("avg", "cls", "max", "default")
TRANSFORMATIONS = ("softmax", "sparsemax", "sparsemax_patch")
# Names of torch.nn that the format gives as they are, or without capitals.
ACTIVATIONS = ("Tanh", "Sigmoid", "Softplus", "Softsign", "Mish", "Identity")
SEGMENTS = ("mt", "src", "ref")


class Kind(Enum):
    """Which texts an estimate is from, by the name that the format has for it."""

    regression = "regression_metric"
    referenceless = "referenceless_regression_metric"
    unified = "unified_metric"


# What a file leaves out; Rei et al., 2020, have 6 vectors of a sentence, without references 4.
HIDDEN_SIZES = {Kind.regression: (3072, 1024), Kind.referenceless: (2048, 1024)}
N_VECTORS = {Kind.regression: 6, Kind.referenceless: 4, Kind.unified: 1}


@dataclass(frozen=True, kw_only=True)
class Design:
    """The shape of a model, without its weights."""

    kind: Kind
    encoder: str  # the format's name of the architecture, as in XLM-RoBERTa
    pretrained: str  # folder or name at the hub, of the encoder's settings and tokenizer
    pool: str
    layer: int | None  # None: a mixture of all, the embeddings among them
    sparse: bool
    layer_norm: bool
    hidden_sizes: tuple[int, ...]
    activation: str
    final_activation: str | None
    segments: frozenset[str]  # of the one kind that can do with fewer

    @property
    def needs_references(self) -> bool:
        """Whether there is no score without them."""
        without_source = self.kind is Kind.unified and self.segments == {"mt", "ref"}
        return self.kind is Kind.regression or without_source


def read_design(names: str, described: Mapping[str, Any], stored: Mapping[str, Any]) -> Design:
    """The design that `described`, of hparams.yaml, and `stored`, of the weights' file, say.

    Where both have a value it is the stored one: the weights were trained with it. InputError
    that begins with `names`, the file, where one is missing, or none that we can compute.
    """
    kind = _kind(names, described.get("class_identifier"))
    values = {**described, **stored}
    unified = kind is Kind.unified
    layer = values.get("sent_layer" if unified else "layer", "mix")
    is_index = isinstance(layer, int) and not isinstance(layer, bool) and layer >= 0
    require(
        layer == "mix" or is_index,
        f"{names}: the layer {layer!r} is none; it must be mix or a number from 0",
    )
    return Design(
        kind=kind,
        encoder=_text(names, values, "encoder_model", "XLM-RoBERTa"),
        pretrained=_text(names, values, "pretrained_model", "xlm-roberta-large"),
        pool="cls" if unified else _one_of(names, values, "pool", POOLS, "avg"),
        layer=None if layer == "mix" else layer,
        sparse=_is_sparse(names, kind, described, values),
        layer_norm=bool(values.get("layer_norm", True)),
        hidden_sizes=_sizes(
            names, values.get("hidden_sizes", HIDDEN_SIZES.get(kind, (3072, 1024)))
        ),
        activation=_activation(names, values.get("activations", "Tanh")),
        final_activation=_final_activation(names, values.get("final_activation")),
        segments=_segments(names, values.get("input_segments", SEGMENTS)),
    )


def _kind(names: str, identifier: object) -> Kind:
    known = [kind.value for kind in Kind]
    require(
        identifier in known,
        f"{names}: models of class {identifier!r} cannot be computed; "
        f"class_identifier must be one of {', '.join(known)}",
    )
    return Kind(identifier)


def _is_sparse(
    names: str, kind: Kind, described: Mapping[str, Any], values: Mapping[str, Any]
) -> bool:
    """Whether layers are weighed by sparsemax instead of softmax.

    `sparsemax_patch` in hparams.yaml marks models that were to have sparsemax and were trained
    with softmax.
    """
    default = "sparsemax" if kind is Kind.unified else "softmax"
    value = _one_of(names, values, "layer_transformation", TRANSFORMATIONS, default)
    return value == "sparsemax" and described.get("layer_transformation") != "sparsemax_patch"


def _one_of(
    names: str, values: Mapping[str, Any], key: str, known: Sequence[str], default: str
) -> str:
    value = values.get(key, default)
    require(value in known, f"{names}: {key}={value!r} must be one of {', '.join(known)}")
    return str(value)


def _text(names: str, values: Mapping[str, Any], key: str, default: str) -> str:
    value = values.get(key, default)
    if not isinstance(value, str) or not value:
        raise InputError(f"{names}: {key}={value!r} must be a name")
    return value


def _sizes(names: str, value: object) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise InputError(f"{names}: hidden_sizes={value!r} must be a list of sizes")
    good = all(type(size) is int and size >= 1 for size in value)
    require(good, f"{names}: hidden_sizes={value!r} must be numbers from 1")
    return tuple(value)


def _activation(names: str, value: object) -> str:
    name = str(value).title()
    require(
        name in ACTIVATIONS,
        f"{names}: the activation {value!r} must be one of {', '.join(ACTIVATIONS)}",
    )
    return name


def _final_activation(names: str, value: object) -> str | None:
    return None if value is None else _activation(names, value)


def _segments(names: str, value: object) -> frozenset[str]:
    segments = frozenset(map(str, value)) if isinstance(value, list | tuple) else frozenset()
    require(
        "mt" in segments and segments <= set(SEGMENTS),
        f"{names}: input_segments={value!r} must be mt and any of {', '.join(SEGMENTS[1:])}",
    )
    return segments
