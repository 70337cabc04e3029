"""The attention command: pictures of where a model looks, and how far."""

import logging
from collections.abc import Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from transformer.config import AttentionKind, AttentionSettings, LineFormat, ModelConfig
from transformer.errors import InputError, require
from transformer.pictures.attention import Choice, Looks, choices, statistics
from transformer.pictures.heatmaps import as_png, as_svg, picture
from transformer.pictures.interactive import attention_section
from transformer.pictures.page import missing, render_page
from transformer.tables import Table
from transformer.text.files import read_lines
from transformer.translation import require_other_file, start
from transformer.translation.lines import Lines
from transformer.translation.looking import look
from transformer.translation.output import aside_of, can_be_replaced, resolve

logger = logging.getLogger(__name__)

SHOWN = 10  # lines, where nobody says which
PACKAGES = {".html": ("jinja2", "plotly"), ".png": ("matplotlib",), ".svg": ("matplotlib",)}


def show_attention(settings: AttentionSettings) -> Table:
    """Draw what `settings` ask for; how sharply and how far each head looks in these lines."""
    suffix = Path(settings.output).suffix
    for package in PACKAGES[suffix]:
        if find_spec(package) is None:
            raise missing(package)
    for key, file in (("input", settings.input), ("target", settings.target)):
        require_other_file(key, file, settings.output)
    resolve(settings.output)
    sources, targets = _texts(settings)
    rows = _rows(settings, sources)
    translator = start(settings)
    sizes = sizes_of_model(translator.settings.model)
    chosen = choices(sizes, settings.kinds, settings.layers, settings.heads)
    looks = look(translator, sources, targets, settings.unit, settings.search, rows=rows)
    if suffix == ".html":
        title = f"Attention of {settings.checkpoints[0]}"
        numbers = [row + 1 for row in rows]
        section = attention_section(looks, chosen, numbers=numbers, title="Heat-maps")
        write(settings.output, render_page(title, [section]).encode())
        logger.info("%d sentences: %s", len(looks), settings.output)
    else:
        _write_pictures(settings.output, looks, rows, chosen)
    return statistics(looks, chosen)


def sizes_of_model(model: ModelConfig) -> dict[AttentionKind, tuple[int, int]]:
    """The numbers of layers and heads of each kind of attention."""
    return {
        AttentionKind.encoder: (model.encoder_layers, model.n_heads),
        AttentionKind.decoder: (model.decoder_layers, model.n_heads),
        AttentionKind.cross: (model.decoder_layers, model.n_heads),
    }


def _texts(settings: AttentionSettings) -> tuple[list[str], list[str] | None]:
    """All lines of the input, and their translations where there is a file of them."""
    with closing(Lines(settings.input, LineFormat.text)) as lines:
        sources = [each.source for window in lines.windows() for each in window.requests]
    require(bool(sources), f"{lines.name} is empty; it must hold one sentence a line")
    if settings.target is None:
        return sources, None
    targets = list(read_lines(Path(settings.target)))
    n, m = len(sources), len(targets)
    require(
        n == m,
        f"{lines.name} has {n} lines but {settings.target} has {m}; parallel files hold one "
        "sentence a line",
    )
    return sources, targets


def _rows(settings: AttentionSettings, sources: Sequence[str]) -> list[int]:
    """The lines to show, from 0: those asked for, or the first that are not blank."""
    n = len(sources)
    if settings.lines:
        beyond = [number for number in settings.lines if number > n]
        require(not beyond, f"lines={beyond} is beyond the {n} lines of the input")
        return [number - 1 for number in settings.lines]
    written = [row for row, text in enumerate(sources) if text.strip()]
    require(bool(written), "all lines of the input are blank; there is nothing to look at")
    if len(written) > SHOWN:
        logger.info(
            "the first %d of %d lines are shown; lines=[…] shows others", SHOWN, len(written)
        )
    if len(written) < n:
        logger.info("%d blank lines are left out", n - len(written))
    return written[:SHOWN]


def _write_pictures(
    output: str, looks: Sequence[Looks], rows: Sequence[int], chosen: Sequence[Choice]
) -> None:
    """A file for each sentence; of several, each has the number of its line in its name."""
    file = Path(output)
    draw = as_png if file.suffix == ".png" else as_svg
    for each, row in zip(looks, rows, strict=True):
        number = f".{row + 1}" if len(looks) > 1 else ""
        name = str(file.with_suffix(f"{number}{file.suffix}"))
        write(name, draw(picture(each, chosen)))
        logger.info("line %d: %s", row + 1, name)


def write(output: str, content: bytes) -> None:
    """Write the file `output`, which appears whole; what cannot be replaced, as it is."""
    file = resolve(output)
    aside = aside_of(file) if can_be_replaced(file) else file
    try:
        aside.write_bytes(content)
        if aside != file:
            aside.replace(file)
    except OSError as error:
        raise InputError(f"output={output} cannot be written: {error.strerror}") from error
    finally:
        if aside != file:
            aside.unlink(missing_ok=True)
