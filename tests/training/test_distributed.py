"""Several processes train the model that one would."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from transformer.checkpoint import Checkpoint
from transformer.config import ParallelConfig, TrainSettings, save_settings
from transformer.errors import InputError
from transformer.training import train
from transformer.training.distributed import Processes, joined

Change = Callable[..., TrainSettings]

TRAIN = """
import sys, logging
from pathlib import Path
from transformer.config import TrainSettings, load_settings
from transformer.errors import InputError
from transformer.training import train
logging.basicConfig(level=logging.INFO)
try:
    train(load_settings(TrainSettings, Path(sys.argv[1])))
except InputError as error:
    sys.exit(f"error: {error}")
"""

# Gradients in float64, which are not clipped, of one update; all in the folder argv[2].
GRADIENTS = """
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
import torch
from transformer.config import Precision, TrainSettings, load_settings
from transformer.text.dataset import prepare_data
from transformer.training.distributed import joined
from transformer.training.objectives import build_objective
from transformer.training.sharding import shard, whole
from transformer.checkpoint import build_model
from transformer.training.stream import Position, UpdateStream
from transformer.training.update import Updater

settings = load_settings(TrainSettings, Path(sys.argv[1]))
with joined(settings.training.parallel, "cpu") as processes:
    data = prepare_data(settings.data, settings.tokenizer, settings.cleaning)
    torch.manual_seed(3)
    model = build_model(settings, data.tokenizers).double()
    sharded = settings.training.parallel.shard
    if sharded:
        shard(model, torch.device("cpu"), processes.count)
    cpu = torch.device("cpu")
    objective = build_objective(settings, data, cpu, Precision.fp32)
    updater = Updater(
        model, objective, replace(settings.optim, clip_norm=None), lambda n: 1e-3, Precision.fp32,
        processes=processes, sharded=sharded,
    )
    found = {}
    def look(*_):
        for name, parameter in model.named_parameters():
            found[name] = whole(parameter.grad).clone()
    updater.optimizers[0].register_step_pre_hook(look)
    stream = UpdateStream(data, settings, 40, on_gpu=False, processes=processes)
    for update in islice(stream.updates(Position()), int(sys.argv[3])):
        result = updater.update(update)
    found["nll"], found["norm"] = result.nll, result.gradient_norm
    torch.save(found, f"{sys.argv[2]}.{processes.rank}")
"""


def start(code: str, *arguments: object, count: int = 2) -> list[subprocess.Popen[str]]:
    """Processes that run `code` together, as torchrun would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def wait(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    """What each wrote to standard error; all must have ended well."""
    texts = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(texts), "\n".join(texts)
    return texts


def together(settings: TrainSettings, folder: Path, count: int = 2) -> list[str]:
    """Train with `count` processes; gives what each said."""
    file = folder / "settings.yaml"
    save_settings(settings, file)
    return wait(start(TRAIN, file, count=count))


def sharded(settings: TrainSettings) -> TrainSettings:
    training = replace(settings.training, parallel=ParallelConfig(shard=True))
    return replace(settings, training=training)


def weights(settings: TrainSettings) -> dict[str, torch.Tensor]:
    return load_file(Path(settings.run_dir) / "checkpoints" / "last" / "model.safetensors")


def assert_near(found: TrainSettings, expected: TrainSettings) -> None:
    """The weights of two runs, but for the bias of keys, which changes no attention.

    Its gradient is nothing but rounding, of which Adam makes steps as large as the rate.
    """
    for name, weight in weights(expected).items():
        if not name.endswith("key_value.bias"):
            torch.testing.assert_close(weights(found)[name], weight, rtol=0, atol=1e-6)


def gradients(settings: TrainSettings, folder: Path, *, count: int, n: int) -> list[dict[str, Any]]:
    """Those of update `n`, as each of `count` processes has them."""
    save_settings(settings, folder / "settings.yaml")
    wait(start(GRADIENTS, folder / "settings.yaml", folder / "gradients", n, count=count))
    return [torch.load(folder / f"gradients.{rank}") for rank in range(count)]


@pytest.mark.parametrize(
    ("packing", "shard"),
    [
        pytest.param(False, False, id="padded-replicated"),
        pytest.param(True, True, id="packed-sharded"),
        pytest.param(False, True, id="padded-sharded", marks=pytest.mark.slow),
        pytest.param(True, False, id="packed-replicated", marks=pytest.mark.slow),
    ],
)
def test_two_processes_have_the_gradient_of_one_that_accumulates(
    settings: TrainSettings, change: Change, tmp_path: Path, packing: bool, shard: bool
) -> None:
    settings = change(settings, model__attention_dropout=0.0, training__packing=packing)
    # With dropout, and with an update at the end of the epoch for which one lacks a batch.
    alone = change(settings, training__accumulate=2)
    pair = sharded(settings) if shard else settings
    for n in (1, 7):
        (expected,) = gradients(alone, tmp_path, count=1, n=n)
        for found in gradients(pair, tmp_path, count=2, n=n):
            assert found.keys() == expected.keys()
            for name, gradient in expected.items():
                torch.testing.assert_close(found[name], gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shard", [False, True], ids=["replicated", "sharded"])
def test_two_processes_train_what_one_does(
    settings: TrainSettings, change: Change, tmp_path: Path, shard: bool
) -> None:
    alone = change(settings, training__accumulate=2, training__ema=0.9)
    train(alone)
    pair = change(settings, training__ema=0.9, run_dir=str(tmp_path / "pair"))
    texts = together(sharded(pair) if shard else pair, tmp_path)
    assert_near(pair, alone)
    one, two = (Checkpoint(Path(s.run_dir) / "checkpoints" / "last") for s in (alone, pair))
    assert two.metrics["loss"] == pytest.approx(one.metrics["loss"], abs=1e-6)
    file = "translations/valid.00000006.yy"
    assert (Path(pair.run_dir) / file).read_text() == (Path(alone.run_dir) / file).read_text()
    assert "update 6" in texts[0]
    assert "update 6" not in texts[1]


@pytest.mark.parametrize("shard", [False, True], ids=["replicated", "sharded"])
def test_two_processes_resume_bit_for_bit(
    settings: TrainSettings, change: Change, tmp_path: Path, shard: bool
) -> None:
    settings = sharded(settings) if shard else settings
    whole = change(settings, run_dir=str(tmp_path / "whole"))
    together(whole, tmp_path)
    together(change(settings, training__max_updates=2), tmp_path)
    together(settings, tmp_path)
    for name, weight in weights(whole).items():
        assert torch.equal(weights(settings)[name], weight)


def test_a_run_goes_on_with_another_number_of_processes_and_shards(
    settings: TrainSettings, change: Change, tmp_path: Path
) -> None:
    alone = change(settings, training__accumulate=2, run_dir=str(tmp_path / "alone"))
    train(alone)
    parts = change(settings, training__accumulate=2)
    train(change(parts, training__max_updates=2))
    pair = change(settings, training__max_updates=4)
    (first, _) = together(sharded(pair), tmp_path)
    assert "processes were 1, now 2" in first
    assert "training.accumulate was 2, now 1" in first
    train(parts)
    one, two = (Checkpoint(Path(s.run_dir) / "checkpoints" / "last") for s in (alone, parts))
    assert one.training()["position"] == two.training()["position"]
    assert_near(parts, alone)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_dies_ends_the_others(
    settings: TrainSettings, change: Change, tmp_path: Path, victim: int
) -> None:
    settings = change(settings, training__max_updates=1_000_000, training__validate_every=1_000_000)
    save_settings(settings, tmp_path / "settings.yaml")
    processes = start(TRAIN, tmp_path / "settings.yaml")
    log = Path(settings.run_dir) / "train.log"
    deadline = time.monotonic() + 60
    while not (log.exists() and "update 5 " in log.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline, [p.poll() for p in processes]
        time.sleep(0.1)
    processes[victim].send_signal(signal.SIGKILL)
    _, text = processes[1 - victim].communicate(timeout=60)
    processes[victim].communicate()
    assert processes[1 - victim].returncode == 1
    assert "another process of this run has ended" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_one_process_stops_all_at_the_same_update(
    settings: TrainSettings, change: Change, tmp_path: Path, number: signal.Signals
) -> None:
    settings = change(settings, training__max_updates=1_000_000, training__validate_every=1_000_000)
    save_settings(settings, tmp_path / "settings.yaml")
    processes = start(TRAIN, tmp_path / "settings.yaml")
    log = Path(settings.run_dir) / "train.log"
    deadline = time.monotonic() + 60
    while not (log.exists() and "update 5 " in log.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    processes[1].send_signal(number)
    texts = [process.communicate(timeout=60)[1] for process in processes]
    assert f"stopped by {number.name} after update" in texts[1]
    assert "stopped by another process after update" in texts[0]
    saved = Checkpoint(Path(settings.run_dir) / "checkpoints" / "last").training()["position"]
    for text in texts:
        assert f"after update {saved['update']};" in text


def test_one_process_needs_no_messages() -> None:
    alone = Processes()
    assert alone.agree(1.0, -2.0) == [1.0, -2.0]
    assert alone.gather([3, 4]) == [3, 4]
    assert alone.from_first("x") == "x"


def test_sharding_and_single_gpus_are_refused_where_they_make_no_sense(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        pytest.raises(InputError, match="shard=true needs several processes"),
        joined(ParallelConfig(shard=True), "cpu"),
    ):
        pass
    for name, value in {
        "RANK": "0",
        "WORLD_SIZE": "2",
        "LOCAL_RANK": "0",
        "MASTER_ADDR": "::1",
        "MASTER_PORT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(InputError, match="device=cuda:1 with several processes"),
        joined(ParallelConfig(), "cuda:1"),
    ):
        pass
