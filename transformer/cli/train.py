"""transformer train."""

from pathlib import Path
from typing import TYPE_CHECKING

from transformer.cli.command import Command, emit
from transformer.cli.console import is_first
from transformer.config import TrainSettings
from transformer.signals import immediate

if TYPE_CHECKING:
    from transformer.training import TrainingResult, Watch

SHOWN = 5  # translations of each test set


def run(settings: TrainSettings) -> None:
    """Train, or go on where the run in `run_dir` stopped; then translate and score the test.

    Of several processes the first does what follows the training.
    """
    achieve(settings)


def achieve(settings: TrainSettings, watch: "Watch | None" = None) -> "TrainingResult":
    """The same, with what training achieved; there is no test where `watch` ended it early."""
    # Importing what trains takes seconds, in which a signal may come as well.
    with immediate("before training"):
        from transformer.training import train

        result = train(settings, watch)
    if is_first() and result.pruned:
        emit(f"{result.update} updates; {result.reason}")
    elif is_first():
        with immediate("before the test was done, with all of the training saved"):
            _test(settings, result)
    return result


def _test(settings: TrainSettings, result: "TrainingResult") -> None:
    """Say how training ended, then translate and score the test sets."""
    from transformer.evaluation import evaluate_run
    from transformer.training import add_final_metrics

    metric = settings.training.metric.name
    emit(f"{result.update} updates; best validation {metric} {result.best:.2f}")
    results = evaluate_run(settings)
    if results is not None:
        emit(f"\n{results.samples(SHOWN)}\n\n{results.table()}")
        add_final_metrics(Path(settings.run_dir) / "tensorboard", results.flat())
    tagged = settings.data.tagged_languages
    into = f" target_language={tagged[0]}" if tagged else ""
    emit(
        f"""
next: transformer translate checkpoint={settings.run_dir} input=FILE output=FILE{into}
      transformer evaluate checkpoint={settings.run_dir} source=FILE reference=FILE{into}
      transformer report run_dir={settings.run_dir}
      tensorboard --logdir {settings.run_dir}/tensorboard"""
    )


COMMAND = Command(
    settings=TrainSettings,
    run=run,
    examples=(
        "transformer train experiment=demo run_dir=runs/demo",
        (
            "transformer train data=files data.source=en data.target=de data.train=DIR/train "
            "data.valid=DIR/valid data.test=DIR/test run_dir=runs/NAME"
        ),
        "transformer train -m experiment=demo run_dir=runs/sweep optim.lr=1e-3,2e-3",
    ),
    sweeps=True,
)
