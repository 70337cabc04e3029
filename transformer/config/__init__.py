"""Every setting of every command: names, defaults, units and ranges.

The classes here know nothing of Hydra: build them by hand, or from a plain mapping with
`from_mapping`. Each checks its own ranges when it is made and raises InputError.
"""

from transformer.config.commands import (
    AverageSettings,
    Precision,
    PrepareSettings,
    TrainSettings,
)
from transformer.config.data import (
    AUTO,
    CleaningConfig,
    DataConfig,
    DataKind,
    FilesConfig,
    HubConfig,
    PhrasebookConfig,
)
from transformer.config.decoding import (
    DecodingSettings,
    EnsembleConfig,
    EnsembleMean,
    EvaluateSettings,
    LineFormat,
    OutputFormat,
    Protected,
    RequestSettings,
    ScoreSettings,
    ShortlistSettings,
    TranslateSettings,
)
from transformer.config.mapping import from_mapping, load_settings, save_settings, shown, to_mapping
from transformer.config.model import ModelConfig, Norm, Tying
from transformer.config.optim import ENDING, OptimConfig, OptimKind, Schedule
from transformer.config.search import (
    AttentionConfig,
    LengthNormalization,
    SamplingConfig,
    SearchConfig,
    SearchMethod,
    Utility,
)
from transformer.config.tokenizer import TextNormalization, TokenizerConfig, TokenizerKind
from transformer.config.training import (
    AlignmentConfig,
    DistillationConfig,
    FaultAction,
    FaultsConfig,
    Metric,
    ParallelConfig,
    Resume,
    TrainingConfig,
    WriteErrorAction,
)

__all__ = [
    "AUTO",
    "ENDING",
    "AlignmentConfig",
    "AttentionConfig",
    "AverageSettings",
    "CleaningConfig",
    "DataConfig",
    "DataKind",
    "DecodingSettings",
    "DistillationConfig",
    "EnsembleConfig",
    "EnsembleMean",
    "EvaluateSettings",
    "FaultAction",
    "FaultsConfig",
    "FilesConfig",
    "HubConfig",
    "LengthNormalization",
    "LineFormat",
    "Metric",
    "ModelConfig",
    "Norm",
    "OptimConfig",
    "OptimKind",
    "OutputFormat",
    "ParallelConfig",
    "PhrasebookConfig",
    "Precision",
    "PrepareSettings",
    "Protected",
    "RequestSettings",
    "Resume",
    "SamplingConfig",
    "Schedule",
    "ScoreSettings",
    "SearchConfig",
    "SearchMethod",
    "ShortlistSettings",
    "TextNormalization",
    "TokenizerConfig",
    "TokenizerKind",
    "TrainSettings",
    "TrainingConfig",
    "TranslateSettings",
    "Tying",
    "Utility",
    "WriteErrorAction",
    "from_mapping",
    "load_settings",
    "save_settings",
    "shown",
    "to_mapping",
]
