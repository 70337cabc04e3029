"""Attention for a page: heat-maps that answer the mouse."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from transformer.pictures.attention import COLUMNS, Choice, Looks, choices, reach, sizes_of
from transformer.pictures.heatmaps import TITLES
from transformer.pictures.page import Section, render

STEPS = 255  # of a weight, which is kept in one byte


def attention_section(
    looks: Sequence[Looks],
    chosen: Sequence[Choice] = (),
    *,
    numbers: Sequence[int] = (),
    anchor: str = "attention",
    title: str = "Attention",
) -> Section:
    """Heat-maps of one or more sentences, all of one model, to be put on a page that has plotly.

    One shows a head with words on its axes, small ones all heads to choose from. Of all kinds,
    layers and heads, or those `chosen`. `numbers` are by which sentences are known, as those of
    their lines; else they count from 1. InputError where what makes pages is missing.
    """
    chosen = chosen or choices(sizes_of(looks[0]))
    data = {
        "kinds": [
            {"title": TITLES[each.kind], "layers": [*each.layers], "heads": [*each.heads]}
            for each in chosen
        ],
        "measures": COLUMNS[3:],
        "sentences": [
            {"number": number} | _sentence(each, chosen)
            for number, each in zip(numbers or range(1, len(looks) + 1), looks, strict=True)
        ],
    }
    return Section(anchor, title, render("attention.html", data=script_json(data)))


def script_json(values: Any) -> str:
    """`values` as JSON that may stand in a script element, whatever text they hold."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _sentence(looks: Looks, chosen: Sequence[Choice]) -> dict[str, Any]:
    """The labels of a sentence, and by kind its weights and what is measured of each head."""
    return {
        "source": looks.source,
        "target": looks.target,
        "kinds": [
            {
                "rows": looks.rows(choice.kind),
                "columns": looks.columns(choice.kind),
                "weights": _packed(choice.of(looks)),
                "measures": [
                    [None if value is None else round(float(value), 2) for value in cells]
                    for cells in reach(looks, choice).cells()
                ],
            }
            for choice in chosen
        ],
    }


def _packed(weights: Any) -> str:
    """Weights in [0, 1] to a byte each, in base64."""
    quantised = np.rint(weights * STEPS).clip(0, STEPS).astype(np.uint8)
    return base64.b64encode(quantised.tobytes()).decode("ascii")
