"""What is checked, moved and taken up before a run trains."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from transformer.checkpoint import Checkpoint, list_checkpoints
from transformer.config import (
    DistillationConfig,
    FaultAction,
    FaultsConfig,
    Resume,
    TrainSettings,
    save_settings,
)
from transformer.errors import InputError, Stopped
from transformer.signals import Signals
from transformer.training import train
from transformer.training.validation import Validation, Validator
from transformer.training.writer import CheckpointWriter

Change = Callable[..., TrainSettings]
Logged = Callable[[TrainSettings, str], list[tuple[int, float]]]
TRAIN = """
import sys
from pathlib import Path
from transformer.config import TrainSettings, load_settings
from transformer.errors import Stopped
from transformer.training import train
try:
    train(load_settings(TrainSettings, Path(sys.argv[1])))
except Stopped as stopped:
    print(stopped, file=sys.stderr)
    sys.exit(75)
"""


def saved(settings: TrainSettings) -> list[int]:
    folder = Path(settings.run_dir) / "checkpoints"
    return [int(path.name) for path in list_checkpoints(folder)]


def siblings(settings: TrainSettings) -> list[str]:
    return sorted(path.name for path in Path(settings.run_dir).parent.glob("run*"))


def test_resume_never_moves_the_run_aside_once_all_settings_have_proved_right(
    settings: TrainSettings, change: Change, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "transformer")
    train(settings)
    anew = change(settings, training__resume=Resume.never)
    for wrong in ({"training__freeze": ["encodr.*"]}, {"training__init_from": "nowhere"}):
        with pytest.raises(InputError):
            train(change(anew, **wrong))
        assert siblings(settings) == ["run"]
        assert saved(settings) == [3, 6]
    assert train(change(anew, optim__lr=1e-3, training__max_updates=4)).update == 4
    assert siblings(settings) == ["run", "run.1"]
    assert saved(settings) == [3, 4]
    assert saved(replace(settings, run_dir=f"{settings.run_dir}.1")) == [3, 6]
    assert "was moved to" in (Path(settings.run_dir) / "train.log").read_text(encoding="utf-8")


def test_a_run_can_begin_anew_from_its_own_weights(settings: TrainSettings, change: Change) -> None:
    train(settings)
    again = change(settings, training__resume=Resume.never, training__init_from=settings.run_dir)
    assert train(again).update == 6
    assert siblings(settings) == ["run", "run.1"]


def test_what_torchrun_starts_again_goes_on(
    settings: TrainSettings, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(settings)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    train(change(settings, training__resume=Resume.never))
    assert siblings(settings) == ["run"]


def test_a_run_without_a_checkpoint_takes_other_settings(
    settings: TrainSettings, change: Change
) -> None:
    Path(settings.run_dir).mkdir()
    save_settings(settings, Path(settings.run_dir) / "config.yaml")
    assert train(change(settings, optim__lr=1e-3)).update == 6
    with pytest.raises(InputError, match=r"optim.lr was 0.001, now 0.002"):
        train(settings)


def test_a_tuned_run_goes_on_without_the_run_it_was_tuned_from(
    settings: TrainSettings, change: Change
) -> None:
    base = change(settings, run_dir=f"{settings.run_dir}-base")
    train(base)
    tuned = change(settings, training__init_from=base.run_dir)
    train(tuned)
    Path(base.run_dir).rename(f"{settings.run_dir}-gone")
    assert train(tuned).update == 6
    assert train(change(tuned, training__max_updates=8)).update == 8


def test_another_teacher_at_the_same_place_is_refused(
    settings: TrainSettings, change: Change
) -> None:
    teacher = change(settings, run_dir=f"{settings.run_dir}-teacher")
    train(teacher)
    learning = change(settings, training__distillation=DistillationConfig(teacher=teacher.run_dir))
    train(learning)
    train(change(learning, training__max_updates=7))
    train(change(teacher, seed=2, training__resume=Resume.never))
    with pytest.raises(InputError, match="teacher is another model"):
        train(change(learning, training__max_updates=8))


def test_a_signal_at_the_very_end_is_not_lost(
    settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = CheckpointWriter.close

    def interrupted(self: CheckpointWriter, *, must_succeed: bool) -> None:
        if must_succeed:
            os.kill(os.getpid(), signal.SIGTERM)
        close(self, must_succeed=must_succeed)

    monkeypatch.setattr(CheckpointWriter, "close", interrupted)
    with pytest.raises(Stopped, match="SIGTERM at the end of training, before the test"):
        train(settings)
    assert saved(settings) == [3, 6]
    monkeypatch.undo()
    assert train(settings).update == 6


def test_the_last_line_is_logged_where_patience_ends_a_run(
    settings: TrainSettings, change: Change, logged: Logged
) -> None:
    settings = change(
        settings,
        optim__lr=1e-30,
        training__patience=2,
        training__validate_every=1,
        training__log_every=100,
    )
    assert train(settings).update == 3
    assert [step for step, _ in logged(settings, "train/loss")] == [3]


def test_a_rollback_at_the_end_of_a_run_goes_on_and_counts(
    settings: TrainSettings, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    validate = Validator.validate
    found: list[Any] = []

    def failing(self: Validator, *arguments: Any) -> Validation | None:
        found.append(1)
        if len(found) == 2:
            raise FloatingPointError("no numbers")
        return validate(self, *arguments)

    monkeypatch.setattr(Validator, "validate", failing)
    faults = FaultsConfig(action=FaultAction.rollback)
    settings = change(settings, training__max_updates=5, training__faults=faults)
    assert train(settings).update == 5
    state = Checkpoint(Path(settings.run_dir) / "checkpoints" / "last").training()
    assert state["standing"]["n_rollbacks"] == 1
    assert state["standing"]["rollback_factor"] == 0.5


def test_a_signal_to_the_whole_group_saves_though_loaders_are_of_it(
    settings: TrainSettings, change: Change, tmp_path: Path
) -> None:
    settings = change(
        settings,
        data__workers=2,
        training__max_updates=1_000_000,
        training__validate_every=1_000_000,
    )
    save_settings(settings, tmp_path / "settings.yaml")
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(tmp_path / "settings.yaml")],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    log = Path(settings.run_dir) / "train.log"
    deadline = time.monotonic() + 60
    while not (log.exists() and "update 5 " in log.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)
    _, text = process.communicate(timeout=60)
    assert process.returncode == 75, text
    assert "stopped by SIGTERM after update" in text


def test_signals_of_one_run_do_not_linger_in_the_next(settings: TrainSettings) -> None:
    before = signal.getsignal(signal.SIGTERM)
    train(settings)
    assert signal.getsignal(signal.SIGTERM) is before
    assert Signals().received is None
