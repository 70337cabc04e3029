"""A shortlist made from the training pairs of a checkpoint."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from transformer.checkpoint import (
    Checkpoint,
    Contents,
    build_model,
    model_weights,
    save_checkpoint,
)
from transformer.config import (
    CleaningConfig,
    FilesConfig,
    ModelConfig,
    ShortlistSettings,
    TokenizerConfig,
    TokenizerKind,
    TrainSettings,
)
from transformer.errors import InputError
from transformer.text.dataset import prepare_data
from transformer.text.lexicon import Lexicon
from transformer.text.phrasebook import phrasebook
from transformer.text.tokenizer import Tokenizers, train_tokenizers
from transformer.translation import shortlist
from transformer.translation.shortlist import coverage, make_shortlist, training_data

MODEL = ModelConfig(encoder_layers=1, decoder_layers=1, d_model=8, d_feed_forward=8, n_heads=1)
PAIRS = list(phrasebook("en", "de", "train", 200, 1))


@dataclass(frozen=True)
class Run:
    """A checkpoint that was never trained."""

    settings: TrainSettings
    tokenizers: Tokenizers
    folder: Path


@pytest.fixture(scope="module")
def save(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """Saves a checkpoint for a corpus on disk, with the pieces given or else those learnt."""

    def save(tokenizer: TokenizerConfig, tokenizers: Tokenizers | None = None) -> Run:
        folder = tmp_path_factory.mktemp("run")
        for language, side in (("en", 0), ("de", 1)):
            lines = "".join(pair[side] + "\n" for pair in PAIRS)
            for split in ("train", "valid"):
                (folder / f"{split}.{language}").write_text(lines, encoding="utf-8")
        data = FilesConfig(
            source="en",
            target="de",
            train=str(folder / "train"),
            valid=str(folder / "valid"),
            cache_dir=str(folder / "cache"),
        )
        settings = TrainSettings(data=data, tokenizer=tokenizer, model=MODEL)
        tokenizers = tokenizers or prepare_data(data, tokenizer, CleaningConfig()).tokenizers
        weights = model_weights(build_model(settings, tokenizers))
        checkpoint = folder / "checkpoint"
        save_checkpoint(checkpoint, Contents(weights, settings, tokenizers, {}, None))
        return Run(settings, tokenizers, checkpoint)

    return save


@pytest.fixture(scope="module")
def run(save: Callable[..., Run]) -> Run:
    return save(TokenizerConfig(vocab_size=400))


def test_the_shortlist_covers_what_it_learnt_from_and_the_log_says_so(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "shortlist"
    with caplog.at_level(logging.INFO, "transformer"):
        make_shortlist(
            ShortlistSettings(checkpoint=str(run.folder), output=str(output), frequent=30, size=15)
        )
    found = Lexicon.load(output, run.tokenizers)
    data = training_data(Checkpoint(run.folder))
    n_candidates, covered = coverage(found, [each.encoded for each in data.valid])
    assert 30 < n_candidates < 200
    assert 0.9 < covered < 1
    assert f"{n_candidates:.0f} of 400 target pieces" in caplog.text
    assert f"{100 * covered:.2f} % of the pieces" in caplog.text


def test_coverage_counts_candidates_once_and_pieces_as_often_as_they_occur(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortlist, "ROWS", 7)
    (valid,) = training_data(Checkpoint(run.folder)).valid
    common = np.array([0, 1, 2, 3, 5, 6, 7, 8, 9, 10], np.int32)
    doubled = Lexicon(common, np.full((400, 2), 7, np.int32))
    targets = [
        token for ids in run.tokenizers.target.encode([t for _, t in PAIRS]) for token in ids
    ]
    share = sum(token in common for token in targets) / len(targets)
    for splits in ([valid.encoded], [valid.encoded] * 2):
        n_candidates, covered = coverage(doubled, splits)
        assert n_candidates == 10
        assert covered == pytest.approx(share)


def test_the_prepared_data_of_the_training_is_used(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*_: object) -> None:
        raise AssertionError("the corpus was encoded again")

    monkeypatch.setattr("transformer.text.dataset.Build", build)
    found = training_data(Checkpoint(run.folder))
    assert found.tokenizers.digests() == run.tokenizers.digests()


def test_pieces_that_would_not_be_learnt_again_are_taken_from_the_checkpoint(
    save: Callable[..., Run],
) -> None:
    config = TokenizerConfig(kind=TokenizerKind.char, vocab_size=290)
    others = train_tokenizers([("abc def", "uvw xyz")] * 9, replace(config, vocab_size=280))
    run = save(config, others)
    found = training_data(Checkpoint(run.folder))
    assert found.tokenizers.digests() == others.digests()


@pytest.mark.parametrize(
    ("output", "reason"), [("absent/shortlist", "there is no folder"), ("", "it is a folder")]
)
def test_an_output_that_cannot_be_written_is_refused_at_once(
    run: Run, tmp_path: Path, output: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(shortlist, "training_data")
    settings = ShortlistSettings(checkpoint=str(run.folder), output=str(tmp_path / output))
    with pytest.raises(InputError, match=reason):
        make_shortlist(settings)
