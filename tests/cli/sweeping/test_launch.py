"""Sweeps whose runs are jobs of a cluster."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from transformer.cli.compose import Composer
from transformer.cli.main import main
from transformer.cli.sweeping.launch import Job, Launcher, build_launcher, launch
from transformer.cli.sweeping.sweep import sweep
from transformer.config import TrainSettings
from transformer.errors import InputError, Stopped

SLURM = "hydra/launcher=submitit_slurm"
LOCAL = "hydra/launcher=submitit_local"

# A run that, when it starts for the first time, is told that the time of its job is over.
RUN = """
import os
import signal
import time
from pathlib import Path

from transformer.errors import InputError, Stopped


def preempted(settings):
    folder = Path(settings.run_dir)
    folder.mkdir(exist_ok=True)
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    rank = " ".join(os.environ.get(name, "-") for name in names)
    again = (folder / rank).exists()
    (folder / rank).touch()
    if again:
        return
    asked = []
    before = signal.signal(signal.SIGUSR1, lambda *_: asked.append(True))
    try:
        os.kill(os.getpid(), signal.SIGUSR2)
        while not asked:
            time.sleep(0.01)
        (folder / f"saved by {rank}").touch()
        raise Stopped("saved")
    finally:
        signal.signal(signal.SIGUSR1, before)


def stopped(settings):
    raise Stopped("saved")


def mistaken(settings):
    raise InputError("data.train=a is missing")
"""


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of functions that jobs can import too."""
    pytest.importorskip("submitit")
    (tmp_path / "runs_of_jobs.py").write_text(RUN)
    monkeypatch.chdir(tmp_path)
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("runs_of_jobs", None)
    import runs_of_jobs  # type: ignore[import-not-found]

    assert isinstance(runs_of_jobs, ModuleType)
    return runs_of_jobs


def build(*texts: str) -> tuple[Launcher | None, list[TrainSettings]]:
    composer = Composer("train", TrainSettings)
    settings = [each.settings for each in sweep(composer, texts).runs]
    return build_launcher(composer, texts, settings), settings


def launch_locally(
    runs: ModuleType,
    name: str,
    *texts: str,
    tell: Callable[[Mapping[str, str]], None] | None = None,
) -> None:
    launcher, settings = build(LOCAL, "run_dir=a", *texts)
    assert launcher is not None
    launch(launcher, getattr(runs, name), settings, tell or (lambda failures: None))


def complaint(*texts: str) -> str:
    with pytest.raises(InputError) as caught:
        build(*texts)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_a_launcher_this_process_runs_the_sweep() -> None:
    assert build("seed=1,2")[0] is None
    assert build("seed=1,2", "hydra/launcher=basic")[0] is None


def test_the_launcher_is_no_setting_of_the_runs() -> None:
    composer = Composer("train", TrainSettings)
    texts = ["seed=1,2", "run_dir=a"]
    of_launcher = [SLURM, "hydra.launcher.nodes=2"]
    assert sweep(composer, [*of_launcher, *texts]) == sweep(composer, texts)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["hydra/launcher=joblib"], "there are basic, submitit_local, submitit_slurm"),
        (
            ["hydra.launcher.nodes=2"],
            "hydra.launcher.nodes=2 goes with hydra/launcher=submitit_slu",
        ),
        ([SLURM, "hydra.launcher.nodes=1,2"], "the launcher is one for all runs"),
        ([SLURM, "+hydra.launcher.nodes=1"], "write hydra.launcher.nodes=1"),
    ],
)
def test_a_mistaken_launcher_is_one_line(texts: list[str], message: str) -> None:
    assert message in complaint(*texts)


def test_a_launcher_that_is_not_installed_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'transformer-mt[slurm]'" in complaint(SLURM)


def test_a_launcher_goes_with_multirun(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", SLURM]) == 1
    assert f"{SLURM} goes with train --multirun" in capfd.readouterr().err


def test_a_sweep_is_not_for_several_processes(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["train", "-m", "seed=1,2"]) == 1
    assert "--multirun belongs to one process" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hydra.launcher.partitoin=gpu", "did you mean hydra.launcher.partition?"),
        ("hydra.launcher.nodes=x", "hydra.launcher.nodes: Value 'x'"),
    ],
)
def test_a_mistaken_parameter_is_one_line(runs: ModuleType, text: str, message: str) -> None:
    assert message in complaint(SLURM, text)


def test_without_slurm_nothing_is_submitted(
    runs: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    launcher, settings = build(SLURM, "run_dir=a")
    assert launcher is not None
    with pytest.raises(InputError, match="cannot be submitted: Could not detect"):
        launcher.submit([Job(runs.stopped, settings[0])])


def test_parameters_and_runs_reach_slurm_as_one_array(
    runs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("srun", "sbatch"):
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\ncp $1 {tmp_path}/submitted\necho Submitted batch job 7\n")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    launcher, settings = build(
        *(SLURM, "hydra.launcher.partition=gpu", "hydra.launcher.tasks_per_node=8"),
        *("hydra.launcher.timeout_min=600", "run_dir=a", "seed=1,2,3"),
        "hydra.launcher.additional_parameters={mail-type: END}",
    )
    assert launcher is not None
    jobs = launcher.submit([Job(runs.stopped, each) for each in settings])
    assert [job.job_id for job in jobs] == ["7_0", "7_1", "7_2"]
    flags = (tmp_path / "submitted").read_text().splitlines()
    assert "#SBATCH --partition=gpu" in flags
    assert "#SBATCH --ntasks-per-node=8" in flags
    assert "#SBATCH --time=600" in flags
    assert "#SBATCH --mail-type=END" in flags
    assert "#SBATCH --job-name=transformer" in flags
    assert "#SBATCH --array=0-2%3" in flags


def test_a_job_that_is_preempted_saves_and_goes_on_in_all_its_ranks(runs: ModuleType) -> None:
    launch_locally(runs, "preempted", "hydra.launcher.tasks_per_node=2")
    found = sorted(path.name for path in Path("a").iterdir() if not path.name.startswith("."))
    assert found == ["0 2 0", "1 2 1", "saved by 0 2 0", "saved by 1 2 1"]


def test_a_job_that_a_signal_stopped_stops_the_sweep(runs: ModuleType) -> None:
    with pytest.raises(Stopped, match="2 of 2 jobs stopped early"):
        launch_locally(runs, "stopped", "seed=1,2")


def test_a_job_that_fails_says_why(runs: ModuleType) -> None:
    told: list[dict[str, str]] = []
    with pytest.raises(InputError, match=r"1 of 1 jobs failed; a: data.train=a is missing$"):
        launch_locally(runs, "mistaken", tell=lambda failures: told.append(dict(failures)))
    assert told == [{"a": "data.train=a is missing"}]


@pytest.mark.slow
def test_two_jobs_train(
    runs: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("xx", "ab ba\nabba\n"), ("yy", "cd dc\ncddc\n")):
        (tmp_path / f"text.{name}").write_text(text * 8)
    data = "data=files data.source=xx data.target=yy data.train=text data.valid=text"
    tokenizer = "tokenizer=char tokenizer.vocab_size=12 tokenizer.byte_fallback=false"
    model = "model=tiny model.d_model=16 model.n_heads=2 optim.lr=1e-3,2e-3"
    training = "training.max_updates=2 training.validate_every=2 training.checkpoint_every=2"
    rest = "data.cache_dir=cache device=cpu threads=1 run_dir=a"
    texts = f"{data} {tokenizer} {model} {training} {rest}".split()
    assert main(["train", "-m", LOCAL, *texts]) == 0
    assert capfd.readouterr().err.count("is done") == 2
    for rate in ("0.001", "0.002"):
        assert Path(f"a/optim.lr={rate}/checkpoints/best/model.safetensors").exists()
    table = Path("a/sweep.tsv").read_text().splitlines()
    assert len(table) == 3
    assert all(line.endswith("done") for line in table[1:])
