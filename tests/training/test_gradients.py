"""Gradients are summed over processes while the last backward pass runs, whatever happens in it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from tests.training.test_distributed import start, wait
from transformer.config import ModelConfig, OptimConfig, ParallelConfig, Precision, Tying
from transformer.errors import InputError
from transformer.model import Transformer
from transformer.training.distributed import Processes, joined
from transformer.training.gradients import BucketedGradients, groups
from transformer.training.memory import full_batch
from transformer.training.objective import TokenLoss, batch_loss, packed_loss
from transformer.training.optimizer import freeze
from transformer.training.stream import Position, UpdateBatches, Work
from transformer.training.update import Updater, padded_size

ROOT = Path(__file__).parents[2]
CODE = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.training import test_gradients
getattr(test_gradients, sys.argv[2])(sys.argv[3])
"""
SIZES = ((60, 6), (40, 5), (84, 7), (24, 3), (30, 10))  # tokens and length of some batches
VOCAB_SIZE = 30


@dataclass(frozen=True)
class Case:
    """An update of `n_batches`; where `most` is given, the second process has memory for so many
    rows in the backward pass of the encoder's first layer."""

    n_batches: int = 5
    tying: Tying = Tying.three_way
    frozen: tuple[str, ...] = ()
    checkpointing: bool = False
    dropout: float = 0.1
    bucket_mb: float = 0.004
    most: int | None = None
    loss: Callable[..., TokenLoss] = batch_loss


CASES = {
    "several buckets": Case(),
    "one bucket": Case(bucket_mb=100.0),
    "a bucket for each parameter": Case(bucket_mb=1e-6),
    "untied": Case(tying=Tying.none),
    "equally many batches": Case(n_batches=4),
    "a process without a batch": Case(n_batches=1),
    "frozen encoder": Case(frozen=("encoder.*",)),
    "frozen embedding": Case(frozen=("output.weight",), tying=Tying.two_way),
    "gradient checkpointing": Case(checkpointing=True),
    "out of memory in the last batch": Case(n_batches=2, most=7, dropout=0.0),
    "packed": Case(loss=packed_loss),
    "out of memory twice": Case(n_batches=4, most=2, dropout=0.0),
    "out of memory in an earlier batch": Case(most=7, n_batches=4, dropout=0.0),
}


def build(case: Case) -> Transformer:
    torch.manual_seed(5)
    config = ModelConfig(
        encoder_layers=2,
        decoder_layers=2,
        d_model=16,
        d_feed_forward=24,
        n_heads=2,
        dropout=case.dropout,
        embedding_dropout=case.dropout,
        tying=case.tying,
    )
    sizes = {"source_vocab_size": VOCAB_SIZE, "target_vocab_size": VOCAB_SIZE}
    model = Transformer(config, **sizes, pad_id=0).double()
    if case.checkpointing:
        model.checkpoint_layers()
    if case.frozen:
        freeze(model, case.frozen)
    return model


def updater_of(case: Case, processes: Processes) -> Updater:
    objective = partial(case.loss, smoothing=0.1)
    optim = OptimConfig(clip_norm=None)
    return Updater(
        build(case), objective, optim, lambda _: 1e-3, Precision.fp32, processes=processes
    )


def share(case: Case, rank: int = 0, count: int = 1) -> UpdateBatches:
    """The share of process `rank` of `count` in the update."""
    batches = [full_batch(*size, VOCAB_SIZE) for size in SIZES[: case.n_batches]]
    work = [Work(batch, np.arange(len(batch.source)), seed) for seed, batch in enumerate(batches)]
    n = sum(batch.n_target_tokens for batch in batches)
    return UpdateBatches(work[rank::count], n, n, sum(map(padded_size, batches)), Position(1), 0.0)


def middle(model: Transformer) -> nn.Module:
    """What a backward pass comes to when some gradients are made, and others are not."""
    return cast(nn.Module, model.encoder[1].feed_forward)


def limit_memory(model: Transformer, most: int) -> None:
    """Let memory run out in the middle of the backward pass of a batch of more than `most` rows."""

    def run_out(_: nn.Module, __: Any, gradients: tuple[Tensor]) -> None:
        if len(gradients[0]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    middle(model).register_full_backward_hook(run_out)


def updated(updater: Updater, batches: UpdateBatches) -> dict[str, Tensor]:
    """The gradients as the optimizer gets them, the NLL and the norm."""
    found: dict[str, Tensor] = {}

    def look(*_: Any) -> None:
        for name, parameter in updater.model.named_parameters():
            if parameter.grad is not None:
                found[name] = parameter.grad.clone()

    updater.optimizers[0].register_step_pre_hook(look)
    result = updater.update(batches)
    return {**found, "nll": result.nll, "norm": result.gradient_norm}


def all_cases(file: str) -> None:
    """To be run by each of two processes: what `updated` gives of each case, to a file."""
    found: dict[str, Any] = {}
    with joined(ParallelConfig(), "cpu") as told:
        for name, case in CASES.items():
            processes = Processes(told.rank, 2, 0, told.control, case.bucket_mb)
            updater = updater_of(case, processes)
            if case.most is not None and told.rank == 1:
                limit_memory(updater.model, case.most)
            found[name] = updated(updater, share(case, told.rank, 2))
            if case.most is not None:
                assert updater.largest is not None
    torch.save(found, f"{file}.{told.rank}")


def broken_case(file: str) -> None:
    """To be run by each of two processes, of which one fails in its backward pass."""
    with joined(ParallelConfig(), "cpu") as told:
        processes = Processes(told.rank, 2, 0, told.control, 0.004)
        updater = updater_of(Case(), processes)

        def fail(*_: Any) -> None:
            raise ValueError("broken")

        if told.rank == 1:
            middle(updater.model).register_full_backward_hook(fail)
        try:
            updater.update(share(Case(), told.rank, 2))
        except InputError as error:
            Path(file).write_text(str(error))
            raise


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Tensor]]]:
    """What each of two processes has found of all cases."""
    file = tmp_path_factory.mktemp("two") / "found"
    wait(start(CODE, ROOT, "all_cases", file))
    return [torch.load(f"{file}.{rank}") for rank in range(2)]


@pytest.mark.parametrize("name", CASES)
def test_two_processes_have_the_gradient_of_one_that_accumulates(
    of_two: list[dict[str, dict[str, Tensor]]], name: str
) -> None:
    case = CASES[name]
    expected = updated(updater_of(case, Processes()), share(case))
    for found in of_two:
        assert found[name].keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(found[name][key], value, rtol=1e-12, atol=1e-12)


def test_the_processes_agree_bit_for_bit(of_two: list[dict[str, dict[str, Tensor]]]) -> None:
    for name in CASES:
        for key, value in of_two[0][name].items():
            assert torch.equal(of_two[1][name][key], value)


def test_a_process_that_fails_in_its_backward_pass_ends_the_other(tmp_path: Path) -> None:
    began = time.monotonic()
    texts = [
        process.communicate(timeout=120)[1]
        for process in start(CODE, ROOT, "broken_case", tmp_path / "told")
    ]
    assert time.monotonic() - began < 60
    assert "another process of this run has ended" in (tmp_path / "told").read_text()
    assert "ValueError: broken" in texts[1]


class Twins(Processes):
    """This process and another that has the same gradients; keeps a list of what it sends."""

    events: list[str]

    def begin_sum(self, tensor: Tensor) -> Callable[[], None]:
        self.events.append(f"send {tensor.numel()}")
        sent = tensor.clone()

        def wait() -> None:
            assert torch.equal(tensor, sent), "changed on its way"
            tensor.mul_(2)
            self.events.append(f"wait {tensor.numel()}")

        return wait

    def agree(self, *flags: float) -> list[float]:
        self.events.append("agree")
        return list(flags)


def twin(case: Case) -> tuple[Updater, list[str]]:
    processes = Twins(0, 2, 0, None, case.bucket_mb)
    events: list[str] = []
    object.__setattr__(processes, "events", events)
    updater = updater_of(case, processes)
    for parameter in updater.parameters:
        parameter.register_post_accumulate_grad_hook(  # type: ignore[no-untyped-call]
            lambda _: events.append("gradient")
        )
    return updater, events


def sent(events: list[str]) -> list[str]:
    return [event for event in events if event.startswith("send")]


@pytest.mark.parametrize("tying", Tying)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_sums_begin_while_the_backward_pass_makes_other_gradients(
    tying: Tying, checkpointing: bool
) -> None:
    case = Case(n_batches=1, bucket_mb=1e-6, tying=tying, checkpointing=checkpointing)
    updater, events = twin(case)
    updater.update(share(case))
    n = len(updater.parameters)
    assert len(sent(events)) == n
    # No gradient waits for many others: a layer's may come in another order.
    n_layer = sum(1 for _ in updater.model.decoder[0].parameters())
    for i in range(n):
        until = [j for j, event in enumerate(events) if event == "gradient"][i]
        assert len(sent(events[:until])) >= i - n_layer
    assert len(sent(events[: events.index("agree")])) == n
    assert not any(event.startswith("wait") for event in events[: events.index("agree")])


def test_nothing_is_sent_before_the_last_backward_pass() -> None:
    updater, events = twin(Case(n_batches=3))
    updater.update(share(Case(n_batches=3)))
    n = len(updater.parameters)
    first = events.index(sent(events)[0])
    assert 2 * n < events[:first].count("gradient") < 3 * n


def test_a_batch_in_parts_is_sent_with_the_last_of_them() -> None:
    updater, events = twin(Case(n_batches=1))
    updater.largest = 60
    updater.update(share(Case(n_batches=1)))
    n = len(updater.parameters)
    total = events.count("gradient")
    assert total > n
    first = events.index(sent(events)[0])
    assert total - n < events[:first].count("gradient") < total


def test_a_backward_pass_outside_of_an_update_sends_nothing() -> None:
    updater, events = twin(Case())
    for _ in range(2):
        n_sent = len(sent(events))
        updater.objective(updater.model, share(Case()).work[0].batch).smoothed.backward()  # type: ignore[no-untyped-call]
        assert len(sent(events)) == n_sent
        updater.update(share(Case()))


def test_messages_are_the_same_whatever_happens_in_a_process() -> None:
    updater, events = twin(Case())
    updater.update(share(Case()))
    usual = sent(events)
    assert len(usual) > 5

    empty, without = twin(Case())
    empty.update(share(Case(n_batches=1), rank=1, count=2))
    assert sent(without) == usual

    short, failing = twin(Case())
    limit_memory(short.model, 5)
    short.update(share(Case()))
    n_tries = failing.count("agree")
    assert n_tries > 1
    assert sent(failing) == n_tries * usual


def test_gradients_are_summed_in_place_and_do_not_carry_over() -> None:
    updater, _ = twin(Case())
    buckets = cast(BucketedGradients, updater.gradients).buckets
    alone = updater_of(Case(), Processes())
    alone.rate_factor = updater.rate_factor = 0.0
    for _ in range(2):
        expected, found = updated(alone, share(Case())), updated(updater, share(Case()))
        for key, value in expected.items():
            torch.testing.assert_close(found[key], 2 * value, rtol=1e-12, atol=1e-12)
        assert all(parameter.grad is None for parameter in updater.parameters)
    updater.gradients.clear()
    assert float(found["nll"]) > 0  # what was told stays
    for bucket in buckets:
        for parameter in bucket.parameters:
            assert parameter.grad is not None
            assert parameter.grad.untyped_storage().data_ptr() == bucket.flat.data_ptr()


def test_one_process_has_no_buffer_and_no_hook() -> None:
    updater = updater_of(Case(), Processes())
    assert not isinstance(updater.gradients, BucketedGradients)
    updater.update(share(Case()))
    for parameter in updater.parameters:
        assert not parameter._post_accumulate_grad_hooks
        assert parameter.grad is None


def test_groups_keep_the_order_and_are_of_one_kind_and_bounded() -> None:
    n = 2**18  # of float32: a megabyte
    sizes = [10, n, 5, 5, n - 6, 2, 3 * n, 1]
    parameters = [nn.Parameter(torch.empty(size)) for size in sizes]
    parameters.append(nn.Parameter(torch.empty(1, dtype=torch.float64)))
    found = list(groups(parameters, 1.0))
    assert [id(p) for group in found for p in group] == [id(p) for p in parameters]
    for group in found:
        assert len({p.dtype for p in group}) == 1
        assert len(group) == 1 or sum(p.nbytes for p in group) <= 2**20
    assert [len(group) for group in found] == [1, 1, 2, 2, 1, 1, 1]


@pytest.fixture
def one_process() -> Iterator[None]:
    """A group of this process alone."""
    store = dist.HashStore()  # type: ignore[attr-defined]
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("one_process")
def test_a_sum_that_fails_on_its_way_is_told_of_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def wait(self) -> None:
            raise RuntimeError("[/gloo/tcp.cc:1] Connection closed by peer. More")

    processes = Processes(0, 2)
    tensor = torch.ones(3)
    processes.begin_sum(tensor)()
    assert tensor.tolist() == [1.0, 1.0, 1.0]
    monkeypatch.setattr(dist, "all_reduce", lambda *_, **__: Failing())
    waiting = processes.begin_sum(tensor)
    with pytest.raises(InputError, match=r"has ended .* \(Connection closed by peer\)"):
        waiting()


def test_flags_are_agreed_on_in_the_message_of_the_update() -> None:
    updater, events = twin(Case())
    assert updater.update(share(Case()), lambda: (3.0, 4.0)).agreed == [3.0, 4.0]
    assert events.count("agree") == 1
    alone = updater_of(Case(), Processes())
    assert alone.update(share(Case()), lambda: (5.0,)).agreed == [5.0]
    assert alone.update(share(Case())).agreed == []
