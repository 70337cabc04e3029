"""Properties of the model."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

from transformer.config import ModelConfig, Norm, Tying, from_mapping
from transformer.model import Transformer
from transformer.model.attention import causal_mask

PAD = 0
Build = Callable[..., Transformer]
NORMS = pytest.mark.parametrize("norm", Norm)
CONFIGS = Path(__file__).parents[2] / "configs" / "model"


def logits(model: Transformer, source: Tensor, target: Tensor) -> Tensor:
    with torch.no_grad():
        return model.step(target, model.start(source))


def assert_equal(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


# Decoding with a cache


@NORMS
@pytest.mark.parametrize("parts", [[1] * 9, [4, 5], [1, 3, 1, 2, 2], [9]])
def test_decoding_in_parts_equals_decoding_at_once(
    build_model: Build, source: Tensor, target: Tensor, norm: Norm, parts: list[int]
) -> None:
    model = build_model(norm=norm)
    state = model.start(source)
    with torch.no_grad():
        found = [model.step(tokens, state) for tokens in torch.split(target, parts, dim=1)]
    assert state.length == 9
    assert_equal(torch.cat(found, dim=1), logits(model, source, target))


@NORMS
@pytest.mark.parametrize("seed", range(5))
def test_decoding_equals_decoding_at_once_after_any_selection_of_rows(
    build_model: Build, source: Tensor, norm: Norm, seed: int
) -> None:
    model, draw = build_model(norm=norm), random.Random(seed)
    state = model.start(source)
    sentences, prefixes = list(range(4)), [list[int]() for _ in range(4)]
    for _ in range(6):
        n_tokens = draw.choice([1, 1, 2])
        for prefix in prefixes:
            prefix += [draw.randrange(4, 23) for _ in range(n_tokens)]
        tokens = torch.tensor([prefix[-n_tokens:] for prefix in prefixes])
        with torch.no_grad():
            found = model.step(tokens, state)
        whole = source[sentences].repeat_interleave(len(prefixes) // len(sentences), 0)
        expected = logits(model, whole, torch.tensor(prefixes))
        assert_equal(found, expected[:, -n_tokens:])
        K = len(prefixes) // len(sentences)
        kept, width = (
            draw.sample(range(len(sentences)), draw.randint(1, len(sentences))),
            draw.randint(1, 4),
        )
        rows = [[i * K + draw.randrange(K) for _ in range(width)] for i in kept]
        state = state.select(torch.tensor(rows))
        sentences = [sentences[i] for i in kept]
        prefixes = [list(prefixes[row]) for line in rows for row in line]


def test_swapping_hypotheses_of_one_sentence_swaps_their_logits(
    build_model: Build, source: Tensor, target: Tensor
) -> None:
    model = build_model()
    state = model.start(source[:1]).select(torch.tensor([[0, 0]]))
    with torch.no_grad():
        model.step(target[:2, :4], state)
        swapped = state.select(torch.tensor([[1, 0]]))
        found = model.step(target[:2, 4:], swapped)
    expected = logits(model, source[[0, 0]], torch.cat([target[[1, 0], :4], target[:2, 4:]], 1))
    assert_equal(found, expected[:, 4:])


# Who sees what


@NORMS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_later_target_token_changes_no_earlier_logit_at_all(
    build_model: Build, source: Tensor, target: Tensor, norm: Norm, dtype: torch.dtype
) -> None:
    model = build_model(dtype, norm=norm)
    before = logits(model, source, target)
    for position in range(target.shape[1]):
        changed = target.clone()
        changed[:, position] = 4 + (changed[:, position] - 3) % 19
        after = logits(model, source, changed)
        assert torch.equal(after[:, :position], before[:, :position])
        assert not torch.equal(after[:, position:], before[:, position:])


@NORMS
def test_source_padding_changes_nothing(
    build_model: Build, source: Tensor, target: Tensor, norm: Norm
) -> None:
    model = build_model(norm=norm)
    together = logits(model, torch.nn.functional.pad(source, (0, 6), value=PAD), target)
    assert_equal(together, logits(model, source, target))
    for i, row in enumerate(source):
        alone = logits(model, row[row != PAD][None], target[i : i + 1])
        assert_equal(together[i : i + 1], alone)


def test_every_source_token_has_an_effect(
    build_model: Build, source: Tensor, target: Tensor
) -> None:
    model = build_model()
    before = logits(model, source, target)
    for row, position in (source != PAD).nonzero().tolist():
        changed = source.clone()
        changed[row, position] = 4 + (changed[row, position] - 3) % 19
        differs = (logits(model, changed, target) != before).any(-1).any(-1)
        assert differs.tolist() == [other == row for other in range(4)]


def test_target_padding_changes_nothing_before_it(
    build_model: Build, source: Tensor, target: Tensor
) -> None:
    model = build_model()
    padded = torch.nn.functional.pad(target, (0, 3), value=PAD)
    assert_equal(logits(model, source, padded)[:, :9], logits(model, source, target))


def test_the_causal_mask_is_true_up_to_the_own_position() -> None:
    mask = causal_mask(2, 3, torch.device("cpu"))
    assert mask.dtype is torch.bool
    assert mask.int().tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    assert causal_mask(7, 1, torch.device("cpu")).all()


# Shapes, sizes and settings


def test_shapes_are_those_of_the_docstrings(
    build_model: Build, source: Tensor, target: Tensor
) -> None:
    model = build_model()
    state = model.start(source)
    allowed = state.source.allowed
    assert allowed is not None
    assert allowed.shape == (4, 1, 1, 7)
    assert torch.equal(allowed[:, 0, 0], source != PAD)
    assert len(state) == 4
    assert len(state.memory) == 3
    assert state.memory[0].key.shape == (4, 4, 7, 4)
    hidden = model.hidden(target, state)
    assert hidden.shape == (4, 9, 16)
    assert model.logits(hidden).shape == (4, 9, 23)
    assert model.logits(hidden[0]).shape == (9, 23)
    assert len(state.past) == 3
    assert state.past[0].stored.key.shape == (4, 4, 9, 4)


@pytest.mark.parametrize(("name", "millions"), [("base", 65), ("big", 213)])
def test_base_and_big_have_as_many_parameters_as_in_the_paper(name: str, millions: int) -> None:
    values = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    with torch.device("meta"):
        model = Transformer(
            from_mapping(ModelConfig, values or {}),
            source_vocab_size=37_000,
            target_vocab_size=37_000,
            pad_id=PAD,
        )
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    assert n_parameters == pytest.approx(millions * 1e6, rel=0.04)


@pytest.mark.parametrize("tying", Tying)
def test_tying_shares_the_matrices_it_names(build_model: Build, tying: Tying) -> None:
    model = build_model(tying=tying)
    source, target = model.source_embedding.weight, model.target_embedding.weight
    assert (model.output.weight is target) == (tying is not Tying.none)
    assert (source is target) == (tying is Tying.three_way)
    n_matrices = {Tying.three_way: 1, Tying.two_way: 2, Tying.none: 3}[tying]
    assert sum(p.shape == (23, 16) for p in model.parameters()) == n_matrices


@pytest.mark.parametrize("tying", [Tying.two_way, Tying.none])
def test_each_side_has_its_own_vocabulary(tying: Tying) -> None:
    config = ModelConfig(
        encoder_layers=1, decoder_layers=1, d_model=8, d_feed_forward=8, n_heads=2, tying=tying
    )
    model = Transformer(config, source_vocab_size=31, target_vocab_size=11, pad_id=PAD).eval()
    assert logits(model, torch.tensor([[30, 3]]), torch.tensor([[2, 10]])).shape == (1, 2, 11)


def test_the_embedding_scale_multiplies_embeddings_by_the_root_of_the_width(
    build_model: Build, source: Tensor, target: Tensor
) -> None:
    scaled = build_model(tying=Tying.none, embedding_scale=True)
    plain = build_model(tying=Tying.none, embedding_scale=False)
    assert not torch.allclose(logits(plain, source, target), logits(scaled, source, target))
    for embedding in (plain.source_embedding, plain.target_embedding):
        embedding.weight.data *= 4  # of 16 channels
    assert_equal(logits(plain, source, target), logits(scaled, source, target))


@NORMS
@pytest.mark.parametrize("tying", Tying)
def test_logits_start_at_about_unit_size(norm: Norm, tying: Tying) -> None:
    torch.manual_seed(0)
    config = ModelConfig(
        encoder_layers=2, decoder_layers=2, d_model=64, d_feed_forward=128, norm=norm, tying=tying
    )
    model = Transformer(config, source_vocab_size=200, target_vocab_size=200, pad_id=PAD).eval()
    tokens = torch.randint(4, 200, (2, 20))
    assert 0.5 < float(logits(model, tokens, tokens).std()) < 2


@NORMS
@pytest.mark.parametrize("tying", Tying)
def test_gradients_reach_every_parameter(
    build_model: Build, source: Tensor, target: Tensor, norm: Norm, tying: Tying
) -> None:
    model = build_model(norm=norm, tying=tying).train()
    found = model.step(target, model.start(source))
    labels = target.roll(-1, dims=1)
    torch.nn.functional.cross_entropy(found.flatten(0, 1), labels.flatten()).backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        gradient = parameter.grad
        if name.endswith("key_value.bias"):
            # A bias of the keys shifts all scores of a query alike: the softmax does not see it.
            gradient = gradient.chunk(2)[1] if "cross" in name else gradient[-len(gradient) // 3 :]
        assert float(gradient.abs().max()) > 1e-8, name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near_full_precision(
    build_model: Build, source: Tensor, target: Tensor, dtype: torch.dtype
) -> None:
    model = build_model(torch.float32)
    plain = logits(model, source, target)
    with torch.autocast("cpu", dtype=dtype):
        found = logits(model, source, target)
    assert found.dtype is dtype
    assert float((found - plain).abs().mean() / plain.std()) < 0.1
