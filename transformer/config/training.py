"""Settings of the optimizer and of the training loop."""

from dataclasses import dataclass
from enum import Enum

from transformer.errors import require


class Schedule(Enum):
    """How the learning rate moves after its linear warm-up."""

    inverse_sqrt = "inverse_sqrt"  # Vaswani et al., 2017, equation 3
    cosine = "cosine"  # to zero at training.max_updates
    constant = "constant"


class Metric(Enum):
    """What the best checkpoint and early stopping go by, on the validation split."""

    bleu = "bleu"  # higher is better
    loss = "loss"  # lower is better


@dataclass(kw_only=True)
class OptimConfig:
    """Adam, its learning rate and clipping.

    The default rate and warm-up give the schedule of Vaswani et al. (2017), section 5.3, for
    d_model = 512: a peak of 512 ** -0.5 * 4000 ** -0.5 = 7e-4.
    """

    lr: float = 7e-4  # at the peak
    warmup: int = 4_000  # updates
    schedule: Schedule = Schedule.inverse_sqrt
    beta1: float = 0.9
    beta2: float = 0.98
    epsilon: float = 1e-9
    weight_decay: float = 0.0  # decoupled (AdamW)
    clip_norm: float | None = 1.0  # largest norm of the gradient; null: no clipping

    def __post_init__(self) -> None:
        require(self.lr > 0, f"optim.lr={self.lr} must be above 0")
        require(self.warmup >= 0, f"optim.warmup={self.warmup} must be at least 0")
        for name in ("beta1", "beta2"):
            value = getattr(self, name)
            require(0 <= value < 1, f"optim.{name}={value} must lie in [0, 1)")
        require(self.epsilon > 0, f"optim.epsilon={self.epsilon} must be above 0")
        require(
            self.weight_decay >= 0, f"optim.weight_decay={self.weight_decay} must be at least 0"
        )
        require(
            self.clip_norm is None or self.clip_norm > 0,
            f"optim.clip_norm={self.clip_norm} must be null or above 0",
        )


@dataclass(kw_only=True)
class TrainingConfig:
    """How long to train, and what is measured and kept on the way; null turns a limit off."""

    max_updates: int = 100_000
    max_epochs: int | None = None
    max_minutes: float | None = None  # of training, validation included, over all resumptions
    accumulate: int = 1  # batches an update
    label_smoothing: float = 0.1
    validate_every: int = 1_000  # updates
    checkpoint_every: int = 1_000  # updates
    keep_last: int = 5  # checkpoints
    keep_best: int = 1  # checkpoints
    metric: Metric = Metric.bleu
    patience: int | None = None  # validations without a better metric before training stops
    validation_beam_size: int = 1
    n_samples: int = 5  # translations shown at each validation
    log_every: int = 50  # updates

    def __post_init__(self) -> None:
        counts = ("max_updates", "accumulate", "validate_every", "checkpoint_every", "keep_last")
        for name in (*counts, "keep_best", "validation_beam_size", "log_every"):
            value = getattr(self, name)
            require(value >= 1, f"training.{name}={value} must be at least 1")
        require(self.n_samples >= 0, f"training.n_samples={self.n_samples} must be at least 0")
        for name in ("max_epochs", "max_minutes", "patience"):
            value = getattr(self, name)
            require(value is None or value > 0, f"training.{name}={value} must be null or above 0")
        require(
            0 <= self.label_smoothing < 1,
            f"training.label_smoothing={self.label_smoothing} must lie in [0, 1)",
        )
