"""Which checkpoints of a run stay on the disk."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transformer.checkpoint import best_first
from transformer.checkpoint.folder import metrics_or_empty
from transformer.config import TrainingConfig


@dataclass(frozen=True)
class Saved:
    """A checkpoint, as far as it matters to whether it is kept."""

    update: int
    minutes: float | None = None  # of training until then; None: not known


def kept(saved: Sequence[Saved], best: Sequence[int], config: TrainingConfig) -> set[int]:
    """The updates whose checkpoints stay; `saved` is oldest first, `best` best first.

    The last ones, the best ones, those at multiples of training.keep_every, and the first one at
    or after each multiple of training.keep_minutes. What a later call would keep of all that were
    ever saved, it keeps of what earlier calls left.
    """
    stay = {each.update for each in saved[-config.keep_last :]}
    stay.update(best[: config.keep_best])
    if config.keep_every is not None:
        stay.update(each.update for each in saved if each.update % config.keep_every == 0)
    if config.keep_minutes is not None:
        stay.update(_first_of_each(saved, config.keep_minutes))
    return stay


def _first_of_each(saved: Sequence[Saved], minutes: float) -> list[int]:
    """The updates of the first checkpoint at or after each multiple of `minutes`."""
    found, reached = [], 0
    for each in saved:
        if each.minutes is None:
            continue
        multiple = math.floor(each.minutes / minutes)
        if multiple > reached:
            found.append(each.update)
            reached = multiple
    return found


def kept_checkpoints(found: Sequence[Path], config: TrainingConfig) -> list[Path]:
    """Those of the checkpoints `found`, oldest first, that stay."""
    saved = [Saved(int(path.name), metrics_or_empty(path).get("minutes")) for path in found]
    best = [int(path.name) for path in best_first(found, config.metric)]
    stay = kept(saved, best, config)
    return [path for path in found if int(path.name) in stay]
