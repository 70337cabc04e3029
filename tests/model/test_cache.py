"""The tree of positions that a search keeps, against models that keep nothing."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.model.conftest import VOCAB_SIZE
from transformer.model import Transformer
from transformer.model import cache as cache_module
from transformer.model.attention import KeyValue
from transformer.model.cache import Cache, prune, seen

Build = Callable[..., Transformer]
SMALL = settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])


def drawn(*shape: int) -> KeyValue:
    return KeyValue(*torch.rand(2, *shape, dtype=torch.float64))


def assert_holds(cache: Cache, expected: KeyValue) -> None:
    n = cache.used
    assert n == expected.key.shape[2] <= cache.room
    assert torch.equal(cache.stored.key[:, :, :n], expected.key)
    assert torch.equal(cache.stored.value[:, :, :n], expected.value)


@given(st.data())
def test_a_cache_holds_what_was_appended_of_what_is_left(data: st.DataObject) -> None:
    expected = drawn(3, 2, data.draw(st.integers(1, 5)), 4)
    cache = Cache(KeyValue(*(x.clone() for x in expected)))  # it may write over what it is given
    for _ in range(8):
        B, _, P, _ = expected.key.shape
        match data.draw(st.sampled_from(["append", "of", "pick"])):
            case "append":
                own = drawn(B, 2, data.draw(st.integers(1, 70)), 4)
                found = cache.append(own)
                pairs = zip(expected, own, strict=True)
                expected = KeyValue(*(torch.cat(pair, dim=2) for pair in pairs))
                assert all(x.isfinite().all() for x in found)
            case "of":
                places = data.draw(st.lists(st.integers(0, B - 1), min_size=1, unique=True))
                cache = cache.of(torch.tensor(places))
                expected = expected.select(torch.tensor(places))
            case "pick":
                n = data.draw(st.integers(1, P))
                positions = torch.stack([torch.randperm(P)[:n] for _ in range(B)])
                cache.pick(positions)
                index = positions[:, None, :, None]
                expected = KeyValue(*(x.take_along_dim(index, 2) for x in expected))
        assert_holds(cache, expected)


def test_appending_seldom_copies() -> None:
    cache = Cache(drawn(1, 1, 1, 1))
    rooms = set()
    for _ in range(1000):
        cache.append(drawn(1, 1, 1, 1))
        rooms.add(cache.room)
    assert len(rooms) <= 6
    assert cache.room <= 2048


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 12), st.integers(0, 2**32))
def test_only_positions_that_no_output_went_through_are_forgotten(
    B: int, K: int, P: int, seed: int
) -> None:
    ancestors = torch.rand(B, K, P, generator=torch.Generator().manual_seed(seed)) < 0.3
    key_value = drawn(B, 2, P, 3)
    cache = Cache(KeyValue(*(x.clone() for x in key_value)))
    pruned = prune([cache], ancestors)
    most = int(ancestors.any(1).sum(1).max())
    assert (pruned is None) == (2 * most > P)
    left = ancestors if pruned is None else pruned
    assert cache.used == left.shape[2]
    for sentence in range(B):
        for output in range(K):
            found = cache.stored.key[sentence][:, : cache.used][:, left[sentence, output]]
            expected = key_value.key[sentence][:, ancestors[sentence, output]]
            assert torch.equal(found, expected)


def test_outputs_see_their_own_way_alone() -> None:
    ancestors = torch.tensor([[[True, False], [True, True]]])
    own = [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]
    before = [[1, 0], [1, 0], [1, 1], [1, 1]]
    unused = torch.zeros(4, 3)
    expected = torch.cat((torch.tensor(before), torch.tensor(own), unused), dim=1).bool()
    assert torch.equal(seen(ancestors, 2, room=9), expected[None, None])


def at_once(model: Transformer, source: Tensor, outputs: list[list[int]]) -> Tensor:
    """Logits [N, V] behind each output of the N rows of `source`, without any cache."""
    return model.step(torch.tensor(outputs), model.start(source))[:, -1]


@pytest.mark.parametrize("room", [1, 64])
@SMALL
@given(data=st.data())
def test_logits_are_those_without_a_cache_whatever_is_selected(
    build_model: Build, source: Tensor, room: int, data: st.DataObject
) -> None:
    model, generator = build_model(), torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    sentences = list(range(len(source)))
    outputs: list[list[list[int]]] = [[[]] for _ in sentences]  # K of each sentence
    with torch.inference_mode(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_module, "LEAST_ROOM", room)
        state = model.start(source)
        for _ in range(data.draw(st.integers(1, 6))):
            T = data.draw(st.sampled_from([1, 1, 1, 2]))
            shape = sum(map(len, outputs)), T
            news = torch.randint(4, VOCAB_SIZE, shape, generator=generator)
            logits = model.step(news, state)
            rows = iter(news.tolist())
            outputs = [[output + next(rows) for output in line] for line in outputs]
            K, flat = len(outputs[0]), [output for line in outputs for output in line]
            expected = at_once(model, source[sentences].repeat_interleave(K, 0), flat)
            torch.testing.assert_close(logits[:, -1], expected, rtol=0, atol=1e-10)
            width, everyone = data.draw(st.integers(1, 4)), list(range(len(outputs)))
            some = st.sets(st.sampled_from(everyone), min_size=1).map(sorted)
            kept = data.draw(st.just(everyone) | some)
            places = st.lists(st.integers(0, K - 1), min_size=width, max_size=width)
            parents = [data.draw(places) for _ in kept]
            table = [[i * K + p for p in line] for i, line in zip(kept, parents, strict=True)]
            state = state.select(torch.tensor(table))
            outputs = [[outputs[i][p] for p in line] for i, line in zip(kept, parents, strict=True)]
            sentences = [sentences[i] for i in kept]
