"""Properties of what is built from the settings of the objective."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from transformer.config import AlignmentConfig, Precision, TrainSettings
from transformer.errors import InputError
from transformer.model import Transformer
from transformer.text.batching import Batch
from transformer.text.dataset import PreparedData, prepare_data
from transformer.training.objective import Objective, batch_loss
from transformer.training.objectives import build_objective

CPU = torch.device("cpu")
Pairs = list[tuple[list[int], list[int]]]
LINKS = torch.tensor([[1, 0, 2], [1, 3, 1], [4, 1, 0]])


@pytest.fixture
def data(settings: TrainSettings) -> PreparedData:
    return prepare_data(settings.data, settings.tokenizer, settings.cleaning)


def build(settings: TrainSettings, data: PreparedData, alignment: float, rdrop: float) -> Objective:
    config = AlignmentConfig(weight=alignment, layer=1)
    training = replace(settings.training, alignment=config, rdrop=rdrop)
    return build_objective(replace(settings, training=training), data, CPU, Precision.fp32)


def test_the_label_loss_stands_alone_where_nothing_else_is_asked_for(
    settings: TrainSettings,
    data: PreparedData,
    build_model: Callable[..., Transformer],
    make_batch: Callable[..., Batch],
    id_pairs: Pairs,
) -> None:
    model, batch = build_model(), make_batch(id_pairs)
    found = build(settings, data, alignment=0.0, rdrop=0.0)(model, batch)
    expected = batch_loss(model, batch, settings.training.label_smoothing)
    assert torch.equal(found.smoothed, expected.smoothed)
    assert torch.equal(found.nll, expected.nll)


def test_guided_alignment_without_alignments_is_refused(
    settings: TrainSettings, data: PreparedData
) -> None:
    with pytest.raises(InputError, match=r"data\.alignment"):
        build(settings, data, alignment=0.5, rdrop=0.0)


def test_guided_alignment_stands_beside_rdrop(
    settings: TrainSettings,
    data: PreparedData,
    build_model: Callable[..., Transformer],
    make_batch: Callable[..., Batch],
    id_pairs: Pairs,
) -> None:
    data.train.aligned = True
    model, batch = build_model(), replace(make_batch(id_pairs), links=LINKS)
    parts = [(0.0, 0.0), (0.5, 0.0), (0.5, 2.0)]
    plain, guided, both = (
        build(settings, data, *weights)(model, batch).smoothed.detach() for weights in parts
    )
    assert float(guided) > float(plain) + 0.1
    # Without dropout R-Drop adds nothing, and two passes agree with the links as one does.
    torch.testing.assert_close(both, guided, rtol=0, atol=1e-10)
