"""What the care of the trainer costs: its loop beside a bare one, and the stall of a checkpoint.

The bare loop has the same model, objective, optimizer and batches, and does nothing else. The
trainer has everything on: mean weights (EMA), the watch over losses and gradients, signals, the
log with TensorBoard, and checkpoints written in the background. They take turns on the same
batches, and each round begins with the other one. Speed is in real target tokens a second; the
ratio is the median over the rounds of the trainer's over the bare loop's.

    python scripts/benchmark_overhead.py --train DIR/train --source en --target de
    python scripts/benchmark_overhead.py --model big --vocab-size 32000 --rounds 2 --updates 2
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import torch
from contenders import rotated
from measuring import append_row, environment, positive, read_rows, run, synchronize
from torch import nn

from transformer.checkpoint import build_model
from transformer.cli.compose import Composer
from transformer.config import TrainSettings
from transformer.device import autocast, choose_device, choose_precision, set_threads
from transformer.signals import Signals
from transformer.text.dataset import PreparedData, prepare_data
from transformer.training.distributed import Processes
from transformer.training.objective import batch_loss
from transformer.training.optimizer import build_optimizers, set_rate
from transformer.training.run import RunFolder
from transformer.training.schedule import build_schedule
from transformer.training.start import Place, build_state, build_trainer
from transformer.training.stream import UpdateBatches
from transformer.training.trainer import Trainer


class BareLoop:
    """Updates and nothing else."""

    def __init__(self, settings: TrainSettings, data: PreparedData, place: Place) -> None:
        torch.manual_seed(settings.seed)
        self.place = place
        self.model = build_model(settings, data.tokenizers).to(place.device)
        self.optimizers = build_optimizers(self.model, settings.optim)
        self.schedule = build_schedule(settings.optim, settings.training.max_updates)
        self.objective = partial(batch_loss, smoothing=settings.training.label_smoothing)
        self.max_norm = settings.optim.clip_norm or float("inf")

    def advance(self, update: UpdateBatches) -> None:
        """One update."""
        self.model.train()
        for work in update.work:
            batch = work.batch.to(self.place.device, non_blocking=True)
            with autocast(self.place.precision, self.place.device):
                loss = self.objective(self.model, batch)
            (loss.smoothed / update.n_target_tokens).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), self.max_norm)
        set_rate(self.optimizers, self.schedule(update.position.update))
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)


class WholeLoop:
    """Updates as the trainer makes them."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.stalls: list[float] = []
        trainer._track()
        trainer.state.start_clock(0.0)

    def advance(self, update: UpdateBatches) -> None:
        """One update, and all that is due at it."""
        self.trainer._advance(update)
        self.trainer._settle()
        if self.trainer.saved:
            self.stalls.append(round(self.trainer.writer.stall_s, 3))


def timed(
    loop: BareLoop | WholeLoop, updates: Sequence[UpdateBatches], device: torch.device
) -> float:
    """Real target tokens a second."""
    synchronize(device)
    started = time.perf_counter()
    for update in updates:
        loop.advance(update)
    synchronize(device)
    return sum(update.n_target_tokens for update in updates) / (time.perf_counter() - started)


def rounds(
    updates: Iterator[UpdateBatches], arguments: argparse.Namespace
) -> Iterator[list[UpdateBatches]]:
    """The updates of each round."""
    for _ in range(arguments.rounds):
        yield list(islice(updates, arguments.updates))


def take_turns(
    loops: dict[str, BareLoop | WholeLoop],
    batches: Iterator[list[UpdateBatches]],
    device: torch.device,
) -> dict[str, list[float]]:
    """The speeds of each of `loops` in each round."""
    speeds: dict[str, list[float]] = {name: [] for name in loops}
    for number, updates in enumerate(batches):
        for name in rotated(list(loops), number):
            speeds[name].append(timed(loops[name], updates, device))
    return speeds


def main() -> None:
    """Measure, and print one JSON line."""
    arguments = parse()
    if arguments.json:
        read_rows(arguments.json)  # what is wrong with it shows before anything is measured
    set_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        row = measure(arguments, folder)
    if arguments.json:
        append_row(arguments.json, row)
    print(json.dumps(row))


def measure(arguments: argparse.Namespace, folder: str) -> dict[str, Any]:
    """What is to be known of a run, which lies in `folder`."""
    settings = settings_of(arguments, folder)
    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    place = Place(device, precision, Processes(), Signals())
    data = prepare_data(settings.data, settings.tokenizer, settings.cleaning)
    run_folder = RunFolder(settings)
    run_folder.create(data.tokenizers)
    state = build_state(settings, run_folder, data, place, begins=True)
    trainer = build_trainer(state, run_folder, place, None)
    whole = WholeLoop(trainer)
    bare = BareLoop(settings, data, place)
    loops: dict[str, BareLoop | WholeLoop] = {"bare": bare, "trainer": whole}
    with closing(trainer.stream.updates(trainer.state.position)) as updates:
        warmup = list(islice(updates, 2))
        for loop in loops.values():
            timed(loop, warmup, device)
        speeds = take_turns(loops, rounds(updates, arguments), device)
    trainer.writer.close(must_succeed=True)
    trainer.tracker.close()
    size = sum(file.stat().st_size for file in Path(folder).glob("checkpoints/*[0-9]/*"))
    n_saved = len(list(run_folder.checkpoints.glob("*[0-9]")))
    n_tokens = sum(update.n_target_tokens for update in warmup) / len(warmup)
    update_s = n_tokens / median(speeds["trainer"])
    ratios = [a / b for a, b in zip(speeds["trainer"], speeds["bare"], strict=True)]
    return {
        "benchmark": "overhead",
        **environment(device),
        "precision": precision.name,
        "target_tokens_per_s": {k: [round(v) for v in vs] for k, vs in speeds.items()},
        "ratio": round(median(ratios), 4),
        "stalls_s": whole.stalls,
        "update_s": round(update_s, 3),
        "stall_updates": [round(stall / update_s, 4) for stall in whole.stalls],
        "checkpoint_gb": round(size / max(1, n_saved) / 1e9, 3),
    }


def settings_of(arguments: argparse.Namespace, folder: str) -> TrainSettings:
    """The settings of the run, which lies in `folder`."""
    data = ["data=phrasebook", "tokenizer.vocab_size=1500"]
    if arguments.train:
        names = {"source": arguments.source, "target": arguments.target}
        stems = {"train": arguments.train, "valid": arguments.train}
        data = ["data=files", *(f"data.{k}={v}" for k, v in (names | stems).items())]
    if arguments.vocab_size:
        data.append(f"tokenizer.vocab_size={arguments.vocab_size}")
    overrides = [
        *data,
        *(f"model={arguments.model}", f"run_dir={folder}", f"device={arguments.device}"),
        *(f"precision={arguments.precision}", f"data.batch_tokens={arguments.batch_tokens}"),
        *("training.ema=0.999", "training.validate_every=1000000", "training.log_every=10"),
        f"training.checkpoint_every={arguments.checkpoint_every}",
    ]
    settings: TrainSettings = Composer("train", TrainSettings).settings(overrides)
    return settings


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--train", help="stem of two text files; default: the phrasebook")
    parser.add_argument("--source", default="en")
    parser.add_argument("--target", default="de")
    parser.add_argument("--vocab-size", type=positive)
    parser.add_argument("--model", default="small")
    parser.add_argument("--batch-tokens", type=positive, default=4096)
    parser.add_argument(
        "--updates", type=positive, default=10, help="of each before the other's turn"
    )
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--checkpoint-every", type=positive, default=10)
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--json", type=Path, help="file to add a row to")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
