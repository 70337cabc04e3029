"""The project's weights in other systems: they compute what the project does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from baselines import decoding_ctranslate2, decoding_marian, decoding_torch
from baselines.decoding_work import exported
from baselines.plain import PlainTransformer
from baselines.weights import draw, read, write
from torch import Tensor

from transformer.config import ModelConfig, Norm, Tying, to_mapping
from transformer.model import Transformer
from transformer.text.tokenizer import BOS_ID, EOS_ID, PAD_ID

V, LONGEST = 40, 30
SOURCE = torch.tensor([[5, 6, 7, 30, EOS_ID], [8, 9, EOS_ID, PAD_ID, PAD_ID]])
TARGET = torch.tensor([[BOS_ID, 9, 10, 11], [BOS_ID, 39, 1, 5]])

pytestmark = [
    # torch.nn.Transformer makes them of padded sources by itself, or says why it does not.
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning"),
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True:UserWarning"),
]


def build(norm: Norm, **changes: Any) -> tuple[Transformer, ModelConfig]:
    """A model of which every weight counts, in float64."""
    config = ModelConfig(
        encoder_layers=2,
        decoder_layers=3,
        d_model=16,
        d_feed_forward=24,
        n_heads=2,
        norm=norm,
        **changes,
    )
    torch.manual_seed(1)
    model = Transformer(config, source_vocab_size=V, target_vocab_size=V, pad_id=PAD_ID)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.double().eval(), config


@torch.no_grad()
def logits_of(model: Transformer) -> Tensor:
    return model.step(TARGET, model.start(SOURCE))


def test_the_plain_loop_has_the_projects_logits(norm: Norm) -> None:
    model, config = build(norm)
    plain = PlainTransformer(to_mapping(config), V, LONGEST).double().eval()
    decoding_torch.load(plain, to_mapping(config), exported(model, LONGEST))
    with torch.no_grad():
        found = plain(SOURCE, TARGET)
    torch.testing.assert_close(found, logits_of(model), rtol=0, atol=1e-10)


@pytest.mark.parametrize("scaled", [True, False])
def test_marian_or_pegasus_has_the_projects_logits(norm: Norm, scaled: bool) -> None:
    transformers = pytest.importorskip("transformers")
    model, config = build(norm, embedding_scale=scaled)
    marian = decoding_marian.make_model(transformers, to_mapping(config), V, LONGEST)
    decoding_marian.load(marian.double(), to_mapping(config), exported(model, LONGEST))
    mask = (SOURCE != PAD_ID).long()
    with torch.no_grad():
        found = marian.eval()(
            input_ids=SOURCE, attention_mask=mask, decoder_input_ids=TARGET
        ).logits
    torch.testing.assert_close(found, logits_of(model), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("tying", "scaled"), [(Tying.three_way, True), (Tying.none, False)])
def test_ctranslate2_has_the_projects_log_probabilities(
    tmp_path: Path, norm: Norm, tying: Tying, scaled: bool
) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    model, config = build(norm, tying=tying, embedding_scale=scaled)
    weights = {name: x.astype(np.float32) for name, x in exported(model, LONGEST).items()}
    decoding_ctranslate2.make_model(ctranslate2, to_mapping(config), weights).save(str(tmp_path))
    translator = ctranslate2.Translator(str(tmp_path), compute_type="float32")
    pieces = decoding_ctranslate2.vocabulary(V)
    sources, targets = (
        [[pieces[id_] for id_ in row if id_ not in {PAD_ID, BOS_ID, EOS_ID}] for row in ids]
        for ids in (SOURCE.tolist(), TARGET.tolist())
    )
    found = translator.score_batch(sources, targets)
    labels = torch.cat([TARGET[:, 1:], torch.full((2, 1), EOS_ID)], dim=1)
    expected = logits_of(model).log_softmax(-1).gather(2, labels[:, :, None])[:, :, 0]
    for scores, own in zip(found, expected, strict=True):
        assert scores.log_probs == pytest.approx(own.tolist(), abs=1e-4)


@pytest.mark.parametrize("tying", Tying)
def test_drawn_weights_are_named_and_shaped_as_the_projects(norm: Norm, tying: Tying) -> None:
    model, config = build(norm, tying=tying)
    drawn = draw(to_mapping(config), V, LONGEST)
    assert {name: x.shape for name, x in drawn.items()} == {
        name: x.shape for name, x in exported(model, LONGEST).items()
    }


def test_weights_are_read_as_they_were_written(tmp_path: Path) -> None:
    model, _ = build(Norm.pre)
    weights = exported(model, LONGEST)
    write(weights, tmp_path / "weights.npz")
    found = read(str(tmp_path / "weights.npz"))
    assert found.keys() == weights.keys()
    assert all(np.array_equal(found[name], weights[name]) for name in weights)


@pytest.fixture(params=Norm)
def norm(request: pytest.FixtureRequest) -> Norm:
    found: Norm = request.param
    return found
