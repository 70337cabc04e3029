"""Runs of a tiny model, whole ones to compare with and others to do harm to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.runs import changed, make_settings, write_corpus
from transformer.config import TrainSettings
from transformer.training import train
from transformer.training.stream import UpdateBatches
from transformer.training.update import Flags, Updater, UpdateResult


class Died(BaseException):
    """What ends a run in the midst, as a kill would."""


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the splits of a corpus, and a cache."""
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    return folder


@pytest.fixture
def settings(corpus: Path, tmp_path: Path) -> TrainSettings:
    """Those of a run in tmp_path/run."""
    return make_settings(corpus, tmp_path / "run", corpus / "cache")


@pytest.fixture(scope="session")
def undisturbed(
    corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., TrainSettings]:
    """Trains a run with other values of the settings at once; the same one for the same values."""
    folder = tmp_path_factory.mktemp("undisturbed")
    runs: dict[str, TrainSettings] = {}

    def trained(**values: Any) -> TrainSettings:
        key = repr(sorted(values.items()))
        if key not in runs:
            settings = make_settings(corpus, folder / str(len(runs)), corpus / "cache")
            runs[key] = changed(settings, **values)
            assert train(runs[key]).update == runs[key].training.max_updates
        return runs[key]

    return trained


@contextmanager
def dying(number: int, factor: float | None = None) -> Iterator[None]:
    """Lets a run end in the midst of update `number`, at that `factor` of rollbacks or any."""
    update = Updater.update

    def updated(self: Updater, batches: UpdateBatches, flags: Flags) -> UpdateResult:
        if batches.position.update == number and factor in {None, self.rate_factor}:
            raise Died
        return update(self, batches, flags)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Updater, "update", updated)
        yield


def cut_off(settings: TrainSettings, number: int, factor: float | None = None) -> None:
    """Train until a run ends in the midst of an update."""
    with dying(number, factor), pytest.raises(Died):
        train(settings)
