"""Properties of the layers' options."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from transformer.config import Norm
from transformer.model import Transformer

NO_DROPOUT = {
    "dropout": 0.0,
    "embedding_dropout": 0.0,
    "attention_dropout": 0.0,
    "feed_forward_dropout": 0.0,
}
SIDES = ("encoder", "decoder")
Build = Callable[..., Transformer]


def logits(model: Transformer, source: Tensor, target: Tensor) -> Tensor:
    with torch.no_grad():
        return model.step(target, model.start(source))


@pytest.mark.parametrize("field", NO_DROPOUT)
def test_each_dropout_acts_in_training_only(
    build_model: Build, source: Tensor, target: Tensor, field: str
) -> None:
    plain = logits(build_model(**NO_DROPOUT), source, target)
    model = build_model(**NO_DROPOUT | {field: 0.5})
    assert torch.equal(logits(model, source, target), plain)
    model.train()
    first, second = logits(model, source, target), logits(model, source, target)
    assert not torch.allclose(first, plain)
    assert not torch.allclose(first, second)


def test_without_dropout_training_mode_changes_nothing(
    build_model: Build, source: Tensor, target: Tensor
) -> None:
    model = build_model(**NO_DROPOUT)
    plain = logits(model, source, target)
    assert torch.equal(logits(model.train(), source, target), plain)


def test_pre_norm_ends_each_stack_with_a_norm_and_post_norm_does_not(build_model: Build) -> None:
    names = {norm: {name for name, _ in build_model(norm=norm).named_parameters()} for norm in Norm}
    extra = {f"{side}_norm.{part}" for side in SIDES for part in ("weight", "bias")}
    assert names[Norm.pre] - names[Norm.post] == extra
    assert names[Norm.post] <= names[Norm.pre]
