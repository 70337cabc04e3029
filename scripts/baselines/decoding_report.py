"""What the decoding benchmark makes of seconds: FLOPs, speeds, a table."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from transformer.config import ModelConfig, SearchConfig, to_mapping

Batches = list[list[int]]  # numbers of sources
Turn = dict[str, Any]  # seconds and tokens written, of each batch

COLUMNS = (
    *("sentences/s", "source tokens/s", "target tokens/s", "ratio", "matrix products"),
    *("latency ms", "95 % ms", "peak MB"),
)
# Of a checkpoint's outputs: beside references, and the share that is the project's own.
QUALITIES = {"bleu": "BLEU", "same_outputs": "same outputs"}
AMOUNTS = ("sentences", "source_tokens", "target_tokens")


def search_flops(
    config: ModelConfig,
    vocab_size: int,
    source_lengths: Sequence[int],
    target_lengths: Sequence[int],
    beam_size: int,
) -> float:
    """FLOPs of the matrix products of a search with a cache, without padding.

    Lengths are with EOS, or as cut. The first token is made from one hypothesis a sentence, each
    later one from `beam_size`.
    """
    D, F, K = config.d_model, config.d_feed_forward, beam_size
    S = np.asarray(source_lengths, dtype=np.float64)
    T = np.asarray(target_lengths, dtype=np.float64)
    steps = 1 + K * (T - 1)  # hypotheses that go through the decoder
    pasts = 1 + K * (T * (T + 1) / 2 - 1)  # positions that they look at, their own included
    encoder = S * (8 * D * D + 4 * D * F) + 4 * D * S * S
    decoder = 4 * D * D * S + steps * (12 * D * D + 4 * D * F + 4 * D * S) + 4 * D * pasts
    layers = config.encoder_layers * encoder + config.decoder_layers * decoder
    return float((layers + 2 * D * vocab_size * steps).sum())


class Report:
    """From seconds to speeds, for one beam size."""

    def __init__(
        self, work: Mapping[str, Any], config: ModelConfig, rates: Sequence[float], beam_size: int
    ) -> None:
        self.work = work
        self.config = config
        self.rates = rates
        self.beam_size = beam_size
        self.batches: Batches = work["batches"][str(beam_size)]
        lengths = [len(source) + 1 for source in work["sources"]]
        self.lengths = [[lengths[row] for row in batch] for batch in self.batches]
        self.n_source_tokens = sum(map(sum, self.lengths))

    def head(self, model: str, corpus: str) -> dict[str, Any]:
        """What was decoded."""
        usual = to_mapping(SearchConfig())
        padded = sum(len(batch) * max(batch) for batch in self.lengths)
        return {
            "benchmark": "decoding",
            "model": self.work["checkpoint"] or model,
            "lengths": "natural" if self.work["checkpoint"] else "forced",
            "corpus": corpus,
            "vocab_size": self.work["vocab_size"],
            "search": {k: v for k, v in self.work["search"].items() if v != usual[k]},
            "precision": self.work["precision"],
            "beam_size": self.beam_size,
            "sentences": len(self.work["sources"]),
            "batches": len(self.batches),
            "source_tokens": self.n_source_tokens,
            "padding_share": round(1 - self.n_source_tokens / padded, 4),
            "matmul_gflops": [round(rate / 1e9, 1) for rate in self.rates],
        }

    def system(
        self, turns: Sequence[Turn], singles: Sequence[float], final: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The speeds of a system in each round, their medians, and its latency and memory.

        `singles` are the seconds of sentences on their own.
        """
        for turn in turns:
            self._check(turn)
        seconds = [sum(turn["seconds"]) for turn in turns]
        written = turns[0]["written"]
        counts = (
            sum(map(len, self.batches)),
            self.n_source_tokens,
            sum(map(sum, written)),
        )
        speeds: dict[str, Any] = {}
        for name, count in zip(AMOUNTS, counts, strict=True):
            speeds[f"{name}_per_s"] = round(count / median(seconds), 2)
            speeds[f"{name}_per_s_rounds"] = [round(count / s, 2) for s in seconds]
        flops = search_flops(
            self.config,
            self.work["vocab_size"],
            [n for batch in self.lengths for n in batch],
            [n for batch in written for n in batch],
            self.beam_size,
        )
        return speeds | {
            "seconds_rounds": seconds,
            "target_tokens": counts[-1],
            "matmul_share": round(flops / median(seconds) / median(self.rates), 4),
            "latency_ms": latency(singles),
            **final,
        }

    def outputs(self, turn: Turn) -> list[list[int]]:
        """What a system wrote for each source, in their order."""
        pairs = [
            pair
            for numbers, rows in zip(self.batches, turn["outputs"], strict=True)
            for pair in zip(numbers, rows, strict=True)
        ]
        return [ids for _, ids in sorted(pairs)]

    def _check(self, turn: Turn) -> None:
        """That each output is as long as it was to be."""
        if self.work["checkpoint"]:
            return
        expected = [[max(batch)] * len(batch) for batch in self.lengths]
        assert turn["written"] == expected, "a system has not kept to the forced lengths"


def latency(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds of a single sentence: the median and the 95th percentile."""
    values = np.quantile(seconds, [0.5, 0.95]) * 1e3
    return {"median": round(float(values[0]), 2), "p95": round(float(values[1]), 2)}


def add_ratios(systems: Mapping[str, dict[str, Any]], base: str) -> None:
    """Set the ratio of the speed of each of `systems` to that of `base`: the rounds' median."""
    own = systems[base]["seconds_rounds"]
    for found in systems.values():
        ratios = [a / b for a, b in zip(own, found["seconds_rounds"], strict=True)]
        found["ratio"] = round(median(ratios), 4)


def table(row: Mapping[str, Any]) -> str:
    """A row of results as Markdown, with the speed of each round and all else below."""
    qualities = [key for key in QUALITIES if key in next(iter(row["systems"].values()))]
    columns = [*COLUMNS, *(QUALITIES[key] for key in qualities)]
    lines = [
        f"| {row['model']}, beam {row['beam_size']} | {' | '.join(columns)} |",
        f"|{'---|' * (len(columns) + 1)}",
    ]
    for name, found in row["systems"].items():
        peak = found["peak_memory"]
        cells = [
            *(f"{found[f'{what}_per_s']:,.1f}" for what in AMOUNTS),
            *(f"{found['ratio']:.3f}", f"{100 * found['matmul_share']:.1f} %"),
            *(f"{found['latency_ms'][key]:.1f}" for key in ("median", "p95")),
            "unknown" if peak is None else f"{peak / 1e6:,.0f}",
            *(f"{found[key]:.2f}" for key in qualities),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for name, found in row["systems"].items():
        lines += [
            f"{name}, {what.replace('_', ' ')}/s of each round: {found[f'{what}_per_s_rounds']}"
            for what in AMOUNTS
        ]
        lines += [f"{name} {found['differs']}"] if "differs" in found else []
    beside = {key: value for key, value in row.items() if key not in {"systems", "environment"}}
    beside |= row["environment"]
    return "\n".join([*lines, *(f"{key}: {value}" for key, value in beside.items())])
