"""What follows a training on the command line."""

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from transformer.cli.main import main
from transformer.cli.train import achieve
from transformer.config import TrainSettings


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the command calls, in order; nothing is trained."""
    found: list[str] = []

    def train(settings: object, watch: object) -> SimpleNamespace:
        found.append("train")
        reason = "pruned" if watch else "enough"
        return SimpleNamespace(
            update=7, best=12.3, run_dir=Path("a"), reason=reason, pruned=bool(watch)
        )

    def evaluate_run(settings: object) -> None:
        found.append("test")

    monkeypatch.setattr("transformer.training.train", train)
    monkeypatch.setattr("transformer.evaluation.evaluate_run", evaluate_run)
    return found


def test_a_training_is_tested_and_says_what_comes_next(
    calls: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["train"]) == 0
    assert calls == ["train", "test"]
    output = capfd.readouterr().out
    assert output.startswith("7 updates; best validation bleu 12.30\n")
    assert "next: transformer translate" in output


def test_a_pruned_training_is_not_tested(
    calls: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert achieve(TrainSettings(), lambda update, value: "pruned").pruned
    assert calls == ["train"]
    assert capfd.readouterr().out == "7 updates; pruned\n"


def test_what_comes_next_says_the_language_where_there_are_several(
    calls: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    data = ["data=files", "data.source=en", "data.target=de", "data.valid=v"]
    assert main(["train", *data, "data.train=[a,{path: b, target: zh}]"]) == 0
    output = capfd.readouterr().out
    assert output.count(" target_language=de\n") == 2


def test_of_several_processes_only_the_first_tests_and_prints(
    calls: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["train"]) == 0
    assert calls == ["train"]
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_during_the_test_is_one_line_and_exit_75(
    number: signal.Signals,
    calls: list[str],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def evaluate_run(settings: object) -> None:
        os.kill(os.getpid(), number)
        raise AssertionError("the signal was not heeded")

    before = signal.getsignal(number)
    monkeypatch.setattr("transformer.evaluation.evaluate_run", evaluate_run)
    assert main(["train"]) == 75
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert number.name in error
    assert "run again" in error
    assert signal.getsignal(number) is before
