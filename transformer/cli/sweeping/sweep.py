"""`train --multirun`: one run for each combination of the values given."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Glob, Override

from transformer.cli.compose import Composer
from transformer.cli.overrides import key_of, parse
from transformer.errors import require

LAUNCHER = "hydra/launcher"
SWEEPER = "hydra/sweeper"
_LONGEST_NAME = 120  # characters of a folder's name


@dataclass(frozen=True)
class Run:
    """A run of a sweep: its settings, and those values that differ from run to run, by key."""

    settings: Any
    values: dict[str, Any]


@dataclass(frozen=True)
class Sweep:
    """The runs of a sweep, and the folder that holds theirs; None where no folder holds them."""

    folder: Path | None
    runs: list[Run]


def single(composer: Composer, texts: Sequence[str]) -> list[Any]:
    """The settings of the one run that the overrides `texts` describe."""
    for text in texts:
        require(
            not (is_of_launcher(text) or is_of_sweeper(text)), f"{text} goes with train --multirun"
        )
    return [composer.settings(texts)]


def sweep(composer: Composer, texts: Sequence[str]) -> Sweep:
    """Every run, in the order of Hydra's basic sweeper.

    Each run gets a folder of its own inside `run_dir`. What the overrides say of launcher and
    sweeper is left out.
    """
    runs: list[Run] = []
    folders = []
    own = [text for text in texts if not (is_of_launcher(text) or is_of_sweeper(text))]
    for number, (overrides, swept) in enumerate(jobs(own, composer.cls)):
        settings = composer.settings(overrides)
        named = [text for text in swept if key_of(text) != "run_dir"]
        name = ",".join(named)
        folders.append(Path(settings.run_dir) if name and named == swept else None)
        usable = len(name) <= _LONGEST_NAME and "/" not in name
        settings.run_dir += f"/{name if usable else number}" if name else ""
        runs.append(Run(settings, {key_of(text): typed(text.partition("=")[2]) for text in named}))
    names = [each.settings.run_dir for each in runs]
    for name in names:
        require(names.count(name) == 1, f"two runs of the sweep have run_dir={name}")
    return Sweep(folders[0], runs)


def jobs(texts: Sequence[str], cls: type[Any]) -> list[tuple[list[str], list[str]]]:
    """The overrides of each run, and those of them that differ from run to run."""
    overrides = parse(texts, cls)
    for each in overrides:
        check_kind(each)
        require(
            not each.is_sweep_override() or each.is_discrete_sweep(),
            f"{each.input_line} goes with {SWEEPER}=optuna; without it, list the values",
        )
    check_once(overrides)
    swept = {key_of(each.input_line or "") for each in overrides if each.is_sweep_override()}
    (batch,) = BasicSweeper.split_arguments(overrides, max_batch_size=None)
    return [(job, [text for text in job if key_of(text) in swept]) for job in batch]


def check_once(overrides: Sequence[Override]) -> None:
    """InputError where a setting that varies is given more than once."""
    for each in overrides:
        key = key_of(each.input_line or "")
        lines = [other.input_line or "" for other in overrides]
        same = [line for line in lines if key_of(line) == key]
        require(
            not each.is_sweep_override() or len(same) == 1,
            f"{' and '.join(same)}: give {key} once, with all of its values",
        )


def check_kind(override: Override) -> None:
    """InputError for options to be looked up, which only Hydra's own command line can do."""
    require(
        not isinstance(override.value(), Glob), f"{override.input_line}: list the options by name"
    )


def typed(text: str) -> Any:
    """The value that `text` spells, in Hydra's grammar: a number, or text without quotes."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    quoted = len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]
    return text[1:-1] if quoted else re.sub(r"\\(.)", r"\1", text)


def is_of_launcher(text: str) -> bool:
    """Whether the override `text` says where the runs of a sweep run, and not what they are."""
    return key_of(text) == LAUNCHER or text.startswith("hydra.launcher.")


def is_of_sweeper(text: str) -> bool:
    """Whether the override `text` says how a sweep comes by its runs."""
    return key_of(text) == SWEEPER or text.startswith(("hydra.sweeper.", f"{SWEEPER}/"))
