"""Compiled layers compute what plain ones compute, in few compilations."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import pytest
import torch
from torch import Tensor
from torch._dynamo import reset
from torch._dynamo.utils import counters

from transformer.model import Transformer

pytestmark = [
    # Dynamo looks at the gradients of what goes into a compiled function.
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor"),
    # Inductor, of torch's own code.
    pytest.mark.filterwarnings("ignore:.*torch.jit.script"),
]
Build = Callable[..., Transformer]


@pytest.fixture(autouse=True, params=["eager"])
def _nothing_compiled(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Each test begins and ends without compiled code; graphs run as they are traced."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=request.param))
    reset()
    counters.clear()
    yield
    reset()


def tokens(B: int, length: int) -> Tensor:
    return torch.randint(4, 23, (B, length), generator=torch.Generator().manual_seed(B * length))


def gradients(model: Transformer, source: Tensor, target: Tensor) -> list[Tensor]:
    torch.manual_seed(1)
    hidden = model.hidden(target, model.start(source))
    weights = [p for name, p in model.named_parameters() if name != "output.weight"]
    return [hidden, *torch.autograd.grad(hidden.square().sum(), weights)]


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("aot_eager", "inductor")]


@pytest.mark.parametrize("_nothing_compiled", ["eager", *SLOW], indirect=True)
@pytest.mark.parametrize("twice", [False, True])
def test_compiled_layers_give_the_same_gradients(
    build_model: Build, source: Tensor, target: Tensor, twice: bool
) -> None:
    plain, compiled = (build_model(dropout=0.0, embedding_dropout=0.0).train() for _ in range(2))
    compiled.compile_layers()
    if twice:
        compiled.checkpoint_layers()
    torch.testing.assert_close(
        gradients(compiled, source, target), gradients(plain, source, target), rtol=0, atol=1e-9
    )
    assert counters["stats"]["unique_graphs"] > 0


def test_the_seed_fixes_compiled_dropout(
    build_model: Build, source: Tensor, target: Tensor
) -> None:
    found = []
    for twice in (False, False, True):
        model = build_model(dropout=0.3).train()
        model.compile_layers()
        if twice:
            model.checkpoint_layers()
        found.append(gradients(model, source, target))
    for other in found[1:]:
        torch.testing.assert_close(found[0], other, rtol=0, atol=1e-9)
    torch.manual_seed(2)
    assert not torch.equal(model.hidden(target, model.start(source)), found[0][0])


def test_many_shapes_take_few_compilations(build_model: Build) -> None:
    model = build_model(encoder_layers=3, decoder_layers=3).train()
    model.compile_layers()
    shapes = [(B, S, T) for B in (2, 3, 8, 9) for S in (4, 7, 16) for T in (5, 7, 12)]
    for B, S, T in shapes:
        gradients(model, tokens(B, S), tokens(B, T))
    assert len(shapes) == 36
    assert counters["stats"]["unique_graphs"] <= 4


@pytest.mark.parametrize("frozen", [False, True])
def test_sizes_of_one_are_compiled_too(build_model: Build, frozen: bool) -> None:
    model = build_model().train()
    model.source_embedding.requires_grad_(not frozen)
    model.compile_layers()
    for B, S, T in product((1, 2, 5), repeat=3):
        model.hidden(tokens(B, T), model.start(tokens(B, S))).sum().backward()  # type: ignore[no-untyped-call]
    assert not counters["unimplemented"]  # where dynamo counts what it has given up


def test_search_is_not_compiled(build_model: Build, source: Tensor, target: Tensor) -> None:
    model = build_model()
    model.compile_layers()
    with torch.inference_mode():
        model.step(target, model.start(source))
    assert counters["stats"]["unique_graphs"] == 0
