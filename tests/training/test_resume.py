"""A run in several parts is the same, bit for bit, as a run at once."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from transformer.checkpoint import Checkpoint
from transformer.config import OptimKind, Precision, Schedule, TrainSettings, save_settings
from transformer.training import train
from transformer.training.stream import UpdateBatches
from transformer.training.update import Flags, Updater, UpdateResult

Change = Callable[..., TrainSettings]
Logged = Callable[[TrainSettings, str], list[tuple[int, float]]]
Same = Callable[..., None]
N_UPDATES = 9
FRESH_PROCESS = """
import sys
from pathlib import Path
from transformer.config import TrainSettings, load_settings
from transformer.training import train
train(load_settings(TrainSettings, Path(sys.argv[1])))
"""


class CutOff(Exception):  # noqa: N818
    """What ends a run in the middle of an update."""


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """The leaves of nested dictionaries, lists and tuples by path."""
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, item in items for k, v in flat(item, f"{path}/{key}").items()}
    return {path: value}


@pytest.fixture
def assert_same_run(logged: Logged) -> Same:
    """Bit for bit: weights, all that a resumption needs, validations and logged losses."""

    def check(found: TrainSettings, expected: TrainSettings, stop: int | None = None) -> None:
        a, b = (Path(s.run_dir) / "checkpoints" / f"{N_UPDATES:08d}" for s in (found, expected))
        assert (a / "model.safetensors").read_bytes() == (b / "model.safetensors").read_bytes()
        scores = [Checkpoint(folder).metrics | {"minutes": 0} for folder in (a, b)]
        assert scores[0] == scores[1]
        left, right = flat(Checkpoint(a).training()), flat(Checkpoint(b).training())
        assert left.keys() == right.keys()
        for key in left.keys() - {"/elapsed_s"}:
            if isinstance(left[key], torch.Tensor):
                assert torch.equal(left[key], right[key]), key
            else:
                assert left[key] == right[key], key
        for tag in ("train/loss", "train/gradient_norm", "train/learning_rate", "validation/loss"):
            points = logged(expected, tag)
            steps = {step for step, _ in points}
            # A stop in between is validated too.
            assert [x for x in logged(found, tag) if x[0] in steps or x[0] != stop] == points

    return check


@pytest.fixture
def whole(settings: TrainSettings, change: Change, tmp_path: Path) -> Callable[..., TrainSettings]:
    """Trains N_UPDATES at once, two batches an update; gives the settings."""

    def run(**values: Any) -> TrainSettings:
        changed = change(
            settings,
            run_dir=str(tmp_path / "whole"),
            training__accumulate=2,
            training__max_updates=N_UPDATES,
            **values,
        )
        assert train(changed).update == N_UPDATES
        return changed

    return run


@pytest.mark.parametrize(
    ("m", "values"),
    [
        (1, {"training__validate_every": 1}),
        (4, {"training__validate_every": 1, "training__rdrop": 1.0}),
        (4, {"training__validate_every": 3, "training__ema": 0.9}),
        (4, {"training__validate_every": 3, "precision": Precision.fp16}),
        (7, {"training__validate_every": 2, "optim__kind": OptimKind.muon}),
        (7, {"training__validate_every": 2, "optim__kind": OptimKind.adafactor}),
        (5, {"optim__schedule": Schedule.plateau, "optim__plateau_patience": 1}),
        (4, {"training__gradient_checkpointing": True, "training__freeze": ["encoder.*"]}),
        (4, {"model__attention_dropout": 0.0, "training__packing": True}),
        (4, {"data__prefetch": 3}),
        (4, {"training__compile": True}),
    ],
    ids=lambda value: None if isinstance(value, int) else "-".join(value),
)
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_a_run_in_two_parts_equals_a_run_at_once_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch,
    whole: Callable[..., TrainSettings],
    change: Change,
    assert_same_run: Same,
    tmp_path: Path,
    m: int,
    values: dict[str, Any],
) -> None:
    # What torch.compile makes takes a minute to make; graphs run as they are traced.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    expected = whole(**values)
    parts = change(expected, run_dir=str(tmp_path / "parts"))
    assert train(change(parts, training__max_updates=m)).update == m
    state = Checkpoint(Path(parts.run_dir) / "checkpoints" / "last").training()
    assert state["position"]["legs"], "this must stop in the middle of an epoch"
    torch.manual_seed(99)
    train(parts)
    assert_same_run(parts, expected, stop=m)


def test_a_fresh_process_goes_on_bit_for_bit(
    whole: Callable[..., TrainSettings], change: Change, assert_same_run: Same, tmp_path: Path
) -> None:
    expected = whole(training__validate_every=5)
    parts = change(expected, run_dir=str(tmp_path / "parts"))
    train(change(parts, training__max_updates=5))
    save_settings(parts, tmp_path / "settings.yaml")
    command = [sys.executable, "-c", FRESH_PROCESS, str(tmp_path / "settings.yaml")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert_same_run(parts, expected)


def test_a_run_that_was_killed_goes_on_from_its_checkpoint_bit_for_bit(
    whole: Callable[..., TrainSettings],
    change: Change,
    assert_same_run: Same,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = whole()
    parts = change(expected, run_dir=str(tmp_path / "parts"))
    update = Updater.update

    def killed(self: Updater, batches: UpdateBatches, flags: Flags) -> UpdateResult:
        if batches.position.update == 6:
            raise CutOff
        return update(self, batches, flags)

    monkeypatch.setattr(Updater, "update", killed)
    with pytest.raises(CutOff):
        train(parts)
    monkeypatch.undo()
    last = Path(parts.run_dir) / "checkpoints" / "last"
    assert last.resolve().name == "00000003"
    train(parts)
    assert_same_run(parts, expected)
