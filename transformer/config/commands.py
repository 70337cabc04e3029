"""The settings of each command, as one object."""

from dataclasses import dataclass, field
from enum import Enum

from transformer.config.cleaning import CleaningConfig
from transformer.config.corpora import STDIN
from transformer.config.data import DataConfig, PhrasebookConfig
from transformer.config.model import ModelConfig, Tying
from transformer.config.optim import OptimConfig, Schedule
from transformer.config.search import SearchConfig
from transformer.config.tokenizer import TokenizerConfig
from transformer.config.training import TrainingConfig
from transformer.errors import require


class Precision(Enum):
    """Arithmetic of the forward and backward pass; weights and optimizer stay in fp32.

    `auto` is bf16 on a GPU that has it, else fp32. `tf32` rounds the inputs of matrix products on
    the GPU.
    """

    auto = "auto"
    fp32 = "fp32"
    tf32 = "tf32"
    bf16 = "bf16"
    fp16 = "fp16"


@dataclass(kw_only=True)
class PrepareSettings:
    """transformer prepare: read, clean and encode the corpora once."""

    data: DataConfig = field(default_factory=PhrasebookConfig)
    cleaning: CleaningConfig = field(default_factory=CleaningConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)


@dataclass(kw_only=True)
class TrainSettings(PrepareSettings):
    """transformer train: train a model, then translate and score the test split."""

    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    search: SearchConfig = field(default_factory=SearchConfig)  # of the test split
    run_dir: str = "runs/default"
    seed: int = 1  # of initial weights, dropout and the order of the data
    device: str = "auto"  # auto: cuda where there is a GPU, else cpu
    precision: Precision = Precision.auto
    threads: int | None = None  # of the CPU; null: what torch chooses
    deterministic: bool = False  # a GPU gives the same bits each time, more slowly; the CPU does so

    def __post_init__(self) -> None:
        require(
            self.tokenizer.joint or self.model.tying is not Tying.three_way,
            "model.tying=three_way needs one vocabulary; set tokenizer.joint=true or "
            "model.tying=two_way",
        )
        require(
            not (self.training.packing and self.model.attention_dropout),
            f"training.packing=true does not go with model.attention_dropout="
            f"{self.model.attention_dropout}; set the one to false or the other to 0",
        )
        require(
            not (self.training.new_vocabulary and self.tokenizer.init_from),
            f"training.new_vocabulary=true and tokenizer.init_from={self.tokenizer.init_from} "
            "exclude each other: pieces are learnt anew or taken",
        )
        require(
            self.optim.schedule is not Schedule.plateau
            or self.training.patience is None
            or self.training.patience > self.optim.plateau_patience,
            f"training.patience={self.training.patience} ends training before "
            f"optim.plateau_patience={self.optim.plateau_patience} can lower the rate; raise it",
        )
        require(
            all(each.path != STDIN for each in self.data.corpora("train")),
            f"data.train={STDIN} is for prepare, since training reads again and again; give it the "
            "folder that prepare prints",
        )
        require(0 <= self.seed < 2**63, f"seed={self.seed} must lie in [0, 2**63)")
        require(self.run_dir != "", "run_dir is empty; give a folder, as in run_dir=runs/NAME")
        require(
            self.threads is None or self.threads >= 1,
            f"threads={self.threads} must be null or at least 1",
        )


@dataclass(kw_only=True)
class AverageSettings:
    """transformer average: the mean of the weights of a run's last or best checkpoints."""

    checkpoint: str = ""  # a run's folder
    last: int | None = None  # checkpoints; 5 where best is not given either
    best: int | None = None  # checkpoints, by training.metric
    output: str = ""  # folder of the new checkpoint

    def __post_init__(self) -> None:
        require_checkpoint(self.checkpoint)
        for name in ("last", "best"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"{name}={value} must be at least 1")
        require(
            self.last is None or self.best is None,
            f"last={self.last} and best={self.best} exclude each other; give one of them",
        )
        require(self.output != "", "output is not set; give a folder, as in output=runs/averaged")


def require_checkpoint(checkpoint: str) -> None:
    """Raise InputError where no checkpoint is named."""
    require(
        checkpoint != "",
        "checkpoint is not set; give a run's folder, as in checkpoint=runs/NAME",
    )
