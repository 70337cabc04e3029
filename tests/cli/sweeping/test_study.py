"""Sweeps whose settings a study suggests."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from transformer.cli.compose import Composer
from transformer.cli.main import main
from transformer.cli.sweeping.board import Board
from transformer.cli.sweeping.runs import plan, run_study
from transformer.cli.sweeping.study import Study, build_study
from transformer.config import TrainSettings
from transformer.errors import InputError, Stopped
from transformer.training import TrainingResult, Watch

pytest.importorskip("optuna")

SPACE = (
    "optim.lr=tag(log,interval(1e-4,1e-2))",
    "model.n_heads=choice(2,4,8)",
    "training.label_smoothing=range(0,0.3,0.1)",
)
OPTUNA = "hydra/sweeper=optuna"


class FakeComposer:
    """Makes settings of the few keys that these tests vary, at once."""

    cls = TrainSettings

    def settings(self, texts: Sequence[str]) -> TrainSettings:
        values = dict(text.split("=") for text in texts)
        settings = TrainSettings(seed=int(values.get("seed", 1)), run_dir=values["run_dir"])
        settings.optim.lr = float(values["optim.lr"])
        settings.model = replace(settings.model, n_heads=int(values["model.n_heads"]))
        settings.training.max_updates, settings.training.validate_every = 40, 10
        settings.training.label_smoothing = float(values["training.label_smoothing"])
        return settings


class Runs:
    """Trains nothing: a trial's score is a function of its settings."""

    def __init__(
        self, interruption: BaseException | None = None, at: tuple[int, int] = (0, 0)
    ) -> None:
        self.interruption = interruption
        self.at = at  # call, update
        self.made: list[str] = []

    def __call__(self, settings: TrainSettings, watch: Watch) -> TrainingResult:
        self.made.append(Path(settings.run_dir).name)
        peak = 30 - 5 * abs(math.log10(settings.optim.lr) + 3) + settings.training.label_smoothing
        for update in range(10, 41, 10):
            why = watch(update, peak * update / 40)
            if self.interruption is not None and (len(self.made), update) == self.at:
                raise self.interruption
            if why is not None:
                return TrainingResult(Path(settings.run_dir), update, peak, why, pruned=True)
        return TrainingResult(Path(settings.run_dir), 40, peak, "enough")


def build(folder: Path, *texts: str, space: Sequence[str] = SPACE) -> Study:
    composer: Any = FakeComposer()
    return build_study(
        composer, [OPTUNA, f"run_dir={folder}", *space, "hydra.sweeper.n_trials=6", *texts]
    )


def run(study: Study, achieve: Callable[[TrainSettings, Watch], TrainingResult]) -> Board:
    board = Board(study.folder, study.metric)
    study.run(achieve, board)
    return board


def told(board: Board) -> list[Any]:
    return [(Path(line.run_dir).name, dict(line.values)) for line in board.lines]


ONE = "hydra.sweeper.n_trials=1"
RANDOM = "hydra.sweeper.sampler=random"
TPE = "hydra.sweeper.n_startup_trials=4"
MEDIAN = "hydra.sweeper.n_trials_before_pruning=3"
HYPERBAND = "hydra.sweeper.pruner=hyperband"


@pytest.mark.parametrize(
    ("texts", "at"),
    [
        ([RANDOM, MEDIAN], (1, 20)),
        ([RANDOM, MEDIAN], (6, 10)),
        ([TPE, MEDIAN], (2, 30)),
        ([TPE, MEDIAN], (7, 10)),
        ([TPE, HYPERBAND], (1, 20)),
        ([TPE, HYPERBAND], (7, 10)),
    ],
)
def test_an_interrupted_study_goes_on_as_it_would_have(
    texts: list[str], at: tuple[int, int], tmp_path: Path
) -> None:
    texts = [*texts, "hydra.sweeper.n_trials=9"]
    undisturbed = run(build(tmp_path / "a", *texts), Runs())
    interrupted = Runs(Stopped("now"), at)
    with pytest.raises(Stopped):
        run(build(tmp_path / "b", *texts), interrupted)
    rest = Runs()
    assert told(run(build(tmp_path / "b", *texts), rest)) == told(undisturbed)
    assert interrupted.made[-1] == rest.made[0]
    assert len(interrupted.made) + len(rest.made) == 10


def test_trials_that_are_done_are_not_made_again(tmp_path: Path) -> None:
    run(build(tmp_path, "hydra.sweeper.n_trials=3"), Runs())
    again = Runs()
    board = run(build(tmp_path, "hydra.sweeper.n_trials=5"), again)
    assert again.made == ["003", "004"]
    assert [name for name, _ in told(board)] == [f"{i:03d}" for i in range(5)]


def test_a_seed_is_a_study_of_its_own(tmp_path: Path) -> None:
    boards = [
        told(run(build(tmp_path / str(seed), f"hydra.sweeper.seed={seed}", ONE), Runs()))
        for seed in (1, 2)
    ]
    assert boards[0] != boards[1]


def test_what_is_worse_than_the_others_is_pruned(tmp_path: Path) -> None:
    study = build(tmp_path, "hydra.sweeper.n_trials_before_pruning=2", "hydra.sweeper.n_trials=8")
    results: list[TrainingResult] = []

    def achieve(settings: TrainSettings, watch: Watch) -> TrainingResult:
        results.append(Runs()(settings, watch))
        return results[-1]

    run(study, achieve)
    pruned = [result for result in results if result.pruned]
    assert 0 < len(pruned) < 6
    assert not any(result.pruned for result in results[:2])
    assert max(result.best for result in results) not in [each.best for each in pruned]
    assert pruned[0].reason.startswith("pruned by hydra.sweeper.pruner=median at bleu ")


def test_nothing_is_pruned_where_none_is_asked_for(tmp_path: Path) -> None:
    ends = []

    def achieve(settings: TrainSettings, watch: Watch) -> TrainingResult:
        ends.append(Runs()(settings, watch).pruned)
        return TrainingResult(Path(settings.run_dir), 40, 1.0, "enough")

    run(build(tmp_path, "hydra.sweeper.pruner=none"), achieve)
    assert ends == [False] * 6


def test_nothing_is_pruned_sooner_than_is_allowed(tmp_path: Path) -> None:
    updates = []

    def achieve(settings: TrainSettings, watch: Watch) -> TrainingResult:
        result = Runs()(settings, watch)
        updates.append(result.update)
        return result

    texts = ["hydra.sweeper.n_trials_before_pruning=1", "hydra.sweeper.n_updates_before_pruning=25"]
    run(build(tmp_path, *texts), achieve)
    assert min(updates) == 30


def test_a_decision_to_prune_outlives_the_process(tmp_path: Path) -> None:
    study = build(tmp_path, "hydra.sweeper.pruner=hyperband")
    reasons: list[str | None] = []

    def decide(settings: TrainSettings, watch: Watch) -> TrainingResult:
        result = Runs()(settings, watch)
        if result.pruned:
            reasons.append(result.reason)
            raise Stopped("between the decision and the end of the run")
        return result

    with pytest.raises(Stopped):
        run(study, decide)

    def go_on(settings: TrainSettings, watch: Watch) -> TrainingResult:
        reasons.append(watch(10, 1.0))
        raise Stopped("enough seen")

    with pytest.raises(Stopped):
        run(study, go_on)
    assert reasons[0] is not None
    assert reasons[0] == reasons[1]


def test_a_grid_makes_every_combination_in_the_order_of_a_sweep(tmp_path: Path) -> None:
    composer: Any = FakeComposer()
    texts = ["model.n_heads=2,4", "training.label_smoothing=range(0,0.3,0.1)", "optim.lr=1e-3"]
    texts += [OPTUNA, "hydra.sweeper.sampler=grid", f"run_dir={tmp_path}"]
    interrupted = Runs(Stopped("now"), (3, 20))
    with pytest.raises(Stopped):
        run(build_study(composer, texts), interrupted)
    board = run(build_study(composer, texts), Runs())
    assert [list(values.values()) for _, values in told(board)] == [
        [heads, smoothing] for heads in (2, 4) for smoothing in (0.0, 0.1, 0.2)
    ]


def test_a_grid_that_n_trials_cuts_short_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    composer: Any = FakeComposer()
    texts = ["model.n_heads=2,4", "training.label_smoothing=0.1", "optim.lr=1e-3,2e-3"]
    texts += [OPTUNA, "hydra.sweeper.sampler=grid", f"run_dir={tmp_path}"]
    board = run(build_study(composer, [*texts, "hydra.sweeper.n_trials=3"]), Runs())
    assert len(board.lines) == 3
    assert "4 combinations; hydra.sweeper.n_trials=3 leaves out the last" in caplog.text
    caplog.clear()
    run(build_study(composer, [*texts, "hydra.sweeper.n_trials=4"]), Runs())
    assert caplog.text == ""


def test_a_trial_that_fails_is_told_and_the_study_goes_on(tmp_path: Path) -> None:
    def achieve(settings: TrainSettings, watch: Watch) -> TrainingResult:
        if settings.run_dir.endswith("2"):
            raise InputError("the loss is nan")
        return Runs()(settings, watch)

    study = build(tmp_path, "hydra.sweeper.n_trials=4")
    board = run(study, achieve)
    failures = {str(tmp_path / "002"): "the loss is nan"}
    assert board.failures == failures
    again = Runs()
    assert run(study, again).failures == failures
    assert again.made == []


def test_a_trial_without_a_score_is_one_that_failed(tmp_path: Path) -> None:
    def achieve(settings: TrainSettings, watch: Watch) -> TrainingResult:
        return TrainingResult(Path(settings.run_dir), 40, math.nan, "enough")

    assert run(build(tmp_path, ONE), achieve).failures == {
        str(tmp_path / "000"): "the best bleu is nan"
    }


def test_a_defect_of_ours_is_no_failure_of_a_trial(tmp_path: Path) -> None:
    def achieve(settings: TrainSettings, watch: Watch) -> TrainingResult:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        run(build(tmp_path), achieve)


def test_a_study_of_failures_alone_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = build(tmp_path, "hydra.sweeper.n_trials=3")

    def fail(settings: TrainSettings, watch: Watch) -> TrainingResult:
        raise InputError("data.train=a is missing")

    monkeypatch.setattr("transformer.cli.train.achieve", fail)
    with pytest.raises(InputError, match=r"all 3 trials failed; data\.train=a is missing$"):
        run_study(study)
    again = Runs()
    assert run(study, again).failures == {}
    assert again.made == ["000", "001", "002"]


def test_what_a_killed_process_left_of_its_journal_does_no_harm(tmp_path: Path) -> None:
    run(build(tmp_path, "hydra.sweeper.n_trials=2"), Runs())
    journal = tmp_path / "study.log"
    with journal.open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    (tmp_path / "study.log.lock").symlink_to(journal)
    again = Runs()
    run(build(tmp_path, "hydra.sweeper.n_trials=3"), again)
    assert again.made == ["002"]


def test_a_study_may_be_kept_elsewhere(tmp_path: Path) -> None:
    for storage in (f"sqlite:///{tmp_path}/a.db", f"{tmp_path}/journal"):
        texts = [f"hydra.sweeper.storage={storage}", "hydra.sweeper.sampler=random"]
        folder = tmp_path / "study"
        for n, made in ((2, ["000", "001"]), (3, ["002"])):
            runs = Runs()
            run(build(folder, *texts, f"hydra.sweeper.n_trials={n}"), runs)
            assert runs.made == made
        assert not (folder / "study.log").exists()


@pytest.mark.parametrize("storage", ["sqlite:///nowhere/a.db", "nosuch://a", "nowhere/journal"])
def test_a_storage_that_cannot_be_used_is_one_line(storage: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"hydra\.sweeper\.storage=") as caught:
        run(build(tmp_path, f"hydra.sweeper.storage={storage}"), Runs())
    assert "\n" not in str(caught.value)


def test_a_study_goes_on_with_its_own_settings_only(tmp_path: Path) -> None:
    run(build(tmp_path, ONE), Runs())
    with pytest.raises(InputError, match="of other settings \\(seed was 1, now 2\\)"):
        run(build(tmp_path, "seed=2"), Runs())
    with pytest.raises(InputError, match="varies other settings"):
        run(build(tmp_path, space=["optim.lr=interval(1e-4,1e-1)", *SPACE[1:]]), Runs())


def test_a_study_is_not_for_two_processes_at_once(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / ".study.lock")
    with lock, pytest.raises(InputError, match="another process sweeps in it"):
        run(build(tmp_path), Runs())


def test_a_study_of_one_storage_is_not_for_two_folders(tmp_path: Path) -> None:
    texts = [f"hydra.sweeper.storage={tmp_path}/journal", "hydra.sweeper.study_name=lr", ONE]
    run(build(tmp_path / "a", *texts), Runs())
    with pytest.raises(InputError, match=r"study_name=lr is a study in run_dir=/.*/a; give"):
        run(build(tmp_path / "b", *texts), Runs())


def test_a_folder_may_be_moved_with_its_study(tmp_path: Path) -> None:
    run(build(tmp_path / "a", ONE), Runs())
    (tmp_path / "a").rename(tmp_path / "b")
    again = Runs()
    run(build(tmp_path / "b", ONE), again)
    assert again.made == []


def test_a_study_does_not_go_into_the_folder_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    with pytest.raises(InputError, match="holds a run"):
        run(build(tmp_path), Runs())


def test_optuna_writes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    run(build(tmp_path, "hydra.sweeper.n_startup_trials=2"), Runs())
    output, error = capfd.readouterr()
    assert output == ""
    assert "Trial" not in error
    assert "study" not in error


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["hydra.sweeper.n_trails=3"], "did you mean hydra.sweeper.n_trials?"),
        (["hydra.sweeper.n_trials=x"], "hydra.sweeper.n_trials=x must be a whole number"),
        (["hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials=0 must be at least 1"),
        (["hydra.sweeper.n_trials=1,2"], "the study is one for all trials"),
        (["hydra.sweeper.sampler=cmaes"], "must be one of tpe, random, grid"),
        (["hydra/sweeper/sampler=tpe"], "write hydra.sweeper.sampler=NAME"),
        (["hydra.sweeper.direction=minimize"], "goes against training.metric=bleu"),
        (["hydra.sweeper.sampler=grid"], "hydra.sweeper.sampler=grid takes choice"),
        (
            ["hydra.sweeper.pruner=hyperband", "hydra.sweeper.n_trials_before_pruning=3"],
            "goes with hydra.sweeper.pruner=median, not hyperband",
        ),
        (
            ["hydra.sweeper.pruner=none", "hydra.sweeper.n_updates_before_pruning=3"],
            "has no effect at hydra.sweeper.pruner=none",
        ),
        (["hydra.sweeper.n_updates_before_pruning=40"], "leaves nothing to prune"),
        (["hydra/launcher=submitit_slurm"], "one after the other in this process"),
        (["training.metric=bleu,loss"], "a study has one training.metric"),
        (["run_dir=a,b"], "a study has one run_dir"),
        (["optim.lr=1e-3"], "optim.lr=1e-3: give optim.lr once, with all of its values"),
    ],
)
def test_a_mistaken_study_is_one_line(texts: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        build(tmp_path, *texts)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_study_varies_something(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no setting varies"):
        plan(Composer("train", TrainSettings), [OPTUNA])


def test_values_that_do_not_go_together_are_no_mistake_of_the_study() -> None:
    composer = Composer("train", TrainSettings)
    fits_last = ["model.d_model=96", "model.n_heads=5,6"]
    assert plan(composer, [OPTUNA, *fits_last])
    with pytest.raises(InputError, match="not divisible"):
        plan(composer, [OPTUNA, "model.d_model=96", "model.n_heads=5,7"])
    with pytest.raises(InputError, match=r"did you mean optim\.lr"):
        plan(composer, [OPTUNA, "optim.l=1,2"])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train", "-m", "hydra/sweeper=ax", "seed=1,2"], "there are basic, optuna"),
        (["train", "-m", "hydra.sweeper.n_trials=3"], "goes with hydra/sweeper=optuna"),
        (["train", OPTUNA], f"{OPTUNA} goes with train --multirun"),
    ],
)
def test_a_mistaken_sweeper_is_one_line(
    argv: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 1
    error = capfd.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_without_optuna_a_study_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'transformer-mt\[sweep\]'"):
        build(tmp_path)
