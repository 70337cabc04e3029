"""Scores of checkpoints and files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from transformer.checkpoint import (
    Checkpoint,
    Contents,
    find_checkpoint,
    link_checkpoint,
    model_weights,
    save_checkpoint,
)
from transformer.config import (
    EnsembleConfig,
    EvaluateSettings,
    FilesConfig,
    ModelConfig,
    Protected,
    SearchConfig,
    TokenizerConfig,
    TrainSettings,
)
from transformer.errors import InputError
from transformer.evaluation import evaluate, evaluate_run
from transformer.evaluation import run as run_module
from transformer.metrics import score_corpus
from transformer.model import Transformer
from transformer.text.lexicon import Lexicon
from transformer.text.tokenizer import PAD_ID, train_tokenizers
from transformer.translation import Translator

PAIRS = [(f"the {a} is {b}", f"das {a} ist {b}") for a in "abcdef" for b in ("old", "new", "red")]


def write(stem: Path, pairs: list[tuple[str, str]]) -> None:
    for column, language in enumerate(("en", "de")):
        text = "".join(pair[column] + "\n" for pair in pairs)
        stem.with_suffix(f".{language}").write_text(text, encoding="utf-8")


@pytest.fixture
def settings(tmp_path: Path) -> TrainSettings:
    """A run's folder with an untrained checkpoint, and the settings that it belongs to."""
    for split in ("train", "valid", "test"):
        write(tmp_path / split, PAIRS)
    settings = TrainSettings(
        data=FilesConfig(
            source="en",
            target="de",
            train=str(tmp_path / "train"),
            valid=str(tmp_path / "valid"),
            test=str(tmp_path / "test"),
            cache_dir=str(tmp_path / "cache"),
        ),
        model=ModelConfig(
            d_model=16, d_feed_forward=16, n_heads=2, encoder_layers=1, decoder_layers=1
        ),
        search=SearchConfig(beam_size=2, max_length_offset=4),
        run_dir=str(tmp_path / "run"),
    )
    tokenizers = train_tokenizers(PAIRS, TokenizerConfig(vocab_size=278))
    torch.manual_seed(1)
    size = tokenizers.source.vocab_size
    model = Transformer(
        settings.model, source_vocab_size=size, target_vocab_size=size, pad_id=PAD_ID
    )
    folder = tmp_path / "run" / "checkpoints" / "00000001"
    save_checkpoint(folder, Contents(model_weights(model), settings, tokenizers, {}, None))
    link_checkpoint("best", folder)
    (tmp_path / "run" / "translations").mkdir()
    return settings


def test_a_checkpoint_is_scored_on_its_own_test_split(settings: TrainSettings) -> None:
    found = evaluate(EvaluateSettings(checkpoint=settings.run_dir, search=settings.search))
    translator = Translator.load(settings.run_dir)
    sources = [source for source, _ in PAIRS]
    expected = [t.text for t in translator.translate(sources, settings.search)]
    assert found.translations == expected
    assert found.references == [target for _, target in PAIRS]
    assert found.scores == score_corpus(expected, found.references, "de")


def test_other_files_are_scored_where_they_are_named(
    settings: TrainSettings, tmp_path: Path
) -> None:
    write(tmp_path / "other", PAIRS[:3])
    found = evaluate(
        EvaluateSettings(
            checkpoint=settings.run_dir,
            source=str(tmp_path / "other.en"),
            reference=str(tmp_path / "other.de"),
            output=str(tmp_path / "out.txt"),
            search=settings.search,
        )
    )
    assert found.sources == [source for source, _ in PAIRS[:3]]
    assert (tmp_path / "out.txt").read_text("utf-8").split("\n") == [*found.translations, ""]


def test_the_table_and_the_json_hold_every_score_with_its_signature(tmp_path: Path) -> None:
    write(tmp_path / "x", PAIRS)
    found = evaluate(
        EvaluateSettings(
            hypothesis=str(tmp_path / "x.de"),
            reference=str(tmp_path / "x.de"),
            target_language="de",
        )
    )
    values = {score["name"]: score for score in json.loads(found.json())["scores"]}
    assert set(values) == {"BLEU", "chrF2", "TER"}
    assert values["BLEU"]["value"] == pytest.approx(100)
    for score in values.values():
        assert score["signature"] in found.table()


def test_unequal_line_counts_are_named(tmp_path: Path) -> None:
    write(tmp_path / "x", PAIRS)
    write(tmp_path / "y", PAIRS[:-1])
    settings = EvaluateSettings(
        hypothesis=str(tmp_path / "x.de"), reference=str(tmp_path / "y.de"), target_language="de"
    )
    with pytest.raises(InputError, match=r"x\.de has 18 lines but .*y\.de has 17"):
        evaluate(settings)


def test_a_run_without_a_test_split_says_so(settings: TrainSettings) -> None:
    assert isinstance(settings.data, FilesConfig)
    settings.data.test = None
    assert evaluate_run(settings) is None


def test_the_test_of_a_run_is_translated_once_for_the_same_checkpoint_and_search(
    settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = evaluate_run(settings)
    calls: list[EvaluateSettings] = []

    def counted(settings: EvaluateSettings) -> object:
        calls.append(settings)
        return evaluate(settings)

    monkeypatch.setattr(run_module, "evaluate", counted)
    assert evaluate_run(settings) == first
    assert calls == []
    settings.search.beam_size = 1
    assert evaluate_run(settings) is not None
    assert len(calls) == 1


def test_samples_come_from_the_whole_set(settings: TrainSettings) -> None:
    found = evaluate(EvaluateSettings(checkpoint=settings.run_dir, search=settings.search))
    samples = found.samples(3).split("\n\n")
    sources = [sample.splitlines()[0].split(maxsplit=1)[1] for sample in samples]
    assert sources == [PAIRS[0][0], PAIRS[6][0], PAIRS[12][0]]
    assert len(found.samples(100).split("\n\n")) == len(PAIRS)


def test_all_that_is_asked_of_a_translation_holds_for_an_evaluation(
    settings: TrainSettings, tmp_path: Path
) -> None:
    checkpoint = Checkpoint(find_checkpoint(settings.run_dir))
    tokenizers = checkpoint.tokenizers
    common = np.arange(140, dtype=np.int32)
    shortlist = tmp_path / "shortlist"
    Lexicon(common, np.zeros((tokenizers.source.vocab_size, 1), np.int32)).save(
        shortlist, tokenizers
    )
    (tmp_path / "terms.tsv").write_text("old\talt\n", encoding="utf-8")
    plain = evaluate(EvaluateSettings(checkpoint=settings.run_dir, search=settings.search))
    asked: list[dict[str, Any]] = [
        {"terminology": str(tmp_path / "terms.tsv")},
        {"exclude": [plain.translations[0].split()[0]]},
        {"protect": [Protected.variables], "max_source_pieces": 3},
        {"shortlist": str(shortlist)},
    ]
    for changes in asked:
        wanted = EvaluateSettings(
            checkpoint=[settings.run_dir] * 2,
            ensemble=EnsembleConfig(weights=[1, 2]),
            search=settings.search,
            **changes,
        )
        translator = Translator.of(wanted)
        found = evaluate(wanted)
        sources = [source for source, _ in PAIRS]
        expected = [each.text for each in translator.translate(sources, settings.search)]
        assert found.translations == expected
        assert found.translations != plain.translations, changes
        assert found.system == f"{settings.run_dir}, {settings.run_dir}"


@pytest.mark.parametrize(
    "changes", [{"terminology": "x"}, {"exclude": ["x"]}, {"protect": [Protected.urls]}]
)
def test_what_only_a_translation_takes_is_refused_without_one(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(changes))} goes with checkpoint="):
        EvaluateSettings(hypothesis="x", reference="y", target_language="de", **changes)
