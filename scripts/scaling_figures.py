"""Figures and a table of what benchmark_scaling.py measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]  # a point each, the base point first

AXES = {
    "d_model": "model width D",
    "layers": "layers of encoder and of decoder",
    "length": "tokens of a sentence",
    "vocab_size": "vocabulary",
    "batch_tokens": "target tokens of a batch",
}


@dataclass(frozen=True)
class Panels:
    """A figure with a panel an axis: what a row has to show there."""

    name: str
    label: str
    value: Callable[[dict[str, Any]], float]
    spread: Callable[[dict[str, Any]], Sequence[float]] | None = None  # of the single rounds
    formula: bool = False  # beside what the FLOPs predict at the base point's rate
    is_log: bool = True


FIGURES = [
    Panels(
        "time",
        "time of an update (ms)",
        lambda row: 1e3 * row["update_s"],
        lambda row: [1e3 * seconds for seconds in row["rounds_s"]],
        formula=True,
    ),
    Panels(
        "rate",
        "share of matrix-product rate (%)",
        lambda row: 100 * row["share"],
        is_log=False,
    ),
    Panels("memory", "peak memory (GB)", lambda row: row["peak_bytes"] / 1e9, is_log=False),
]


def short(n: int) -> str:
    """`n` as it fits below an axis: 8k for 8,000."""
    return f"{n // 1000}k" if n and n % 1000 == 0 else str(n)


def on_axis(rows: Rows, name: str) -> Rows:
    """The rows that differ from the first, the base point, in `name` alone, in its order."""
    base = rows[0]["shape"]
    found = [row for row in rows if row["shape"] | {name: base[name]} == base]
    return sorted(found, key=lambda row: row["shape"][name])


def predicted_s(row: dict[str, Any], base: dict[str, Any]) -> float:
    """Seconds of an update if it were as fast, in FLOP/s, as the base point."""
    return float(base["update_s"] * row["flops"] / base["flops"])


def draw(rows: Rows, panels: Panels, file: Path) -> None:
    """A figure of five panels, as wide as a page."""
    # The measuring processes read this script too, and their memory is measured.
    from matplotlib import rc_context  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with rc_context({"font.size": 9, "svg.hashsalt": "scaling", "svg.fonttype": "none"}):
        figure = Figure(figsize=(9, 5.4), layout="constrained")
        axes = figure.subplots(2, 3, sharey=True).flatten()
        for place, name in zip(axes, AXES, strict=False):
            draw_panel(place, rows, name, panels)
            place.tick_params(labelleft=True)
        scale_height(axes[0], is_log=panels.is_log)
        axes[-1].axis("off")
        handles, labels = axes[0].get_legend_handles_labels()
        axes[-1].legend(handles, labels, loc="upper left", frameon=False)
        axes[-1].text(0.02, 0.05, caption(rows), transform=axes[-1].transAxes, va="bottom")
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None, dpi=150)


def draw_panel(place: Any, rows: Rows, name: str, panels: Panels) -> None:
    """What `panels` show against the axis `name`."""
    base, found = rows[0], on_axis(rows, name)
    xs = [row["shape"][name] for row in found]
    ys = [panels.value(row) for row in found]
    if panels.formula:
        expected = [1e3 * predicted_s(row, base) for row in found]
        place.plot(xs, expected, "--", color="0.5", label="FLOPs at the base point's rate")
    bars = None
    if panels.spread:
        ends = [panels.spread(row) for row in found]
        bars = [
            [y - min(e) for y, e in zip(ys, ends, strict=True)],
            [max(e) - y for y, e in zip(ys, ends, strict=True)],
        ]
    label = "measured" + (": median and range of rounds" if bars else "")
    place.errorbar(xs, ys, yerr=bars, fmt="o-", ms=4, lw=1.2, capsize=2, color="C0", label=label)
    at_base = [base["shape"][name]], [panels.value(base)]
    place.plot(*at_base, "o", ms=9, mfc="none", color="C3", label="base point")
    place.set_xscale("log", base=2)
    place.set_xticks(xs, [short(x) for x in xs], fontsize="small")
    place.minorticks_off()
    place.grid(alpha=0.3)
    place.set_xlabel(AXES[name])
    place.set_ylabel(panels.label)


def scale_height(place: Any, *, is_log: bool) -> None:
    """Plain numbers up the side, which all panels share; from zero where the scale is even."""
    if is_log:
        from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter  # noqa: PLC0415

        place.set_yscale("log")
        place.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
        place.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        place.yaxis.set_minor_formatter(NullFormatter())
    else:
        place.set_ylim(0, 1.05 * place.get_ylim()[1])


def caption(rows: Rows) -> str:
    """The base point and where it was measured, in short lines."""
    shape, row = rows[0]["shape"], rows[0]
    lines = [
        "Base point:",
        f"D = {shape['d_model']:,}, {shape['layers']} + {shape['layers']} layers,",
        f"{shape['length']:,} tokens a sentence,",
        f"vocabulary of {shape['vocab_size']:,},",
        f"{shape['batch_tokens']:,} target tokens a batch",
        "",
        f"{row['device'][:40]}, {row['precision']},",
        f"threads: {row['threads']}, torch {row['torch']},",
        f"matrix products {row['matmul_flops_per_s'] / 1e9:,.0f} GFLOP/s",
    ]
    return "\n".join(lines)


def markdown(rows: Rows) -> str:
    """A table with a line a point, axis by axis."""
    lines = [
        "| axis | value | ms an update | by formula | target tokens/s | share of rate | memory |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, title in AXES.items():
        for row in on_axis(rows, name):
            cells = [
                title,
                f"{row['shape'][name]:,}",
                f"{1e3 * row['update_s']:,.0f}",
                f"{1e3 * predicted_s(row, rows[0]):,.0f}",
                f"{row['target_tokens_per_s']:,.0f}",
                f"{row['share']:.0%}",
                f"{row['peak_bytes'] / 1e9:.2f} GB",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", caption(rows).replace("\n", " ").replace("  ", " ")])
