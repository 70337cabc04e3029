"""Sweeps under way: what they print, what they leave, how they end."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from transformer.cli.main import COMMANDS, main
from transformer.cli.sweeping.runs import failure
from transformer.config import TrainSettings
from transformer.errors import InputError, Stopped

Capture = pytest.CaptureFixture[str]
Replace = Callable[[Callable[[TrainSettings], None]], list[int]]


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> Replace:
    """Puts a function in the place of the training; gives the seeds of its runs."""

    def put(run: Callable[[TrainSettings], None]) -> list[int]:
        seeds: list[int] = []

        def counted(settings: TrainSettings) -> None:
            seeds.append(settings.seed)
            run(settings)

        monkeypatch.setitem(COMMANDS, "train", replace(COMMANDS["train"], run=counted))
        return seeds

    return put


def states(folder: Path) -> list[str]:
    """The states of the runs, by their names."""
    rows = [line.split("\t") for line in (folder / "sweep.tsv").read_text().splitlines()[1:]]
    return [row[-1] for row in sorted(rows, key=lambda row: row[1])]


def test_after_a_run_that_fails_the_others_are_made(
    replaced: Replace, tmp_path: Path, capfd: Capture
) -> None:
    def run(settings: TrainSettings) -> None:
        if settings.seed == 2:
            raise InputError("wrong")

    seeds = replaced(run)
    assert main(["train", "-m", "seed=1,2,3", f"run_dir={tmp_path}"]) == 1
    assert seeds == [1, 2, 3]
    assert states(tmp_path) == ["waiting", "failed: wrong", "waiting"]
    output, error = capfd.readouterr()
    assert "failed: wrong" in output
    assert error.splitlines()[-1] == f"error: 1 of 3 runs failed; {tmp_path}/seed=2: wrong"


def stop(settings: TrainSettings) -> None:
    raise Stopped("saved")


def be_killed(settings: TrainSettings) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("run", [stop, be_killed])
def test_a_signal_ends_the_sweep_and_leaves_its_table(
    run: Callable[[TrainSettings], None], replaced: Replace, tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    seeds = replaced(run)
    assert main(["train", "-m", "seed=1,2,3", f"run_dir={tmp_path}"]) == 75
    assert seeds == [1]
    assert states(tmp_path) == ["waiting"] * 3
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_defect_of_ours_ends_the_sweep(replaced: Replace, tmp_path: Path) -> None:
    def run(settings: TrainSettings) -> None:
        raise RuntimeError("shapes differ")

    seeds = replaced(run)
    with pytest.raises(RuntimeError, match="shapes differ"):
        main(["train", "-m", "seed=1,2", f"run_dir={tmp_path}"])
    assert seeds == [1]


def test_a_model_too_large_for_the_gpu_is_a_run_that_failed() -> None:
    class OutOfMemoryError(RuntimeError):
        pass

    assert failure(OutOfMemoryError("2 GiB\nmore")) == "out of GPU memory: 2 GiB"
    assert failure(RuntimeError("2 GiB")) is None


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Overrides of runs of four updates with a validation after each second, in a/."""
    for name, text in (("xx", "ab ba\nabba\n"), ("yy", "cd dc\ncddc\n")):
        (tmp_path / f"text.{name}").write_text(text * 8)
    monkeypatch.chdir(tmp_path)
    data = "data=files data.source=xx data.target=yy data.train=text data.valid=text data.test=text"
    tokenizer = "tokenizer=char tokenizer.vocab_size=12 tokenizer.byte_fallback=false"
    model = "model=tiny model.d_model=16 model.d_feed_forward=16 model.n_heads=2"
    training = "training.max_updates=4 training.validate_every=2 training.metric=loss"
    return f"{data} {tokenizer} {model} {training} threads=1 device=cpu run_dir=a".split()


def test_a_sweep_leaves_a_table_and_goes_on_where_it_is_incomplete(
    tiny: list[str], capfd: Capture
) -> None:
    assert main(["train", "-m", *tiny, "optim.lr=1e-3,1e300"]) == 1
    output, error = capfd.readouterr()
    assert states(Path("a"))[0] == "done"
    assert "2 runs in a, by valid loss" in output
    assert "1 of 2 runs failed; a/optim.lr=1e+300: " in error
    table = Path("a/sweep.tsv").read_text().splitlines()
    assert table[1].startswith("1\toptim.lr=0.001\t0.001\t")
    assert main(["train", "-m", *tiny, "optim.lr=1e-3,2e-3"]) == 0
    output, error = capfd.readouterr()
    assert "the run in a/optim.lr=0.001 is finished" in error
    assert states(Path("a")) == ["done", "done"]
    assert output.splitlines()[-1].endswith("done")


def test_a_study_trains_prunes_and_is_not_made_twice(tiny: list[str], capfd: Capture) -> None:
    pytest.importorskip("optuna")
    study = [*("train", "-m", "hydra/sweeper=optuna", "hydra.sweeper.sampler=grid"), *tiny]
    study += ["hydra.sweeper.n_trials_before_pruning=1", "optim.lr=choice(1e-2,1e-6)"]
    study += ["optim.warmup=1"]
    assert main(study) == 0
    output = capfd.readouterr().out
    assert states(Path("a")) == ["done", "pruned"]
    assert "\n2 updates; pruned by hydra.sweeper.pruner=median at loss" in output
    assert not Path("a/001/test.json").exists()
    assert Path("a/001/checkpoints/best/model.safetensors").exists()
    before = Path("a/sweep.json").read_text()
    assert main(study) == 0
    output, error = capfd.readouterr()
    assert "training from the beginning" not in error
    assert Path("a/sweep.json").read_text() == before
    assert output.startswith("\n2 runs in a, by valid loss")
