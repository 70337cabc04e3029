"""Settings of the optimizer and of the learning rate."""

from dataclasses import dataclass
from enum import Enum

from transformer.errors import require


class OptimKind(Enum):
    """What makes an update of a gradient."""

    adam = "adam"  # Kingma and Ba, 2015; weight decay is part of the gradient
    adamw = "adamw"  # the same with decoupled decay (Loshchilov and Hutter, 2019)
    adafactor = "adafactor"  # Shazeer and Stern, 2018; second moments as rows and columns
    # Momentum made orthogonal (Jordan et al., 2024) for the matrices inside the layers; AdamW for
    # embeddings, output layer, biases and norms.
    muon = "muon"


class Schedule(Enum):
    """How the learning rate moves after its linear warm-up."""

    inverse_sqrt = "inverse_sqrt"  # Vaswani et al., 2017, equation 3
    cosine = "cosine"  # to zero at training.max_updates
    linear = "linear"  # to zero at training.max_updates
    constant = "constant"
    # Constant, then linearly to zero over the last optim.decay_updates before training.max_updates
    # (Hu et al., 2024: warmup-stable-decay).
    wsd = "wsd"
    # Times optim.plateau_factor whenever training.metric has not become better for
    # optim.plateau_patience validations.
    plateau = "plateau"


# They end at training.max_updates, which is therefore part of what they are.
ENDING = (Schedule.cosine, Schedule.linear, Schedule.wsd)


@dataclass(kw_only=True)
class OptimConfig:
    """The optimizer, its learning rate and clipping.

    The default rate and warm-up give the schedule of Vaswani et al. (2017), section 5.3, for
    d_model = 512: a peak of 512 ** -0.5 * 4000 ** -0.5 = 7e-4.
    """

    kind: OptimKind = OptimKind.adamw
    lr: float = 7e-4  # at the peak
    warmup: int = 4_000  # updates
    schedule: Schedule = Schedule.inverse_sqrt
    decay_updates: int = 10_000  # schedule=wsd: over which the rate falls to zero
    plateau_factor: float = 0.5  # schedule=plateau
    plateau_patience: int = 3  # schedule=plateau: validations
    beta1: float = 0.9  # of Adam
    beta2: float = 0.98  # of Adam
    epsilon: float = 1e-9  # of Adam
    momentum: float = 0.95  # of Muon
    weight_decay: float = 0.0  # of matrices; biases and norms never decay
    clip_norm: float | None = 1.0  # largest norm of the gradient; null: no clipping

    def __post_init__(self) -> None:
        require(self.lr > 0, f"optim.lr={self.lr} must be above 0")
        require(self.warmup >= 0, f"optim.warmup={self.warmup} must be at least 0")
        for name in ("decay_updates", "plateau_patience"):
            value = getattr(self, name)
            require(value >= 1, f"optim.{name}={value} must be at least 1")
        require(
            0 < self.plateau_factor < 1,
            f"optim.plateau_factor={self.plateau_factor} must lie between 0 and 1",
        )
        for name in ("beta1", "beta2", "momentum"):
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
