"""Settings out of range are refused by name."""

from collections.abc import Callable
from typing import Any

import pytest

from transformer.config import (
    AlignmentConfig,
    AverageSettings,
    CleaningConfig,
    DistillationConfig,
    EvaluateSettings,
    FilesConfig,
    HubConfig,
    LengthNormalization,
    ModelConfig,
    OptimConfig,
    ParallelConfig,
    PhrasebookConfig,
    SamplingConfig,
    SearchConfig,
    SearchMethod,
    TokenizerConfig,
    TrainingConfig,
    TrainSettings,
    TranslateSettings,
    Utility,
)
from transformer.errors import InputError

GUIDED, TAUGHT = AlignmentConfig(weight=0.1), DistillationConfig(teacher="runs/a")
SHARDED, PACKED = ParallelConfig(shard=True), TrainingConfig(packing=True)
DROPPING = ModelConfig(attention_dropout=0.1)


@pytest.mark.parametrize(
    ("make", "values", "message"),
    [
        (ModelConfig, {"d_model": 10, "n_heads": 3}, "d_model=10 is not divisible"),
        (ModelConfig, {"d_model": 3, "n_heads": 3}, "model.d_model=3 must be even"),
        (ModelConfig, {"dropout": 1.0}, "model.dropout=1.0 must lie in"),
        (ModelConfig, {"encoder_layers": 0}, "model.encoder_layers=0"),
        (OptimConfig, {"lr": 0.0}, "optim.lr=0.0"),
        (OptimConfig, {"lr": float("nan")}, "optim.lr=nan"),
        (OptimConfig, {"beta2": 1.0}, "optim.beta2=1.0"),
        (OptimConfig, {"clip_norm": 0.0}, "optim.clip_norm=0.0"),
        (TrainingConfig, {"max_updates": 0}, "training.max_updates=0"),
        (TrainingConfig, {"packing": True, "rdrop": 1.0}, "packing=true does not go with"),
        (TrainingConfig, {"packing": True, "alignment": GUIDED}, "alignment.weight above 0"),
        (TrainingConfig, {"packing": True, "distillation": TAUGHT}, "distillation.teacher"),
        (TrainingConfig, {"compile": True, "parallel": SHARDED}, "compile=true does not go with"),
        (TrainingConfig, {"compile": True, "alignment": GUIDED}, "alignment.weight above 0"),
        (TrainSettings, {"training": PACKED, "model": DROPPING}, "model.attention_dropout=0.1"),
        (ParallelConfig, {"bucket_mb": 0.0}, "training.parallel.bucket_mb=0.0"),
        (PhrasebookConfig, {"prefetch": -1}, "data.prefetch=-1"),
        (TrainingConfig, {"max_minutes": 0.0}, "training.max_minutes=0.0"),
        (TrainingConfig, {"label_smoothing": 1.0}, "training.label_smoothing=1.0"),
        (TrainingConfig, {"keep_best": -1}, "training.keep_best=-1"),
        (SearchConfig, {"length_penalty": 1000.0}, "search.length_penalty=1000.0 must lie in"),
        (SearchConfig, {"max_length_ratio": float("inf")}, "search.max_length_ratio=inf"),
        (TrainSettings, {"seed": -1}, "seed=-1 must lie in"),
        (TokenizerConfig, {"seed": -1}, "tokenizer.seed=-1 must lie in"),
        (SearchConfig, {"beam_size": 0}, "search.beam_size=0"),
        (SearchConfig, {"patience": 0.0}, "search.patience=0.0"),
        (SearchConfig, {"patience": 101.0}, "search.patience=101.0"),
        (SearchConfig, {"method": "sampling", "patience": 1.0}, "search.method=beam"),
        (SearchConfig, {"mbr": "chrf", "beam_size": 1}, "search.mbr=chrf chooses among several"),
        (SearchConfig, {"mbr": "bleu", "method": "sampling"}, "search.mbr=bleu chooses among"),
        (
            SearchConfig,
            {"sampling": SamplingConfig(top_k=5, seed=2)},
            "search.sampling.top_k=5, search.sampling.seed=2 goes with search.method=sampling",
        ),
        (
            TranslateSettings,
            {"checkpoint": "a", "terminology": "t", "search": SearchConfig(groups=5)},
            "search.groups=5 does not go with terminology and protect",
        ),
        (SearchConfig, {"method": "beams"}, "search.method=beams must be one of beam, sampling"),
        (SearchConfig, {"mbr": "ter"}, "search.mbr=ter must be one of chrf, bleu"),
        (SearchConfig, {"normalization": 3}, "search.normalization=3 must be one of wu, plain"),
        (SearchConfig, {"max_length": 1}, "search.max_length=1 must be null or at least 2"),
        (
            EvaluateSettings,
            {"hypothesis": "h", "reference": "r", "target_language": "de", "max_source_pieces": 7},
            "max_source_pieces goes with checkpoint",
        ),
        (SearchConfig, {"n_best": 6}, "search.n_best=6 is larger than search.beam_size=5"),
        (SearchConfig, {"length_penalty": -1.0}, "search.length_penalty=-1.0"),
        (SearchConfig, {"max_length_offset": 0}, "search.max_length_offset=0"),
        (TokenizerConfig, {"vocab_size": 4}, "tokenizer.vocab_size=4"),
        (TokenizerConfig, {"character_coverage": 0.5}, "tokenizer.character_coverage=0.5"),
        (TokenizerConfig, {"user_symbols": ["a", "a"]}, "tokenizer.user_symbols"),
        (CleaningConfig, {"max_pieces": 0}, "cleaning.max_pieces=0"),
        (CleaningConfig, {"max_ratio": 0.5}, "cleaning.max_ratio=0.5"),
        (PhrasebookConfig, {"source": "no such"}, "data.source=no such is no language code"),
        (
            EvaluateSettings,
            {"hypothesis": "h", "reference": "r", "target_language": "False"},
            "target_language=False is no language code",
        ),
        (PhrasebookConfig, {"source": "de"}, "the same language"),
        (PhrasebookConfig, {"source": "False"}, "quote it"),
        (PhrasebookConfig, {"train_size": 0}, "data.train_size=0"),
        (PhrasebookConfig, {"batch_tokens": 0}, "data.batch_tokens=0"),
        (PhrasebookConfig, {"workers": -1}, "data.workers=-1"),
        (FilesConfig, {}, "data.source is not set"),
        (FilesConfig, {"source": "en", "target": "de"}, "data.train is not set"),
        (FilesConfig, {"source": "en", "target": "de", "train": []}, "data.train is not set"),
        (
            FilesConfig,
            {"source": "en", "target": "de", "train": 3},
            "data.train=3 must be a path, or a group",
        ),
        (
            FilesConfig,
            {"source": "en", "target": "de", "train": [{"paht": "a"}]},
            "there is no setting data.train.paht; did you mean data.train.path?",
        ),
        (FilesConfig, {"source": "en", "target": "de", "train": "a"}, "needs validation data"),
        (HubConfig, {"source": "en", "target": "de"}, "data.path is not set"),
        (TrainSettings, {"run_dir": ""}, "run_dir is empty"),
        (TrainSettings, {"threads": 0}, "threads=0"),
        (TrainSettings, {"tokenizer": TokenizerConfig(joint=False)}, "model.tying=three_way"),
        (TranslateSettings, {}, "checkpoint is not set"),
        (AverageSettings, {"checkpoint": "a"}, "output is not set"),
        (AverageSettings, {"checkpoint": "a", "output": "b", "last": 0}, "last=0"),
        (EvaluateSettings, {}, "checkpoint=runs/NAME or hypothesis=FILE"),
        (EvaluateSettings, {"checkpoint": "a", "hypothesis": "b"}, "give one of them"),
        (EvaluateSettings, {"checkpoint": "a", "source": "b"}, "go together"),
        (EvaluateSettings, {"hypothesis": "a"}, "needs reference=FILE"),
        (EvaluateSettings, {"hypothesis": "a", "reference": "b"}, "needs target_language"),
    ],
)
def test_a_value_out_of_range_is_refused_in_one_line(
    make: Callable[..., Any], values: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        make(**values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_search_takes_its_choices_by_name_too() -> None:
    named = SearchConfig(method="sampling", n_best=2, normalization="plain", mbr="bleu")  # type: ignore[arg-type]
    meant = SearchConfig(
        method=SearchMethod.sampling,
        n_best=2,
        normalization=LengthNormalization.plain,
        mbr=Utility.bleu,
    )
    assert named == meant
