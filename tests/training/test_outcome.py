"""What becomes of a run: watched, pruned, gone on with, told by its folder."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from transformer.checkpoint import Checkpoint, list_checkpoints
from transformer.config import Metric, TrainSettings
from transformer.errors import InputError
from transformer.training import RunStatus, outcome_of, train
from transformer.training.validation import Validator

Change = Callable[..., TrainSettings]


def status_of(settings: TrainSettings) -> RunStatus:
    return outcome_of(Path(settings.run_dir), settings.training).status


class Watching:
    """A watch that ends the run at the update `end`."""

    def __init__(self, end: int = 0) -> None:
        self.end = end
        self.seen: list[tuple[int, float]] = []

    def __call__(self, update: int, value: float) -> str | None:
        self.seen.append((update, value))
        return f"pruned at {update}" if update == self.end else None


def test_a_watch_is_told_of_each_validation_that_is_due(
    settings: TrainSettings, change: Change
) -> None:
    watch = Watching()
    result = train(change(settings, training__max_updates=7), watch)
    assert [update for update, _ in watch.seen] == [3, 6]
    for path in list_checkpoints(Path(settings.run_dir) / "checkpoints")[:2]:
        assert (int(path.name), Checkpoint(path).metrics["loss"]) in watch.seen
    assert not result.pruned


def test_a_watched_run_is_the_same_as_another(settings: TrainSettings, change: Change) -> None:
    plain = change(settings, run_dir=f"{settings.run_dir}.plain")
    assert train(settings, Watching()).best == train(plain).best


def test_a_pruned_run_has_saved_and_says_so(settings: TrainSettings) -> None:
    result = train(settings, Watching(3))
    assert (result.update, result.pruned, result.reason) == (3, True, "pruned at 3")
    assert (Path(settings.run_dir) / "checkpoints" / "best").resolve().name == "00000003"
    outcome = outcome_of(Path(settings.run_dir), settings.training)
    assert (outcome.status, outcome.reason) == (RunStatus.pruned, "pruned at 3")
    assert (outcome.updates, outcome.scores["loss"]) == (3, result.best)


def test_a_limit_that_is_reached_goes_before_the_watch(settings: TrainSettings) -> None:
    assert not train(settings, Watching(6)).pruned
    assert status_of(settings) is RunStatus.done


def test_a_watch_is_told_again_of_what_the_checkpoint_had_been_validated_for(
    settings: TrainSettings, change: Change
) -> None:
    train(change(settings, training__max_updates=3))
    watch = Watching(3)
    assert train(settings, watch).pruned
    assert [update for update, _ in watch.seen] == [3]


def test_a_run_that_goes_on_has_not_ended(
    settings: TrainSettings, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status_of(settings) is RunStatus.waiting
    train(settings)
    assert status_of(settings) is RunStatus.done
    longer = change(settings, training__max_updates=9)
    with monkeypatch.context() as patch:

        def fail(*_: object) -> None:
            raise InputError("enough")

        patch.setattr(Validator, "validate", fail)
        with pytest.raises(InputError):
            train(change(longer, training__validate_every=8, training__checkpoint_every=7))
    assert status_of(longer) is RunStatus.stopped
    assert outcome_of(Path(settings.run_dir), longer.training).updates == 7
    train(longer)
    assert status_of(longer) is RunStatus.done


@pytest.mark.parametrize(("max_updates", "status"), [(6, "done"), (9, "stopped")])
def test_a_run_of_an_earlier_version_is_told_by_its_updates(
    settings: TrainSettings, change: Change, max_updates: int, status: str
) -> None:
    train(settings)
    (Path(settings.run_dir) / "result.json").unlink()
    assert status_of(change(settings, training__max_updates=max_updates)).name == status


def bleu_of(folder: Path, **values: object) -> float | None:
    result = {"made_by": {"checkpoint": "00000006"}, **values}
    (folder / "test.json").write_text(json.dumps(result))
    return outcome_of(folder, TrainSettings().training).test


def test_the_test_is_that_of_the_best_checkpoint_and_a_mean_over_sets(
    settings: TrainSettings,
) -> None:
    train(settings)
    folder = Path(settings.run_dir)
    for path in list_checkpoints(folder / "checkpoints"):
        metrics = {"bleu": float(path.name), "loss": 1.0, "chrf": 2.0}
        (path / "metrics.json").write_text(json.dumps(metrics))
    one = [{"name": "BLEU", "value": 10.0}, {"name": "chrF2", "value": 3.0}]
    two = [{"name": "BLEU", "value": 20.0}]
    assert bleu_of(folder, scores=one) == 10
    assert bleu_of(folder, sets=[{"scores": one}, {"scores": two}]) == 15
    assert bleu_of(folder, scores=one, made_by={"checkpoint": "00000003"}) is None
    assert bleu_of(folder, scores=one[1:]) is None
    assert bleu_of(folder) is None
    (folder / "test.json").write_text("{")
    outcome = outcome_of(folder, TrainSettings().training)
    assert outcome.test is None
    assert (TrainSettings().training.metric, outcome.scores["bleu"]) == (Metric.bleu, 6)
