"""The loss at the output layer: the project's beside torch's and, where it is installed, Liger's.

Forward and backward of smoothed cross-entropy of N labels under hidden [N, D] @ weight
[V, D] transposed, with gradients at both; in turn, medians. The memory is what a GPU allocates at
its peak beyond what it held before; on a CPU it is not measured here. `products` are the three
matrix products alone.

    python scripts/benchmark_loss.py --labels 3600 --width 256 --vocab-size 8000
    python scripts/benchmark_loss.py --labels 25000 --width 1024 --vocab-size 32000 --precision bf16

torch's linear_cross_entropy is there from torch 2.13 on, and where labels are smoothed it computes
all logits at once, with a warning; Liger needs a GPU and `liger-kernel`.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from measuring import environment, positive, run, synchronize
from torch import Tensor

from transformer.config import Precision
from transformer.device import autocast, choose_device, choose_precision, set_threads
from transformer.training.objective import LabelTerms, label_terms, token_loss

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # hidden, weight, labels to the summed loss


def projects(terms: LabelTerms, smoothing: float, *inputs: Tensor) -> Tensor:
    """The project's, with kernels of torch or compiled ones."""
    hidden, weight, labels = inputs
    return token_loss(hidden, weight, labels, smoothing, terms).smoothed


def torchs(smoothing: float, hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """All logits at once."""
    logits = F.linear(hidden, weight)
    return F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="sum")


def torchs_chunked(smoothing: float, hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """torch's own fusion with the output layer, with the chunks that it chooses."""
    options = torch.nn.LinearCrossEntropyOptions()
    found: Tensor = F.linear_cross_entropy(
        hidden, weight, labels, reduction="sum", label_smoothing=smoothing, options=options
    )
    return found


def contenders(device: torch.device, smoothing: float) -> dict[str, Loss]:
    """The losses that can run here."""
    compiled: LabelTerms = torch.compile(label_terms, dynamic=True)
    found: dict[str, Loss] = {
        "project": partial(projects, label_terms, smoothing),
        "project, compiled": partial(projects, compiled, smoothing),
        "linear + cross_entropy": partial(torchs, smoothing),
        "linear + cross_entropy, compiled": torch.compile(partial(torchs, smoothing), dynamic=True),
    }
    if hasattr(F, "linear_cross_entropy"):
        found["linear_cross_entropy"] = partial(torchs_chunked, smoothing)
    if device.type == "cuda":
        try:
            from liger_kernel.transformers.functional import (  # noqa: PLC0415
                liger_fused_linear_cross_entropy as liger,
            )
        except ImportError:
            print("Liger is left out; pip install liger-kernel", file=sys.stderr)
        else:
            found["Liger"] = lambda hidden, weight, labels: liger(
                hidden, weight, labels, reduction="sum", label_smoothing=smoothing
            )
    return found


def products(hidden: Tensor, weight: Tensor) -> None:
    """The matrix products of forward and backward, on what is as large as logits."""
    with torch.no_grad():
        logits = hidden @ weight.t()
        logits @ weight
        logits.t() @ hidden


def main() -> None:
    """Measure, and print a table and one JSON line."""
    arguments = parse()
    set_threads(arguments.threads)
    device = choose_device(arguments.device)
    precision = choose_precision(Precision[arguments.precision], device)
    generator = torch.Generator().manual_seed(1)
    shape = arguments.labels, arguments.width
    hidden = torch.randn(shape, generator=generator).to(device).requires_grad_()
    weight = torch.randn(arguments.vocab_size, arguments.width, generator=generator)
    weight = (weight * arguments.width**-0.5).to(device).requires_grad_()
    labels = torch.randint(arguments.vocab_size, shape[:1], generator=generator).to(device)

    def turn(loss: Loss) -> dict[str, float]:
        hidden.grad = weight.grad = None
        synchronize(device)
        before = 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            before = torch.cuda.memory_allocated(device)
        started = time.perf_counter()
        with autocast(precision, device):
            value = loss(hidden, weight, labels)
        value.backward()  # type: ignore[no-untyped-call]
        synchronize(device)
        seconds = time.perf_counter() - started
        peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else before
        return {"ms": 1e3 * seconds, "mb": (peak - before) / 1e6, "loss": value.item()}

    losses = contenders(device, arguments.smoothing)
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in losses}
    alone: list[float] = []
    for number in range(arguments.rounds + 2):
        for name, loss in losses.items():
            found = turn(loss)
            if number > 1:  # the first ones compile
                rounds[name].append(found)
        started = time.perf_counter()
        with autocast(precision, device):
            products(hidden, weight)
        synchronize(device)
        alone.append(1e3 * (time.perf_counter() - started))
    report(rounds, alone[2:], arguments, environment(device))


def report(
    rounds: dict[str, list[dict[str, float]]],
    alone: list[float],
    arguments: argparse.Namespace,
    found: dict[str, Any],
) -> None:
    """Print the table and the JSON line."""
    print("| loss | ms, median | times the products alone | peak MB (GPU) | loss a label |")
    print("|---|--:|--:|--:|--:|")
    base = median(alone)
    for name, turns in rounds.items():
        ms = median(turn["ms"] for turn in turns)
        mb = f"{turns[-1]['mb']:,.0f}" if turns[-1]["mb"] else "–"
        value = turns[-1]["loss"] / arguments.labels
        print(f"| {name} | {ms:.1f} | {ms / base:.2f} | {mb} | {value:.5f} |")
    print(f"| the matrix products alone | {base:.1f} | 1.00 | – | – |")
    print(json.dumps({**vars(arguments), **found, "rounds": rounds, "products_ms": alone}))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--labels", type=positive, default=3600)
    parser.add_argument("--width", type=positive, default=256)
    parser.add_argument("--vocab-size", type=positive, default=8000)
    parser.add_argument("--smoothing", type=float, default=0.1)
    parser.add_argument("--rounds", type=positive, default=7)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=[p.name for p in Precision])
    parser.add_argument("--threads", type=positive, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
