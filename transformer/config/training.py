"""Settings of the training loop."""

from dataclasses import dataclass, field
from enum import Enum
from operator import attrgetter

from transformer.errors import require


class Metric(Enum):
    """What the best checkpoint and early stopping go by, on the validation split."""

    bleu = "bleu"  # higher is better
    chrf = "chrf"  # higher is better
    loss = "loss"  # lower is better


class Resume(Enum):
    """What becomes of a run that `run_dir` holds already."""

    auto = "auto"  # it goes on where it stopped
    never = "never"  # it is moved aside, to a folder beside run_dir, and training begins anew


class FaultAction(Enum):
    """What is done about losses or gradients that are not finite, or about a loss that diverges."""

    # fp16 gives way to bf16 where the device has it, else to fp32; bf16 and tf32 to fp32. In fp32,
    # and where the loss diverges, the run stops.
    precision = "precision"
    rollback = "rollback"  # back to the last good checkpoint, at half the learning rate
    stop = "stop"


class WriteErrorAction(Enum):
    """What is done where a checkpoint cannot be written; older ones stay whole either way."""

    go_on = "go_on"  # warn, and try again at the next checkpoint; the last one must succeed
    stop = "stop"


@dataclass(kw_only=True)
class FaultsConfig:
    """What a run does about trouble."""

    # An update whose loss or gradient is not finite is skipped; after so many in a row `action`.
    max_skipped: int = 20
    # Nats a token by which the running mean of the loss may lie above its lowest; null: any.
    divergence: float | None = 3.0
    action: FaultAction = FaultAction.precision
    max_rollbacks: int = 3
    on_write_error: WriteErrorAction = WriteErrorAction.go_on

    def __post_init__(self) -> None:
        require(
            self.max_skipped >= 1,
            f"training.faults.max_skipped={self.max_skipped} must be at least 1",
        )
        require(
            self.divergence is None or self.divergence > 0,
            f"training.faults.divergence={self.divergence} must be null or above 0",
        )
        require(
            self.max_rollbacks >= 0,
            f"training.faults.max_rollbacks={self.max_rollbacks} must be at least 0",
        )


@dataclass(kw_only=True)
class DistillationConfig:
    """Word-level knowledge distillation (Kim and Rush, 2016, section 3.1)."""

    teacher: str | None = None  # run or checkpoint with the same vocabulary; null: no distillation
    weight: float = 0.5  # share of the teacher's distribution in the loss, beside the labels
    temperature: float = 1.0

    def __post_init__(self) -> None:
        require(
            0 < self.weight <= 1,
            f"training.distillation.weight={self.weight} must lie in (0, 1]",
        )
        require(
            self.temperature > 0,
            f"training.distillation.temperature={self.temperature} must be above 0",
        )


@dataclass(kw_only=True)
class AlignmentConfig:
    """Guided alignment (Chen et al., 2016): cross-attention learns data.alignment."""

    weight: float = 0.0  # of the alignment loss beside the label loss; 0: none
    layer: int = -2  # decoder layer that learns it, counted from 1, or from the last with a minus

    def __post_init__(self) -> None:
        require(self.weight >= 0, f"training.alignment.weight={self.weight} must be at least 0")
        require(self.layer != 0, "training.alignment.layer=0: layers are counted from 1")


@dataclass(kw_only=True)
class ParallelConfig:
    """Several processes, as torchrun starts them."""

    shard: bool = False  # spread weights and optimizer over the processes (FSDP2)
    timeout_minutes: float = 10.0  # a process that the others wait for longer ends the run
    # Megabytes of gradients that travel together, while the backward pass still makes others.
    bucket_mb: float = 25.0

    def __post_init__(self) -> None:
        require(
            self.bucket_mb > 0,
            f"training.parallel.bucket_mb={self.bucket_mb} must be above 0",
        )
        require(
            self.timeout_minutes > 0,
            f"training.parallel.timeout_minutes={self.timeout_minutes} must be above 0",
        )


@dataclass(kw_only=True)
class TrainingConfig:
    """How long to train, and what is measured and kept on the way; null turns a limit off."""

    max_updates: int = 100_000
    max_epochs: int | None = None
    max_minutes: float | None = None  # of training, validation included, over all resumptions
    resume: Resume = Resume.auto
    init_from: str | None = None  # run or checkpoint whose weights to begin with
    new_vocabulary: bool = False  # with init_from: learn pieces anew; equal ones keep their weights
    freeze: list[str] = field(
        default_factory=list
    )  # parameters not to train, tied ones alike: [encoder.*]
    accumulate: int = 1  # batches an update, of each process
    label_smoothing: float = 0.1
    rdrop: float = 0.0  # weight of the consistency of two dropouts (Wu et al., 2021); 0: none
    distillation: DistillationConfig = field(default_factory=DistillationConfig)
    alignment: AlignmentConfig = field(default_factory=AlignmentConfig)
    # Running mean of the weights, which is then what is validated, kept and translated with: the
    # share of the earlier mean at an update, as 0.999; null: none.
    ema: float | None = None
    gradient_checkpointing: bool = False  # keep less in memory, compute activations twice
    # The layers, and the label loss where it stands alone, by torch.compile.
    compile: bool = False
    packing: bool = False  # sentences end to end instead of padded ones
    validate_every: int = 1_000  # updates
    checkpoint_every: int = 1_000  # updates
    checkpoint_minutes: float | None = None  # a checkpoint also after so long without one
    keep_last: int = 5  # checkpoints
    keep_best: int = 1  # checkpoints
    keep_every: int | None = None  # updates: checkpoints saved at multiples of it stay for good
    keep_minutes: float | None = (
        None  # one checkpoint stays for good for each such time of training
    )
    metric: Metric = Metric.bleu
    patience: int | None = None  # validations without a better metric before training stops
    validation_beam_size: int = 1
    n_samples: int = 5  # translations shown at each validation
    attention_samples: int = 1  # sentences whose attention is drawn at each validation; 0: none
    log_every: int = 50  # updates
    faults: FaultsConfig = field(default_factory=FaultsConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)

    def __post_init__(self) -> None:
        counts = ("max_updates", "accumulate", "validate_every", "checkpoint_every", "keep_last")
        for name in (*counts, "keep_best", "validation_beam_size", "log_every"):
            value = getattr(self, name)
            require(value >= 1, f"training.{name}={value} must be at least 1")
        for name in ("n_samples", "attention_samples", "rdrop"):
            value = getattr(self, name)
            require(value >= 0, f"training.{name}={value} must be at least 0")
        limits = ("max_epochs", "max_minutes", "patience")
        for name in (*limits, "checkpoint_minutes", "keep_every", "keep_minutes"):
            value = getattr(self, name)
            require(value is None or value > 0, f"training.{name}={value} must be null or above 0")
        require(
            self.init_from is not None or not self.new_vocabulary,
            "training.new_vocabulary=true goes with training.init_from; without it, the vocabulary "
            "is new in any case",
        )
        for name in ("init_from", "distillation.teacher"):
            value = attrgetter(name)(self)
            require(value != "", f"training.{name} is empty; give a run's or a checkpoint's folder")
        others = {
            "rdrop above 0": self.rdrop > 0,
            "distillation.teacher": self.distillation.teacher is not None,
            "alignment.weight above 0": self.alignment.weight > 0,
        }
        for name, used in others.items():
            require(
                not (self.packing and used),
                f"training.packing=true does not go with training.{name}; leave one of them out",
            )
        require(
            not (self.compile and self.parallel.shard),
            "training.compile=true does not go with training.parallel.shard=true; set one to false",
        )
        require(
            not (self.compile and self.alignment.weight > 0),
            "training.compile=true does not go with training.alignment.weight above 0; leave one "
            "of them out",
        )
        require(
            0 <= self.label_smoothing < 1,
            f"training.label_smoothing={self.label_smoothing} must lie in [0, 1)",
        )
        require(
            self.ema is None or 0 < self.ema < 1,
            f"training.ema={self.ema} must be null or lie between 0 and 1",
        )
