"""transformer train."""

from transformer.cli.command import Command
from transformer.config import TrainSettings


def run(settings: TrainSettings) -> None:
    """Train, or go on where the run in `run_dir` stopped."""
    from transformer.training import train

    train(settings)


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
