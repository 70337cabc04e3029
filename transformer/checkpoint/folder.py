"""Many checkpoints in one folder: listed, linked, found, set aside, deleted."""

import json
import math
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from transformer.checkpoint.save import MANIFEST, METRICS, recover
from transformer.config import Metric
from transformer.errors import InputError, require

LOWER_IS_BETTER = {Metric.loss}


def link_checkpoint(name: str, folder: Path) -> None:
    """Let the link `name` beside `folder` point to it, replacing an older one in one step."""
    link, aside = folder.with_name(name), folder.with_name(f".{name}.aside")
    aside.unlink(missing_ok=True)
    if link.is_symlink() and link.readlink() == Path(folder.name):
        return
    aside.symlink_to(folder.name)
    aside.replace(link)


def mend_links(folder: Path, metric: Metric) -> None:
    """Let the links `last` and `best` point to what they say, and be absent where that is."""
    found = list_checkpoints(folder)
    for name, first in (("last", found[-1:]), ("best", best_first(found, metric)[:1])):
        if first:
            link_checkpoint(name, first[0])
        else:
            (folder / name).unlink(missing_ok=True)


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in `folder` (a run's `checkpoints`), oldest first."""
    return [path for path in numbered(folder) if (path / MANIFEST).is_file()]


def numbered(folder: Path) -> list[Path]:
    """The folders of checkpoints, oldest first, those without a manifest among them."""
    if not folder.is_dir():
        return []
    folders = [
        path
        for path in folder.iterdir()
        if path.name.isdigit() and path.is_dir() and not path.is_symlink()
    ]
    return sorted(folders, key=lambda path: int(path.name))


def set_aside(checkpoint: Path) -> Path:
    """The folder to which `checkpoint` was renamed, so that it counts no more."""
    damaged = checkpoint.with_name(f"{checkpoint.name}.damaged")
    if damaged.exists():
        shutil.rmtree(damaged)
    return checkpoint.replace(damaged)


def keep_checkpoints(folder: Path, kept: Iterable[Path]) -> None:
    """Delete the checkpoints in `folder` that are not `kept`, and what killed saves left."""
    recover(folder)
    names = {path.name for path in kept}
    _delete_leftovers(folder)
    for path in list_checkpoints(folder):
        if path.name not in names:
            # Under the new name, a deletion that is cut short leaves no half checkpoint.
            path.replace(path.with_name(f".{path.name}.0"))
    _delete_leftovers(folder)


def _delete_leftovers(folder: Path) -> None:
    for path in folder.glob(".[0-9]*.[0-9]*"):
        # What another process still reads from a network drive goes at the next call.
        shutil.rmtree(path, ignore_errors=True)


def read_metrics(folder: Path) -> dict[str, Any]:
    """The validation scores of the checkpoint in `folder`; empty if it was not validated."""
    try:
        metrics: dict[str, Any] = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / METRICS} cannot be read: {error}") from error
    return metrics


def metrics_or_empty(folder: Path) -> dict[str, Any]:
    """The same, and empty where the file is damaged: such a checkpoint is never the best."""
    try:
        return read_metrics(folder)
    except InputError:
        return {}


def best_first(checkpoints: Iterable[Path], metric: Metric) -> list[Path]:
    """Those of `checkpoints` that were validated, best first; of equal ones, the oldest first."""
    sign = 1 if metric in LOWER_IS_BETTER else -1
    found = [(path, metrics_or_empty(path).get(metric.name)) for path in checkpoints]
    validated = [(path, sign * float(value)) for path, value in found if value is not None]
    # NaN last: it is neither more nor less than another.
    validated.sort(key=lambda pair: (math.isnan(pair[1]), pair[1], int(pair[0].name)))
    return [path for path, _ in validated]


def find_checkpoint(path: str | Path, key: str = "checkpoint") -> Path:
    """The checkpoint that `path` names: itself, or the best (else the last) of a run's folder.

    InputError where there is none; it names `key`, the setting that gave the path.
    """
    path = Path(path)
    require(path.exists(), f"{key}={path} does not exist")
    require(path.is_dir(), f"{key}={path} is a file; give a run's or a checkpoint's folder")
    if (path / MANIFEST).is_file():
        return path
    for name in ("best", "last"):
        if (path / "checkpoints" / name / MANIFEST).is_file():
            return (path / "checkpoints" / name).resolve()
    # A process killed between saving and linking leaves links to nothing, or none.
    found = list_checkpoints(path / "checkpoints")
    if found:
        return found[-1].resolve()
    raise InputError(
        f"{key}={path} holds no checkpoint: neither {MANIFEST} nor checkpoints/best; "
        "give a run's folder or a checkpoint's own"
    )
