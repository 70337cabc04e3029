"""Properties of guided alignment."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from transformer.config import AlignmentConfig, TrainSettings
from transformer.errors import InputError
from transformer.model import Transformer
from transformer.model.attention import CrossAttention, KeyValue, Padded, attention_weights
from transformer.text.batching import Batch
from transformer.text.dataset import prepare_data
from transformer.training.alignment import (
    GuidedAlignment,
    alignment_loss,
    check_alignment_settings,
    recorded,
)
from transformer.training.objective import TokenLoss, batch_loss

IdPairs = list[tuple[list[int], list[int]]]
LABELS = functools.partial(batch_loss, smoothing=0.1)
# Of the rows of `id_pairs`: one target piece with several links, a row with none, a row's last.
LINKS = [(0, 0, 0), (1, 0, 0), (1, 0, 1), (1, 5, 2), (3, 2, 1), (5, 0, 0), (5, 11, 0), (6, 3, 1)]


@pytest.fixture
def batch(id_pairs: IdPairs, make_batch: Callable[..., Batch]) -> Batch:
    return replace(make_batch(id_pairs), links=torch.tensor(LINKS))


def guided(weight: float = 0.5, layer: int = -2) -> GuidedAlignment:
    return GuidedAlignment(LABELS, AlignmentConfig(weight=weight, layer=layer))


def gradients(loss: Tensor, model: Transformer) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    return {
        name: torch.zeros_like(weight) if weight.grad is None else weight.grad.clone()
        for name, weight in model.named_parameters()
    }


def cross_attention(model: Transformer, layer: int) -> CrossAttention:
    attention = model.decoder[layer].cross_attention
    assert isinstance(attention, CrossAttention)
    return attention


def layer_weights(model: Transformer, batch: Batch, layer: int) -> Tensor:
    """The heads' mean attention weights of a decoder layer, [B, T, S], as no hook sees them."""
    found: list[Tensor] = []
    attention = cross_attention(model, layer)
    original = attention.forward

    def forward(x: Tensor, memory: KeyValue, mask: Padded) -> Tensor:
        found.append(
            attention_weights(
                attention.heads(attention.query(x), 1)[0], memory.key, mask.allowed
            ).mean(1)
        )
        return original(x, memory, mask)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "forward", forward)
        model.hidden(batch.target, model.start(batch.source))
    return found[0]


@pytest.mark.parametrize("layer", [1, 2, 3, -1, -2, -3])
def test_the_loss_is_the_cross_entropy_with_the_links_of_each_target_piece(
    build_model: Callable[..., Transformer], batch: Batch, layer: int
) -> None:
    model = build_model(decoder_layers=3)
    weights = layer_weights(model, batch, layer - 1 if layer > 0 else layer)
    expected = torch.zeros((), dtype=torch.float64)
    for row, position in {(row, position) for row, position, _ in LINKS}:
        sources = [s for r, t, s in LINKS if (r, t) == (row, position)]
        for source in sources:
            expected -= (weights[row, position, source] + 1e-8).log() / len(sources)
    plain, found = LABELS(model, batch), guided(0.5, layer)(model, batch)
    torch.testing.assert_close(found.smoothed, plain.smoothed + 0.5 * expected, rtol=0, atol=1e-10)
    assert torch.equal(found.nll, plain.nll)


def test_perfect_attention_costs_nothing_and_wrong_attention_a_finite_loss() -> None:
    links = torch.tensor([[0, 0, 1], [0, 1, 0], [0, 1, 2]])
    right = torch.tensor([[[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [1.0, 0.0, 0.0]]])
    entropy = torch.tensor(2.0).log()
    torch.testing.assert_close(alignment_loss(right, links, 1), entropy)
    wrong = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]]).requires_grad_()
    loss = alignment_loss(wrong, links, 1)
    (gradient,) = torch.autograd.grad(loss * 2**16, wrong)
    assert loss.isfinite()
    assert gradient.isfinite().all()
    assert (gradient[0, 2] == 0).all()  # a position without links is free


def test_without_links_nothing_is_added(
    build_model: Callable[..., Transformer], batch: Batch
) -> None:
    model = build_model(decoder_layers=2)
    none = replace(batch, links=torch.zeros(0, 3, dtype=torch.int64))
    found = gradients(guided()(model, none).smoothed, model)
    expected = gradients(LABELS(model, none).smoothed, model)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_only_the_layer_and_what_is_below_it_learn_the_links(
    build_model: Callable[..., Transformer], batch: Batch
) -> None:
    model = build_model(decoder_layers=3)
    plain = gradients(LABELS(model, batch).smoothed, model)
    found = gradients(guided(layer=2)(model, batch).smoothed, model)
    changed = {name for name in plain if not torch.equal(plain[name], found[name])}
    for name in ("query.weight", "key_value.weight"):
        assert f"decoder.1.cross_attention.{name}" in changed
    assert "decoder.0.feed_forward.outer.weight" in changed
    assert "encoder.0.attention.query_key_value.weight" in changed
    assert not [name for name in changed if name.startswith(("decoder.2", "output"))]
    assert "decoder.1.cross_attention.output.weight" not in changed


def repeated(n_passes: int) -> Callable[[Transformer, Batch], TokenLoss]:
    """The label loss, averaged over passes in one call of the model."""

    def objective(model: Transformer, batch: Batch) -> TokenLoss:
        state = model.start(batch.source.repeat(n_passes, 1))
        hidden = model.hidden(batch.target.repeat(n_passes, 1), state)
        return TokenLoss(hidden.sum() / n_passes, hidden.detach().sum())

    return objective


def in_turn(n_passes: int) -> Callable[[Transformer, Batch], TokenLoss]:
    """The same, in several calls of the model."""

    def objective(model: Transformer, batch: Batch) -> TokenLoss:
        losses = [repeated(1)(model, batch).smoothed for _ in range(n_passes)]
        return TokenLoss(sum(losses, torch.zeros(())) / n_passes, losses[0].detach())

    return objective


@pytest.mark.parametrize("passes", [repeated, in_turn])
def test_the_loss_over_several_passes_is_their_mean(
    build_model: Callable[..., Transformer],
    batch: Batch,
    passes: Callable[[int], Callable[[Transformer, Batch], TokenLoss]],
) -> None:
    config = AlignmentConfig(weight=0.5)
    model = build_model(decoder_layers=2)
    expected = gradients(GuidedAlignment(repeated(1), config)(model, batch).smoothed, model)
    found = gradients(GuidedAlignment(passes(3), config)(model, batch).smoothed, model)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_each_pass_is_taught_with_its_own_dropout() -> None:
    links = torch.tensor([[0, 0, 1], [1, 0, 0]])
    weights = torch.rand(6, 1, 2, generator=torch.Generator().manual_seed(0)).double()
    each = [alignment_loss(weights[i : i + 2], links, 2) for i in (0, 2, 4)]
    torch.testing.assert_close(alignment_loss(weights, links, 2), sum(each) / 3)


def test_losses_of_the_halves_of_a_batch_add_up(
    build_model: Callable[..., Transformer], batch: Batch
) -> None:
    model = build_model(decoder_layers=2)
    whole = gradients(guided()(model, batch).smoothed, model)
    halves = [gradients(guided()(model, half).smoothed, model) for half in batch.split()]
    added = {name: halves[0][name] + halves[1][name] for name in whole}
    torch.testing.assert_close(added, whole, rtol=0, atol=1e-10)


@pytest.mark.parametrize("attention_dropout", [0.0, 0.3])
def test_layers_computed_twice_give_the_same_gradients(
    build_model: Callable[..., Transformer], batch: Batch, attention_dropout: float
) -> None:
    found = []
    for twice in (False, True):
        model = build_model(decoder_layers=2, dropout=0.2, attention_dropout=attention_dropout)
        if twice:
            model.checkpoint_layers()
        torch.manual_seed(3)
        found.append(gradients(guided()(model.train(), batch).smoothed, model))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near_full_precision(
    build_model: Callable[..., Transformer], batch: Batch, dtype: torch.dtype
) -> None:
    model = build_model(torch.float32, decoder_layers=2)
    objective = guided(weight=1.0)
    expected = objective(model, batch).smoothed
    reference = gradients(expected, model)
    with torch.autocast("cpu", dtype=dtype):
        found = objective(model, batch).smoothed
    assert found.dtype is torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=0)
    for name, gradient in gradients(found, model).items():
        assert (
            float((gradient - reference[name]).norm()) <= 0.1 * float(reference[name].norm()) + 1e-2
        )


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_gpu_gives_the_loss_of_the_cpu(
    build_model: Callable[..., Transformer], batch: Batch, dtype: torch.dtype
) -> None:
    model = build_model(torch.float32, decoder_layers=2)
    expected = guided(weight=1.0)(model, batch).smoothed.item()
    model = model.to("cuda")
    with torch.autocast("cuda", dtype=dtype):
        loss = guided(weight=1.0)(model, batch.to("cuda")).smoothed
    assert loss.item() == pytest.approx(expected, rel=2e-2)
    assert all(gradient.isfinite().all() for gradient in gradients(loss, model).values())


def test_nothing_is_left_on_the_model(
    build_model: Callable[..., Transformer], batch: Batch
) -> None:
    model = build_model(decoder_layers=2)
    attention = cross_attention(model, 0)

    def failing(model: Transformer, batch: Batch) -> TokenLoss:
        LABELS(model, batch)
        raise RuntimeError("out of memory")

    guided()(model, batch)
    with pytest.raises(RuntimeError, match="out of memory"):
        GuidedAlignment(failing, AlignmentConfig(weight=1.0))(model, batch)
    for module in (attention, attention.query):
        assert not module._forward_pre_hooks
        assert not module._forward_hooks


def test_what_is_recorded_is_in_reach_of_no_parameter(
    build_model: Callable[..., Transformer], batch: Batch
) -> None:
    # As where weights are spread over processes, and gone once the layer has run.
    model = build_model(decoder_layers=2)
    expected = layer_weights(model, batch, 0)
    attention = cross_attention(model, 0)
    with recorded(attention) as calls:
        LABELS(model, batch)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    torch.testing.assert_close(calls.weights(), expected, rtol=0, atol=1e-10)


@pytest.fixture
def aligned(
    settings: TrainSettings, change: Callable[..., TrainSettings], corpus: Path
) -> TrainSettings:
    """Settings whose training pairs are aligned word by word."""
    lines = (corpus / "train.xx").read_text(encoding="utf-8").splitlines()
    links = [" ".join(f"{i}-{i}" for i in range(len(line.split()))) for line in lines]
    (corpus / "train.align").write_text("".join(f"{line}\n" for line in links))
    return change(
        settings,
        data__alignment="align",
        model__decoder_layers=2,
        training__alignment=AlignmentConfig(weight=1.0),
    )


def test_what_guided_alignment_needs_is_asked_for(
    settings: TrainSettings, aligned: TrainSettings, change: Callable[..., TrainSettings]
) -> None:
    data = prepare_data(aligned.data, aligned.tokenizer, aligned.cleaning)
    check_alignment_settings(aligned, data)
    with pytest.raises(
        InputError, match=r"^training\.alignment\.weight=1\.0 needs data\.alignment"
    ):
        check_alignment_settings(
            aligned, prepare_data(settings.data, settings.tokenizer, settings.cleaning)
        )
    for layer in (3, -3):
        wrong = change(aligned, training__alignment=AlignmentConfig(weight=1.0, layer=layer))
        with pytest.raises(InputError, match=rf"layer={layer} is none of model\.decoder_layers=2"):
            check_alignment_settings(wrong, data)


def agreement(model: Transformer, batch: Batch) -> float:
    """The share of aligned target pieces whose largest weight is that of a linked source piece."""
    assert batch.links is not None
    with torch.no_grad():
        chosen = layer_weights(model.eval(), batch, -2).argmax(-1)
    links = {tuple(link) for link in batch.links.tolist()}
    places = {(row, position) for row, position, _ in links}
    hits = sum((r, t, int(chosen[r, t])) in links for r, t in places)
    return hits / len(places)


def test_attention_learns_to_point_at_the_aligned_words(
    build_model: Callable[..., Transformer], make_batch: Callable[..., Batch]
) -> None:
    generator = torch.Generator().manual_seed(0)
    shares = []
    for weight in (0.0, 1.0):
        model = build_model(torch.float32, decoder_layers=2, d_model=32, d_feed_forward=64)
        objective = guided(weight)
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        generator.manual_seed(0)
        for _ in range(100):
            loss = objective(model.train(), letters(make_batch, generator)).smoothed
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        shares.append(agreement(model, letters(make_batch, generator)))
    assert shares[1] > 0.9 > shares[0] + 0.3


def letters(make_batch: Callable[..., Batch], generator: torch.Generator) -> Batch:
    """Pairs whose target spells the source in other letters, aligned letter by letter."""
    lengths = torch.randint(3, 8, (16,), generator=generator).tolist()
    sources = [torch.randint(4, 17, (n,), generator=generator).tolist() for n in lengths]
    pairs = [(source, [letter + 13 for letter in source]) for source in sources]
    links = [(row, place, place) for row, n in enumerate(lengths) for place in range(n)]
    return replace(make_batch(pairs), links=torch.tensor(links))
