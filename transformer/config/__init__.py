"""Every setting of every command: names, defaults, units and ranges.

The classes here know nothing of Hydra: build them by hand, or from a plain mapping with
`from_mapping`. Each checks its own ranges when it is made and raises InputError.
"""

from transformer.config.cleaning import CleaningConfig, Duplicates, Leaks, LeakSide, UnicodeForm
from transformer.config.commands import (
    AverageSettings,
    Precision,
    PrepareSettings,
    TrainSettings,
)
from transformer.config.context import SEPARATOR, ContextConfig, language_tag
from transformer.config.corpora import STDIN, CorpusConfig, CorpusFormat
from transformer.config.data import (
    AUTO,
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
    "SEPARATOR",
    "STDIN",
    "AlignmentConfig",
    "AttentionConfig",
    "AverageSettings",
    "CleaningConfig",
    "ContextConfig",
    "CorpusConfig",
    "CorpusFormat",
    "DataConfig",
    "DataKind",
    "DecodingSettings",
    "DistillationConfig",
    "Duplicates",
    "EnsembleConfig",
    "EnsembleMean",
    "EvaluateSettings",
    "FaultAction",
    "FaultsConfig",
    "FilesConfig",
    "HubConfig",
    "LeakSide",
    "Leaks",
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
    "UnicodeForm",
    "Utility",
    "WriteErrorAction",
    "from_mapping",
    "language_tag",
    "load_settings",
    "save_settings",
    "shown",
    "to_mapping",
]
