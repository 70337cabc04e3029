"""transformer train."""

from typing import TYPE_CHECKING

from transformer.cli.command import Command, emit
from transformer.cli.console import is_first
from transformer.config import TrainSettings
from transformer.signals import immediate

if TYPE_CHECKING:
    from transformer.training import TrainingResult

SHOWN = 5  # translations of each test set


def run(settings: TrainSettings) -> None:
    """Train, or go on where the run in `run_dir` stopped; then translate and score the test.

    Of several processes the first does what follows the training.
    """
    # Importing what trains takes seconds, in which a signal may come as well.
    with immediate("before training"):
        from transformer.training import train

        result = train(settings)
    if is_first():
        with immediate("before the test was done, with all of the training saved"):
            _test(settings, result)


def _test(settings: TrainSettings, result: "TrainingResult") -> None:
    """Say how training ended, then translate and score the test sets."""
    from transformer.evaluation import evaluate_run

    metric = settings.training.metric.name
    emit(f"{result.update} updates; best validation {metric} {result.best:.2f}")
    report = evaluate_run(settings)
    if report is not None:
        emit(f"\n{report.samples(SHOWN)}\n\n{report.table()}")
    tagged = settings.data.tagged_languages
    into = f" target_language={tagged[0]}" if tagged else ""
    emit(
        f"""
next: transformer translate checkpoint={settings.run_dir} input=FILE output=FILE{into}
      transformer evaluate checkpoint={settings.run_dir} source=FILE reference=FILE{into}
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
