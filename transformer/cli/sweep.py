"""`train --multirun`: one run for each combination of the values given."""

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

from transformer.cli.compose import Composer
from transformer.cli.overrides import key_of, parse
from transformer.errors import require

LAUNCHER = "hydra/launcher"
_LONGEST_NAME = 120  # characters of a folder's name


def single(composer: Composer, texts: Sequence[str]) -> list[Any]:
    """The settings of the one run that the overrides `texts` describe."""
    for text in texts:
        require(not is_of_launcher(text), f"{text} goes with train --multirun")
    return [composer.settings(texts)]


def sweep(composer: Composer, texts: Sequence[str]) -> list[Any]:
    """The settings of every run, in the order of Hydra's basic sweeper.

    Each run gets a folder of its own inside `run_dir`. The launcher's overrides are left out.
    """
    runs = []
    own = [text for text in texts if not is_of_launcher(text)]
    for number, (overrides, name) in enumerate(jobs(own, composer.cls)):
        settings = composer.settings(overrides)
        usable = len(name) <= _LONGEST_NAME and "/" not in name
        settings.run_dir += f"/{name if usable else number}" if name else ""
        runs.append(settings)
    return runs


def jobs(texts: Sequence[str], cls: type[Any]) -> list[tuple[list[str], str]]:
    """The overrides of each run, and a name: those that differ from run to run."""
    overrides = parse(texts, cls)
    swept = {key_of(each.input_line or "") for each in overrides if each.is_sweep_override()}
    (batch,) = BasicSweeper.split_arguments(overrides, max_batch_size=None)
    return [
        (job, ",".join(text for text in job if key_of(text) in swept - {"run_dir"}))
        for job in batch
    ]


def is_of_launcher(text: str) -> bool:
    """Whether the override `text` says where the runs of a sweep run, and not what they are."""
    return key_of(text) == LAUNCHER or text.startswith("hydra.launcher.")
