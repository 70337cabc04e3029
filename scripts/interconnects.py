"""What parallel_model.py says of GPUs with named interconnects; nothing here is measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from measuring import training_flops
from parallel_model import Cluster, Gradient, Link, UpdateWork, all_reduce_s, efficiency

from transformer.config import ModelConfig
from transformer.errors import require
from transformer.model import Transformer
from transformer.text.tokenizer import PAD_ID
from transformer.training.gradients import in_order

Rows = list[dict[str, Any]]

N_GPUS = (1, 2, 4, 8, 16, 32, 64)
NODE_SIZE = 8
VOCAB_SIZE = 32_000
LENGTH, N_SENTENCES = 25, 1_000  # 25,000 tokens on each side, as in Vaswani et al., 2017
MODELS = {
    "base": ModelConfig(),
    "big": ModelConfig(d_model=1024, d_feed_forward=4096, n_heads=16),
}
# Published bandwidths, each way. Latencies are of a message of a ring, as NCCL's own cost model has
# them (src/graph/tuning.cc, hwLatencies, ring, simple protocol: NVLink 3.4, PCI 5.7, network
# 14 us); that of Ethernet is assumed, for TCP.
NVLINK = Link(latency_s=3.4e-6, bandwidth=450e9)  # NVIDIA H200 datasheet: 900 GB/s both ways
PCIE = Link(latency_s=5.7e-6, bandwidth=63e9)  # PCI Express 5.0: 16 lanes x 32 GT/s x 128/130
NDR = Link(latency_s=14e-6, bandwidth=50e9)  # NVIDIA ConnectX-7 datasheet: 400 Gb/s, one a GPU
ETHERNET = Link(latency_s=50e-6, bandwidth=12.5e9)  # IEEE 802.3bj: 100 Gb/s, one a node


@dataclass(frozen=True)
class GPU:
    """Assumptions about an H200, none of them measured here."""

    matmul_flops: float = 790e12  # FLOP/s of matrix products in bf16
    base_share: float = 0.4  # of that rate, by an update of the base model on one GPU
    big_share: float = 0.5
    # Of a link's bandwidth that messages have: NVLink's protocol costs about 20 % by a maintainer
    # of NCCL (github.com/NVIDIA/nccl-tests, issue 212); the same is assumed of the others.
    link_share: float = 0.8

    def __post_init__(self) -> None:
        require(
            0 < self.matmul_flops < float("inf"),
            f"a rate of {self.matmul_flops} FLOP/s must be above 0",
        )
        for name in ("base_share", "big_share", "link_share"):
            share = getattr(self, name)
            require(0 < share <= 1, f"{name}={share} must be above 0 and at most 1")


MEMORY_BANDWIDTH = 4.8e12  # bytes/s; NVIDIA H200 datasheet
# Read and written for a parameter after the backward pass, in fp32: its gradient for the norm; the
# parameter, its gradient and Adam's two moments for the step.
OPTIMIZER_BYTES = 4 * (1 + 7)


def clusters(link_share: float) -> dict[str, Cluster]:
    """Nodes of eight GPUs by the names of their interconnects: inside, then between nodes."""
    inside = {"NVLink 4": NVLINK, "PCIe 5 x16": PCIE}
    # All GPUs of a node send at once over its one card.
    between = {
        "InfiniBand NDR a GPU": NDR,
        "100 Gb/s Ethernet a node": ETHERNET.share(1 / NODE_SIZE),
    }
    return {
        f"{near}, {far}": Cluster(
            inside=inside[near].share(link_share),
            between=between[far].share(link_share),
            node_size=NODE_SIZE,
        )
        for near in inside
        for far in between
    }


def gpu_work(config: ModelConfig, share: float, gpu: GPU) -> UpdateWork:
    """An update of 25,000 + 25,000 tokens on one GPU at `share` of its matrix-product rate.

    The output layer makes its gradients in the forward pass. The backward pass spends its time on
    the layers in proportion to their weights; the shared embedding's gradient comes last.
    """
    lengths = [LENGTH] * N_SENTENCES
    rate = share * gpu.matmul_flops
    flops = training_flops(config, VOCAB_SIZE, lengths, lengths)
    output = 6 * LENGTH * N_SENTENCES * config.d_model * VOCAB_SIZE
    backward = (flops - output) * 2 / 3
    gradients = list(gradients_of(config))
    n_parameters = sum(gradient.n_bytes for gradient in gradients) / 4
    return UpdateWork(
        forward_s=(flops - backward) / rate,
        backward_s=backward / rate,
        optimizer_s=n_parameters * OPTIMIZER_BYTES / MEMORY_BANDWIDTH,
        gradients=gradients,
    )


def gradients_of(config: ModelConfig) -> Iterator[Gradient]:
    """The gradients of a model in fp32, in the order in which the trainer sends them."""
    with torch.device("meta"):
        model = Transformer(
            config, source_vocab_size=VOCAB_SIZE, target_vocab_size=VOCAB_SIZE, pad_id=PAD_ID
        )
    embeddings = {p for name, p in model.named_parameters() if "embedding" in name}
    order = in_order(model)
    total = sum(parameter.numel() for parameter in order if parameter not in embeddings)
    made = 0
    for parameter in order:
        if parameter not in embeddings:
            made += parameter.numel()
        yield Gradient(made / total, 4 * parameter.numel())


def predict(gpu: GPU, bucket_bytes: float) -> Rows:
    """A row a model, interconnect and number of GPUs."""
    rows = []
    for name, config in MODELS.items():
        work = gpu_work(config, {"base": gpu.base_share, "big": gpu.big_share}[name], gpu)
        n_bytes = sum(gradient.n_bytes for gradient in work.gradients)
        for place, cluster in clusters(gpu.link_share).items():
            for n_gpus in N_GPUS:
                hidden, exposed = (
                    efficiency(work, n_gpus, cluster, bucket_bytes=bucket_bytes, overlap=overlap)
                    for overlap in (True, False)
                )
                rows.append(
                    {
                        "model": name,
                        "interconnect": place,
                        "n_gpus": n_gpus,
                        "gradient_bytes": n_bytes,
                        "alone_s": work.seconds,
                        "all_reduce_s": all_reduce_s(n_bytes, n_gpus, cluster),
                        "efficiency": hidden,
                        "efficiency_without_overlap": exposed,
                        "target_tokens_per_s": n_gpus
                        * LENGTH
                        * N_SENTENCES
                        / work.seconds
                        * hidden,
                    }
                )
    return rows


def prediction_table(rows: Rows) -> Iterator[str]:
    """Lines of Markdown: 8 and 64 GPUs."""
    yield (
        "| model | interconnect | GPUs | ms an update alone | ms of the all-reduce | efficiency "
        "| without overlap | target tokens/s |"
    )
    yield "|---|---|--:|--:|--:|--:|--:|--:|"
    for row in rows:
        if row["n_gpus"] not in {NODE_SIZE, max(N_GPUS)}:
            continue
        place = row["interconnect"]
        if row["n_gpus"] == NODE_SIZE:
            if "InfiniBand" not in place:  # within a node it is the same
                continue
            place = place.split(",")[0]
        cells = [
            row["model"],
            place,
            f"{row['n_gpus']}",
            f"{1e3 * row['alone_s']:.1f}",
            f"{1e3 * row['all_reduce_s']:.1f}",
            f"{row['efficiency']:.1%}",
            f"{row['efficiency_without_overlap']:.1%}",
            f"{row['target_tokens_per_s']:,.0f}",
        ]
        yield "| " + " | ".join(cells) + " |"


def draw(rows: Rows, file: Path) -> None:
    """Efficiency against the number of GPUs, a panel a model."""
    # The measuring processes read this module too, and have no use for it.
    from matplotlib import rc_context  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with rc_context({"font.size": 9, "svg.hashsalt": "parallel", "svg.fonttype": "none"}):
        figure = Figure(figsize=(9, 4), layout="constrained")
        panels = figure.subplots(1, len(MODELS), sharey=True)
        for panel, model in zip(panels, MODELS, strict=True):
            draw_panel(panel, [row for row in rows if row["model"] == model])
            panel.set_title(f"{model}, {LENGTH * N_SENTENCES:,} target tokens a GPU")
        panels[0].set_ylabel("predicted efficiency (%)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None, dpi=150)


def draw_panel(panel: Any, rows: Rows) -> None:
    """A line an interconnect, and a dotted one without overlap."""
    places = list(dict.fromkeys(row["interconnect"] for row in rows))
    for number, place in enumerate(places):
        found = [row for row in rows if row["interconnect"] == place]
        xs = [row["n_gpus"] for row in found]
        for key, style in (("efficiency", "o-"), ("efficiency_without_overlap", ":")):
            label = place if key == "efficiency" else None
            ys = [100 * row[key] for row in found]
            panel.plot(xs, ys, style, color=f"C{number}", ms=3.5, lw=1.2, label=label)
    panel.plot([], [], ":", color="0.3", label="without overlap")
    panel.axvline(NODE_SIZE, color="0.7", lw=0.8)
    for words, side, x in (("one node", "right", 0.95), ("several", "left", 1.05)):
        panel.text(x * NODE_SIZE, 3, words, ha=side, color="0.4", fontsize=8)
    panel.set_xscale("log", base=2)
    panel.set_xticks(N_GPUS, [str(n) for n in N_GPUS])
    panel.set_xlabel("GPUs")
    panel.set_ylim(0, 103)
    panel.grid(alpha=0.3)
