r"""The learning curve of the project's path beside that of a plain loop: loss against tokens.

Both see the same batches in the same order, begin with the same weights, and have the same Adam,
learning rate, clipping, smoothing and dropout (residuals and embeddings); what they drop out is
drawn apart. The plain loop is torch.nn.Transformer with PyTorch's cross-entropy over all logits,
its own clipping and an optimizer that is not fused. One seed a process:

    python scripts/compare_curves.py run --path fast --seed 1 --train DIR/train \
        --valid DIR/valid --output FILE
    python scripts/compare_curves.py show FILE... --plot curves.png

`show` prints the loss of each path, the mean over the seeds, and the paired differences.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from pathlib import Path
from statistics import mean, stdev
from typing import Any, cast

import torch
from baselines.loop import DROPOUT, SMOOTHING, label_loss
from baselines.plain import PlainTransformer
from measuring import environment, output_folder, positive, run
from torch import Tensor, nn

from transformer.cli.compose import Composer
from transformer.config import Norm, OptimKind, Precision, TrainSettings, Tying, to_mapping
from transformer.device import set_threads
from transformer.errors import InputError, require
from transformer.model import Transformer
from transformer.model.positions import sinusoids
from transformer.signals import Signals
from transformer.text.batching import Batch, make_loader, plan_in_order
from transformer.text.dataset import PreparedData, prepare_data
from transformer.training.distributed import Processes
from transformer.training.objective import batch_loss
from transformer.training.run import RunFolder
from transformer.training.schedule import build_schedule
from transformer.training.start import Place, build_state
from transformer.training.state import RunState
from transformer.training.stream import UpdateBatches, UpdateStream

CPU = torch.device("cpu")
# What the plain loop has fixed, and the values that it knows.
FIXED: dict[str, tuple[Any, ...]] = {
    "model.dropout": (DROPOUT,),
    "model.embedding_dropout": (DROPOUT,),
    "model.attention_dropout": (0.0,),
    "model.feed_forward_dropout": (0.0,),
    "model.norm": (Norm.pre,),
    "model.tying": (Tying.three_way,),
    "model.embedding_scale": (True,),
    "training.label_smoothing": (SMOOTHING,),
    "training.accumulate": (1,),
    "training.rdrop": (0.0,),
    "optim.kind": (OptimKind.adam, OptimKind.adamw),
    "optim.weight_decay": (0.0,),
}
Advance = Callable[[UpdateBatches], float]  # an update; NLL a label, before it
Score = Callable[[Batch], float]  # NLL of a batch without dropout, summed


def fast(state: RunState) -> tuple[Advance, Score]:
    """The project's own path."""

    def advance(update: UpdateBatches) -> float:
        return float(state.updater.update(update).nll) / update.n_target_tokens

    def score(batch: Batch) -> float:
        return float(batch_loss(state.model.eval(), batch, 0.0).nll)

    return advance, score


def plain(state: RunState) -> tuple[Advance, Score]:
    """A plain loop over torch.nn.Transformer, which begins with the weights of `state`."""
    settings = state.settings
    warnings.filterwarnings("ignore", message="enable_nested_tensor is True")
    model = PlainTransformer(to_mapping(settings.model), state.model.output.out_features, 512)
    copy_weights(model, state.model)
    optim = settings.optim
    optimizer = torch.optim.AdamW(
        model.parameters(),
        betas=(optim.beta1, optim.beta2),
        eps=optim.epsilon,
        weight_decay=0.0,
        foreach=False,
    )
    schedule = build_schedule(optim, settings.training.max_updates)

    def advance(update: UpdateBatches) -> float:
        model.train()
        (work,) = update.work
        torch.manual_seed(work.seed)
        logits = model(work.batch.source, work.batch.target)
        for group in optimizer.param_groups:
            group["lr"] = schedule(update.position.update)
        optimizer.zero_grad()
        label_loss(logits, work.batch.labels).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), optim.clip_norm or float("inf"))
        optimizer.step()
        return nll(logits.detach(), work.batch) / update.n_target_tokens

    def score(batch: Batch) -> float:
        return nll(model.eval()(batch.source, batch.target), batch)

    return advance, score


def nll(logits: Tensor, batch: Batch) -> float:
    """The NLL of the labels of `batch` under `logits` [B, T, V], summed."""
    labels = batch.labels.flatten()
    return float(
        nn.functional.cross_entropy(logits.flatten(0, 1), labels, ignore_index=0, reduction="sum")
    )


@torch.no_grad()
def copy_weights(to: PlainTransformer, own: Transformer) -> None:
    """Let the plain model compute what the project's does."""
    to.embedding.weight.copy_(own.output.weight)
    to.positions.copy_(sinusoids(len(to.positions), own.output.in_features))
    for layers, theirs in (
        (own.encoder, to.transformer.encoder),
        (own.decoder, to.transformer.decoder),
    ):
        for layer, other in zip(layers, theirs.layers, strict=True):
            copy_layer(other, layer)
    to.transformer.encoder.norm.load_state_dict(own.encoder_norm.state_dict())
    to.transformer.decoder.norm.load_state_dict(own.decoder_norm.state_dict())


def copy_layer(to: Any, own: Any) -> None:
    """The weights of a layer of encoder or decoder."""
    to.linear1.load_state_dict(own.feed_forward.inner.state_dict())
    to.linear2.load_state_dict(own.feed_forward.outer.state_dict())
    if hasattr(own, "attention"):
        residuals = [own.attention_residual, own.feed_forward_residual]
        attentions = [(to.self_attn, own.attention)]
    else:
        residuals = [own.self_residual, own.cross_residual, own.feed_forward_residual]
        attentions = [(to.self_attn, own.self_attention), (to.multihead_attn, own.cross_attention)]
    for number, residual in enumerate(residuals, start=1):
        getattr(to, f"norm{number}").load_state_dict(residual.norm.state_dict())
    for other, attention in attentions:
        names = (
            ("query_key_value",)
            if hasattr(attention, "query_key_value")
            else ("query", "key_value")
        )
        parts = [getattr(attention, name) for name in names]
        other.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        other.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        other.out_proj.load_state_dict(attention.output.state_dict())


def curve(arguments: argparse.Namespace) -> Iterator[dict[str, float]]:
    """The losses of one path, at each `--every` updates."""
    settings = settings_of(arguments)
    data = prepare_data(settings.data, settings.tokenizer, settings.cleaning)
    place = Place(CPU, Precision.fp32, Processes(), Signals())
    state = build_state(settings, RunFolder(settings), data, place, begins=True)
    advance, score = {"fast": fast, "plain": plain}[arguments.path](state)
    stream = UpdateStream(
        data,
        settings,
        settings.data.batch_tokens,
        on_gpu=False,
        processes=place.processes,
    )
    n_tokens, losses, started = 0, [], time.perf_counter()
    for update in islice(stream.updates(state.position), arguments.updates):
        losses.append(advance(update))
        n_tokens += update.n_target_tokens
        number = update.position.update
        if number % arguments.every == 0:
            seconds = time.perf_counter() - started
            row = {"update": number, "tokens": n_tokens, "seconds": round(seconds, 1)}
            row |= {"train": mean(losses), "valid": validate(score, data)}
            losses, started = [], time.perf_counter() - seconds
            yield row


@torch.no_grad()
def validate(score: Score, data: PreparedData) -> float:
    """NLL a label of the validation split."""
    split = data.valid[0].encoded
    plan = plan_in_order(split.source_lengths, split.target_lengths, 4096)
    return sum(map(score, make_loader(split, plan))) / int(split.target_lengths.sum())


def settings_of(arguments: argparse.Namespace) -> TrainSettings:
    """The settings of the path of the project; the plain one reads the same.

    InputError for those that it does not have.
    """
    settings: TrainSettings = Composer("train", TrainSettings).settings(
        [
            *("data=files", "model=small", "run_dir=unused", f"seed={arguments.seed}"),
            *(f"data.train={arguments.train}", f"data.valid={arguments.valid}"),
            *(f"data.source={arguments.source}", f"data.target={arguments.target}"),
            *("data.batch_tokens=2048", "optim.lr=2e-3", "optim.warmup=200"),
            *arguments.set,
        ]
    )
    for key, values in FIXED.items():
        value = attrgetter(key)(settings)
        require(
            value in values,
            f"{key}={getattr(value, 'name', value)} is not what the plain loop does; give "
            f"{' or '.join(str(getattr(each, 'name', each)) for each in values)}",
        )
    return settings


def show(files: Sequence[str], plot: str | None) -> None:
    """Print the comparison of the runs in `files`, and draw it."""
    runs = [read_run(Path(file)) for file in files]
    paths = {
        name: {each["seed"]: each["curve"] for each in runs if each["path"] == name}
        for name in ("fast", "plain")
    }
    seeds = sorted(paths["fast"])
    require(
        len(seeds) > 1 and seeds == sorted(paths["plain"]),
        "give both paths of equal seeds, at least two",
    )
    lengths = {len(rows) for curves in paths.values() for rows in curves.values()}
    require(len(lengths) == 1, "give runs of equally many updates; their curves differ in length")
    print(
        "| updates | target tokens | fast, mean (sd) | plain, mean (sd) | fast - plain, mean (sd) |"
    )
    print("|---:|---:|---:|---:|---:|")
    for i, row in enumerate(paths["fast"][seeds[0]]):
        both = [[paths[name][seed][i]["valid"] for seed in seeds] for name in ("fast", "plain")]
        gaps = [one - other for one, other in zip(*both, strict=True)]
        cells = [f"{mean(x):.4f} ({stdev(x):.4f})" for x in (*both, gaps)]
        print(f"| {row['update']} | {row['tokens']:,} | {' | '.join(cells)} |")
    if plot:
        draw(paths, plot)


def read_run(file: Path) -> dict[str, Any]:
    """What a run has written into `file`; InputError where that is not there."""
    mend = "give files that `run` has written"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}; {mend}") from error
    except ValueError as error:
        raise InputError(f"{file} is not JSON ({error}); {mend}") from error
    whole = isinstance(found, dict) and {"path", "seed", "curve"} <= found.keys()
    require(whole, f"{file} holds no path, seed and curve; {mend}")
    return cast(dict[str, Any], found)


def draw(paths: dict[str, dict[int, list[dict[str, float]]]], file: str) -> None:
    """Validation loss against target tokens, a line a run."""
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(figsize=(6.4, 4.0), layout="constrained")
    for name, style in (("fast", "C0-"), ("plain", "C1--")):
        for number, rows in enumerate(paths[name].values()):
            label = name if number == 0 else None
            axes.plot([r["tokens"] for r in rows], [r["valid"] for r in rows], style, label=label)
    axes.set(xlabel="target tokens", ylabel="validation NLL (nats a token)")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=120)


def main() -> None:
    """Run one path, or show what several runs found."""
    arguments = parse()
    if arguments.command == "show":
        show(arguments.files, arguments.plot)
        return
    set_threads(arguments.threads)
    output = Path(arguments.output)
    output_folder(output.parent)
    rows = []
    for row in curve(arguments):
        rows.append(row)
        print(json.dumps(row), flush=True)
    result = {"path": arguments.path, "seed": arguments.seed, "curve": rows}
    result |= {"overrides": arguments.set, "environment": environment(CPU)}
    output.write_text(json.dumps(result) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="train one path with one seed")
    one.add_argument("--path", required=True, choices=["fast", "plain"])
    one.add_argument("--seed", type=int, default=1)
    for name in ("--train", "--valid", "--output"):
        one.add_argument(name, required=True)
    one.add_argument("--source", default="en")
    one.add_argument("--target", default="de")
    one.add_argument("--updates", type=positive, default=300)
    one.add_argument("--every", type=positive, default=50)
    one.add_argument("--threads", type=positive, default=1)
    one.add_argument("--set", action="append", default=[], metavar="OVERRIDE")
    shown = commands.add_parser("show", help="compare runs")
    shown.add_argument("files", nargs="+")
    shown.add_argument("--plot", metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
