"""Heat-maps of attention as PNG and SVG."""

import io
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from transformer.config import AttentionKind
from transformer.pictures.attention import Choice, Looks
from transformer.pictures.page import missing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES = {
    AttentionKind.encoder: "encoder self-attention: from source (rows) to source",
    AttentionKind.decoder: "decoder self-attention: from the word written (rows) to those before",
    AttentionKind.cross: "cross-attention: from the word written (rows) to the source",
}
COLOURS = "Blues"
LONGEST = 24  # characters of a label
READABLE = 64  # positions beyond which a grid has no labels
MARGIN, LINE = 0.12, 0.22  # inches
DPI = 120
POINTS = 72  # an inch
MOST_PIXELS = 12_000  # of a picture's side


@dataclass(frozen=True)
class Scale:
    """How large things are."""

    cell: float  # inches
    font: float  # points
    labels: bool

    def label_inches(self, labels: Sequence[str]) -> float:
        """The room that labels need."""
        if not self.labels:
            return MARGIN
        return max(map(_width, labels)) * 0.62 * self.font / POINTS + MARGIN


def picture(looks: Looks, chosen: Sequence[Choice]) -> "Figure":
    """Heat-maps of one sentence: of each kind its heads side by side, layer below layer.

    A single head is drawn large. InputError where what draws is missing.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise missing("matplotlib") from error
    mosaics = [Mosaic(looks, choice) for choice in chosen]
    width = max(mosaic.width for mosaic in mosaics) + 2 * MARGIN + 0.6  # of the scale of colours
    width = max([width, *(len(TITLES[each.choice.kind]) * 0.095 for each in mosaics)])
    height = sum(mosaic.height for mosaic in mosaics) + MARGIN
    figure = Figure(figsize=(width, height), facecolor="white")
    top = height
    for mosaic in mosaics:
        top -= mosaic.height
        mosaic.draw(figure, top + MARGIN)
    return figure


def as_png(figure: "Figure", dpi: float = DPI) -> bytes:
    """The picture as PNG; of lower resolution where it would be huge."""
    largest = max(figure.get_size_inches())
    return _saved(figure, format="png", dpi=min(dpi, MOST_PIXELS / largest))


def as_svg(figure: "Figure") -> bytes:
    """The picture as SVG, the same for the same figure."""
    return _saved(figure, format="svg", metadata={"Date": None})


def _saved(figure: "Figure", **values: Any) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # A script for which no font is installed is drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(stream, **values)
    return stream.getvalue()


class Mosaic:
    """The heat-maps of one kind as a single picture, with gaps between them."""

    def __init__(self, looks: Looks, choice: Choice) -> None:
        self.choice = choice
        self.weights = choice.of(looks)
        self.rows = [_shown(label) for label in looks.rows(choice.kind)]
        self.columns = [_shown(label) for label in looks.columns(choice.kind)]
        L, H, R, C = self.weights.shape
        self.gap = 0 if L * H == 1 else max(1, round(0.06 * max(R, C)))
        self.scale = _scale(max(R, C), alone=L * H == 1)
        self.left = self.scale.label_inches(self.rows) + 2 * LINE
        self.top = self.scale.label_inches(self.columns) + 2 * LINE
        self.inner = (
            (H * (C + self.gap) - self.gap) * self.scale.cell,
            (L * (R + self.gap) - self.gap) * self.scale.cell,
        )
        self.width = self.left + self.inner[0]
        self.height = self.top + self.inner[1] + 2 * MARGIN

    def draw(self, figure: "Figure", bottom: float) -> None:
        """Draw it on `figure`, `bottom` inches from below."""
        from matplotlib.colors import PowerNorm  # noqa: PLC0415

        width, height = figure.get_size_inches()
        axes = figure.add_axes(
            (
                (MARGIN + self.left) / width,
                bottom / height,
                self.inner[0] / width,
                self.inner[1] / height,
            )
        )
        # Small weights show too: colours go by the square root.
        image = axes.imshow(
            self._tiled(),
            cmap=_colours(),
            norm=PowerNorm(0.5, 0, 1),
            aspect="auto",
            interpolation="nearest",
        )
        self._label(axes)
        self._name(figure, bottom)
        bar = figure.add_axes(
            (
                (MARGIN + self.width + 0.15) / width,
                (bottom + max(0.0, self.inner[1] - 1.6)) / height,
                0.1 / width,
                min(1.6, max(0.8, self.inner[1])) / height,
            )
        )
        figure.colorbar(image, cax=bar, ticks=[0, 0.1, 0.25, 0.5, 1])
        bar.tick_params(labelsize=7)

    def _tiled(self) -> NDArray[np.float32]:
        L, H, R, C = self.weights.shape
        tiled = np.full((L, R + self.gap, H, C + self.gap), np.nan, dtype=np.float32)
        tiled[:, :R, :, :C] = self.weights.transpose(0, 2, 1, 3)
        flat = tiled.reshape(L * (R + self.gap), H * (C + self.gap))
        return flat[: flat.shape[0] - self.gap, : flat.shape[1] - self.gap]

    def _starts(self) -> tuple[list[int], list[int]]:
        """The first row of each layer, the first column of each head."""
        L, H, R, C = self.weights.shape
        return (
            [i * (R + self.gap) for i in range(L)],
            [i * (C + self.gap) for i in range(H)],
        )

    def _label(self, axes: "Axes") -> None:
        axes.tick_params(length=0, pad=2)
        axes.xaxis.tick_top()
        sides = zip(
            self._starts(),
            ((axes.set_yticks, self.rows, 0), (axes.set_xticks, self.columns, 90)),
            strict=True,
        )
        for starts, (set_ticks, labels, rotation) in sides:
            if not self.scale.labels:
                set_ticks([])
                continue
            places = [start + i for start in starts for i in range(len(labels))]
            # A dollar is one, and no mathematics.
            style: dict[str, Any] = {"fontsize": self.scale.font, "fontfamily": _fonts()}
            style["parse_math"] = False
            set_ticks(places, labels * len(starts), rotation=rotation, **style)
        for spine in axes.spines.values():
            spine.set_visible(self.gap == 0)

    def _name(self, figure: "Figure", bottom: float) -> None:
        """Write the title, and beside and above the heat-maps their numbers."""
        width, height = figure.get_size_inches()
        x, y = MARGIN + self.left, bottom + self.inner[1]
        layers, heads = self._starts()
        R, C = self.weights.shape[2:]
        title_y = y + self.top - LINE + 0.04
        title = TITLES[self.choice.kind]
        figure.text(MARGIN / width, title_y / height, title, fontsize=10, fontweight="bold")
        if self.gap == 0:
            single = f"layer {self.choice.layers[0]}, head {self.choice.heads[0]}"
            figure.text(MARGIN / width, (title_y - LINE) / height, single, fontsize=10)
            return
        cell = self.scale.cell
        for start, head in zip(heads, self.choice.heads, strict=True):
            at = x + (start + C / 2) * cell
            above = title_y - LINE
            figure.text(at / width, above / height, f"head {head}", fontsize=8, ha="center")
        for start, layer in zip(layers, self.choice.layers, strict=True):
            at = y - (start + R / 2) * cell
            style: dict[str, Any] = {"fontsize": 8, "rotation": 90, "va": "center", "ha": "center"}
            figure.text((MARGIN + LINE / 2) / width, at / height, f"layer {layer}", **style)


def _scale(n: int, *, alone: bool) -> Scale:
    """Sizes for `n` positions on the longer side of each heat-map."""
    if alone:
        cell = min(0.34, max(0.16, 13 / n))
        return Scale(cell, font=min(11, 0.8 * cell * POINTS), labels=True)
    if n > READABLE:
        return Scale(7.2 / n, font=0, labels=False)
    # A narrow picture of few words would leave no room for what stands above it.
    cell = max(0.11, 0.6 / n)
    return Scale(cell, font=min(9, 0.72 * cell * POINTS), labels=True)


@cache
def _colours() -> Any:
    from matplotlib import colormaps  # noqa: PLC0415

    return colormaps[COLOURS].with_extremes(bad="white")


@cache
def _fonts() -> list[str]:
    """Families by which most scripts are drawn, of those that are installed."""
    from matplotlib.font_manager import findSystemFonts, fontManager  # noqa: PLC0415

    if not any("CJK" in name for name in fontManager.get_font_names()):
        # Matplotlib's list of fonts is made once, and lacks those that were installed later.
        for file in sorted(file for file in findSystemFonts() if "CJK-Regular" in file)[:1]:
            fontManager.addfont(file)
    wide = ("CJK", "Hei", "IPA", "Noto Sans")
    names = fontManager.get_font_names()
    others = sorted(name for name in names if any(part in name for part in wide))
    # One family of Chinese characters has those of all: more would slow each letter down.
    cjk = sorted((name for name in others if "CJK" in name), key=lambda name: "Sans" not in name)
    rest = [name for name in others if "CJK" not in name and "Mono" not in name]
    return ["DejaVu Sans", *cjk[:1], *rest[:8]]


def _shown(label: str) -> str:
    """A label of bearable length, without what is no XML."""
    text = "".join("\ufffd" if _is_no_xml(c) else c for c in label)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _is_no_xml(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs"} or character in "\ufffe\uffff"


def _width(label: str) -> float:
    """The length of a label in letters of the Latin script."""
    return sum(1.7 if unicodedata.east_asian_width(c) in "WF" else 1 for c in label)
