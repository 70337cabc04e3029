"""Folders of runs, as training leaves them at one point or another."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from transformer.checkpoint import Contents, link_checkpoint, model_weights, save_checkpoint
from transformer.config import (
    FilesConfig,
    MetricsConfig,
    ModelConfig,
    ReportSettings,
    SignificanceConfig,
    TokenizerConfig,
    TrainSettings,
    save_settings,
)
from transformer.evaluation.page.runs import read_run
from transformer.evaluation.page.subject import Subject
from transformer.model import Transformer
from transformer.text.tokenizer import PAD_ID, train_tokenizers
from transformer.training.curves import Curves

NOUNS = ("dog", "cat", "house", "tree", "boat", "car", "road", "river")
ADJECTIVES = ("old", "new", "red", "small")
PAIRS = [
    (f"The {noun} is {adjective} {'again ' * i}today.", f"X {noun} Y {adjective} {'Z ' * i}W.")
    for i, noun in enumerate(NOUNS)
    for adjective in ADJECTIVES
]
HOSTILE = '</script><script>window.hacked = 1</script> {{ 7 * 7 }} "q" & <img src=x onerror=hack()>'

BuildRun = Callable[..., Path]


def _write(stem: Path, pairs: Sequence[tuple[str, str]]) -> None:
    for column, language in enumerate(("en", "de")):
        text = "".join(pair[column] + "\n" for pair in pairs)
        stem.with_suffix(f".{language}").write_text(text, encoding="utf-8")


def _checkpoint(run: Path, settings: TrainSettings) -> None:
    tokenizers = train_tokenizers(PAIRS, TokenizerConfig(vocab_size=290))
    torch.manual_seed(1)
    size = tokenizers.source.vocab_size
    model = Transformer(
        settings.model, source_vocab_size=size, target_vocab_size=size, pad_id=PAD_ID
    )
    folder = run / "checkpoints" / "00000040"
    metrics = {"bleu": 12.5, "chrf": 30.0, "loss": 2.5, "minutes": 1.5}
    save_checkpoint(folder, Contents(model_weights(model), settings, tokenizers, metrics, None))
    link_checkpoint("best", folder)


def _curves(run: Path, update: int = 0, last: int = 40) -> None:
    curves = Curves(run / "tensorboard", update)
    for number in range(update + 10, last + 1, 10):
        train = {"train/loss": 9 / number, "train/learning_rate": number / 1e4}
        curves.add_scalars(train | {"speed/target_tokens_per_s": 100.0, "memory/gb": 1.5}, number)
        scores = {"loss": 9 / number, "bleu": float(number), "chrf": 50.0}
        curves.add_scalars({f"validation/{name}": x for name, x in scores.items()}, number)
    curves.close()


@pytest.fixture(scope="session")
def build_run() -> BuildRun:
    """Makes a run's folder NAME in a folder, with as much in it as is asked for."""

    def build(
        root: Path,
        name: str = "run",
        *,
        trained: bool = True,
        tests: bool = True,
        errors: int = 3,
        pairs: Sequence[tuple[str, str]] = PAIRS,
        **changes: Any,
    ) -> Path:
        stems: dict[str, Any] = {}
        for split in ("train", "valid", "test"):
            _write(root / split, pairs)
            stems[split] = str(root / split)
        if not tests:
            del stems["test"]
        run = root / name
        settings = TrainSettings(
            data=FilesConfig(source="en", target="de", cache_dir=str(root / "cache"), **stems),
            model=ModelConfig(
                d_model=16, d_feed_forward=16, n_heads=2, encoder_layers=1, decoder_layers=1
            ),
            run_dir=str(run),
            **changes,
        )
        for folder in ("translations", "tensorboard", "checkpoints"):
            (run / folder).mkdir(parents=True)
        save_settings(settings, run / "config.yaml")
        if trained:
            _checkpoint(run, settings)
            _curves(run)
            wrong = [
                target.replace("Y", "NOT" * (i % 3), 1) if i % errors == 0 else target
                for i, (_, target) in enumerate(pairs)
            ]
            lines = "".join(line + "\n" for line in wrong)
            (run / "translations" / "valid.00000040.de").write_text(lines, encoding="utf-8")
            if tests:
                (run / "translations" / "test.de").write_text(lines, encoding="utf-8")
        return run

    return build


@pytest.fixture(scope="session")
def asked() -> Callable[..., ReportSettings]:
    """The settings of a report that takes little time."""

    def asked(run: Path, **changes: Any) -> ReportSettings:
        defaults: dict[str, Any] = {
            "run_dir": str(run),
            "sentences": 3,
            "attention": 0,
            "metrics": MetricsConfig(names=["bleu", "chrf"], resamples=10),
            "significance": SignificanceConfig(samples=20),
        }
        return ReportSettings(**defaults | changes)

    return asked


@pytest.fixture(scope="session")
def subject_of(asked: Callable[..., ReportSettings]) -> Callable[..., Subject]:
    """What a page about a run is about."""

    def subject_of(run: Path, *others: Path, **changes: Any) -> Subject:
        against = [str(other) for other in others] or None
        settings = asked(run, against=against, **changes)
        runs = [read_run("run_dir", str(path)) for path in (run, *others)]
        return Subject(settings, runs[0], runs[1:])

    return subject_of


@pytest.fixture(scope="session")
def add_curves() -> Callable[..., None]:
    """Adds a file of curves to a run's, as of one that goes on after `update`."""
    return _curves


@pytest.fixture(scope="session")
def hostile() -> str:
    """Text that would do harm if it were taken for HTML or for a template."""
    return HOSTILE
