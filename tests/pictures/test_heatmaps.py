"""Pictures of attention."""

import builtins
import struct
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from transformer.config import AttentionKind
from transformer.errors import InputError
from transformer.pictures.attention import Looks, choices, sizes_of
from transformer.pictures.heatmaps import as_png, as_svg, picture

Draw = Callable[..., Looks]
STRANGE = [
    "$\\frac{$",
    "<b>",
    "漢字",
    "\x00",
    "\uffff",
    "a_b",
    "שלום",
    "😀",
    "&",
    "\\frac{",
    "l" * 80,
]


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def labels(figure: Any) -> list[str]:
    axes = figure.axes[0]
    return [text.get_text() for text in axes.get_xticklabels() + axes.get_yticklabels()]


def test_a_single_head_has_both_sentences_on_its_axes(draw: Draw) -> None:
    looks = draw(["the", "old", "cat"], ["die", "Katze"])
    figure = picture(looks, choices(sizes_of(looks), [AttentionKind.cross], [3], [2]))
    assert labels(figure) == [*looks.source, *looks.target]
    (image,) = figure.axes[0].images
    shown = np.asarray(image.get_array())
    assert shown.shape == (3, 4)
    assert shown.tolist() == looks.cross[2, 1].tolist()
    assert "layer 3, head 2" in [text.get_text() for text in figure.texts]


def test_a_grid_has_each_head_of_each_kind_in_its_place(draw: Draw) -> None:
    looks = draw(["a", "b", "c"], ["x", "y"])
    figure = picture(looks, choices(sizes_of(looks)))
    maps = [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]
    assert len(maps) == 3
    cross = maps[2]
    gap = 1
    for layer in range(3):
        for head in range(4):
            top, left = layer * (3 + gap), head * (4 + gap)
            found = cross[top : top + 3, left : left + 4]
            assert found.tolist() == looks.cross[layer, head].tolist()
    texts = [text.get_text() for text in figure.texts]
    assert texts.count("head 4") == 3
    assert texts.count("layer 2") == 3


def test_strange_text_is_drawn_as_it_is_without_a_warning(draw: Draw) -> None:
    looks = draw(STRANGE, ["x"])
    figure = picture(looks, choices(sizes_of(looks), [AttentionKind.encoder], [1], [1]))
    assert "$\\frac{$" in labels(figure)
    assert size(as_png(figure)) > (100, 100)
    root = ET.fromstring(as_svg(figure))
    assert root.tag.endswith("svg")


def test_forty_words_fit_and_many_more_go_without_labels(draw: Draw) -> None:
    words = [f"word{i}" for i in range(40)]
    looks = draw(words, words, 1, 1, 2)
    figure = picture(looks, choices(sizes_of(looks), [AttentionKind.cross]))
    assert len(labels(figure)) == 2 * 41 + 41
    looks = draw(["w"] * 200, ["w"], 1, 1, 2)
    figure = picture(looks, choices(sizes_of(looks), [AttentionKind.encoder]))
    assert labels(figure) == []
    assert max(size(as_png(figure))) < 6000


def test_the_same_attention_is_the_same_picture(draw: Draw) -> None:
    looks = draw(["a", "b"], ["c"])
    chosen = choices(sizes_of(looks), [AttentionKind.cross], [1])
    assert as_png(picture(looks, chosen)) == as_png(picture(looks, chosen))


def test_no_window_and_no_global_state_is_touched(draw: Draw) -> None:
    import matplotlib as mpl
    from matplotlib._pylab_helpers import Gcf

    before = dict(mpl.rcParams)
    looks = draw(["a"], ["b"])
    as_png(picture(looks, choices(sizes_of(looks), [AttentionKind.cross])))
    assert dict(mpl.rcParams) == before
    assert Gcf.figs == {}


def test_without_matplotlib_one_line_names_the_extra(
    draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    looks = draw(["a"], ["b"])
    with pytest.raises(InputError, match=r"matplotlib; pip install .*\[report\]"):
        picture(looks, choices(sizes_of(looks)))
