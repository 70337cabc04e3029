"""Properties of whole runs."""

import json
import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from transformer.checkpoint import Checkpoint, find_checkpoint, list_checkpoints
from transformer.config import Metric, SearchConfig, TrainSettings
from transformer.errors import InputError
from transformer.text.dataset import PreparedData, prepare_data
from transformer.training import train
from transformer.training.stream import UpdateBatches
from transformer.training.update import Flags, Updater, UpdateResult
from transformer.training.validation import SetScores, Validation, Validator
from transformer.translation import Translator

Change = Callable[..., TrainSettings]
Logged = Callable[[TrainSettings, str], list[tuple[int, float]]]
SCALARS = {
    *(f"train/{name}" for name in ("loss", "perplexity", "learning_rate", "gradient_norm")),
    "train/skipped_updates",
    *(f"speed/{name}" for name in ("source_tokens_per_s", "target_tokens_per_s", "padding_share")),
    *(f"validation/{name}" for name in ("loss", "perplexity", "bleu", "chrf")),
    *(f"final/validation_{name}" for name in ("loss", "bleu", "chrf")),
    "memory/gb",
    "time/minutes",
}


class CutOff(Exception):  # noqa: N818
    """What ends a run in the middle of an update."""


def checkpoints(settings: TrainSettings) -> list[int]:
    folder = Path(settings.run_dir) / "checkpoints"
    return [int(path.name) for path in list_checkpoints(folder)]


def find_last(settings: TrainSettings) -> Path:
    return (Path(settings.run_dir) / "checkpoints" / "last").resolve()


def test_one_batch_overfits_and_is_then_translated_exactly(
    settings: TrainSettings, change: Change, logged: Logged, tmp_path: Path
) -> None:
    sources = ["abc", "fed cab", "a b c d", "deaf", "bad face", "cede"]
    targets = ["xyz z", "u", "w vx", "zzyx", "uv wx", "v v v"]
    for side, lines in (("xx", sources), ("yy", targets)):
        (tmp_path / f"one.{side}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    stem = str(tmp_path / "one")
    settings = change(
        settings,
        data__train=stem,
        data__valid=stem,
        data__batch_tokens=1000,
        model__dropout=0.0,
        model__embedding_dropout=0.0,
        model__attention_dropout=0.0,
        model__feed_forward_dropout=0.0,
        optim__lr=1e-2,
        optim__warmup=20,
        training__label_smoothing=0.0,
        training__max_updates=200,
        training__validate_every=200,
        training__checkpoint_every=200,
        training__log_every=100,
    )
    assert train(settings).best < 0.01
    assert logged(settings, "train/loss")[-1][1] < 0.01
    translator = Translator.load(settings.run_dir, "cpu")
    for beam_size in (1, 4):
        found = translator.translate(sources, SearchConfig(beam_size=beam_size))
        assert [translation.text for translation in found] == targets


def test_a_finished_run_run_again_does_nothing_and_a_longer_one_goes_on(
    settings: TrainSettings, change: Change
) -> None:
    first = train(settings)
    weights = find_last(settings) / "model.safetensors"
    before = weights.stat().st_mtime_ns
    again = train(settings)
    assert again == first
    assert checkpoints(settings) == [3, 6]
    assert weights.stat().st_mtime_ns == before
    longer = train(change(settings, training__max_updates=8))
    assert longer.update == 8
    assert "max_updates=8" in longer.reason
    assert checkpoints(settings) == [3, 6, 8]


def test_a_run_cut_off_before_its_first_validation_can_be_ended(
    settings: TrainSettings, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = change(settings, training__validate_every=100, training__checkpoint_every=2)
    update = Updater.update

    def killed(self: Updater, batches: UpdateBatches, flags: Flags) -> UpdateResult:
        if batches.position.update == 4:
            raise CutOff
        return update(self, batches, flags)

    monkeypatch.setattr(Updater, "update", killed)
    with pytest.raises(CutOff):
        train(settings)
    monkeypatch.undo()
    result = train(change(settings, training__max_updates=2))
    assert result.update == 2
    assert find_checkpoint(settings.run_dir).name == "00000002"
    assert Checkpoint(find_checkpoint(settings.run_dir)).metrics["loss"] == result.best


@pytest.mark.parametrize("metric", Metric)
def test_patience_ends_a_run_that_gets_no_better(
    settings: TrainSettings, change: Change, metric: Metric
) -> None:
    # So small a rate changes no weight in float32.
    settings = change(
        settings,
        optim__lr=1e-30,
        training__metric=metric,
        training__patience=2,
        training__validate_every=1,
    )
    result = train(settings)
    assert result.update == 3
    assert "patience=2" in result.reason
    assert find_checkpoint(settings.run_dir).name == "00000001"
    assert train(settings) == result


def test_epochs_and_minutes_end_a_run(settings: TrainSettings, change: Change) -> None:
    settings = change(settings, training__max_updates=1000, training__validate_every=1000)
    result = train(change(settings, training__max_minutes=1e-9))
    assert result.update == 1
    assert "max_minutes" in result.reason
    result = train(change(settings, training__max_epochs=2))
    assert "max_epochs=2" in result.reason
    position = Checkpoint(find_last(settings)).training()["position"]
    assert position == {"update": result.update, "epoch": 2, "chapter": 0, "legs": []}
    assert math.isfinite(result.best)


def test_a_last_validation_and_checkpoint_come_with_the_end(
    settings: TrainSettings, change: Change
) -> None:
    train(change(settings, training__validate_every=4, training__checkpoint_every=100))
    assert checkpoints(settings)[-1] == 6
    metrics = json.loads((find_last(settings) / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["perplexity"] == pytest.approx(math.exp(metrics["loss"]))


@pytest.mark.parametrize("metric", Metric)
def test_the_best_checkpoint_is_the_best_by_the_metric(
    settings: TrainSettings, change: Change, metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([(3.0, 5.0, 30.0), (1.0, 9.0, 20.0), (2.0, 20.0, 10.0)])

    def validate(*_: Any) -> Validation:
        loss, bleu, chrf = next(scores)
        return Validation.of({"valid": SetScores(loss, bleu, chrf, "", [""] * 6)}, loss)

    monkeypatch.setattr(Validator, "validate", validate)
    settings = change(settings, training__metric=metric, training__validate_every=2)
    result = train(settings)
    assert result.best == {Metric.loss: 1.0, Metric.bleu: 20.0, Metric.chrf: 30.0}[metric]
    expected = {Metric.loss: "00000004", Metric.bleu: "00000006", Metric.chrf: "00000002"}[metric]
    assert find_checkpoint(settings.run_dir).name == expected


def test_a_run_with_several_validation_sets_tells_of_each(
    settings: TrainSettings,
    change: Change,
    logged: Logged,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def prepare(*asked: Any) -> PreparedData:
        data = prepare_data(*asked)
        (only,) = data.valid
        other = replace(only, corpus=replace(only.corpus, name="other", target="zh"))
        return replace(data, valid=[only, other])

    monkeypatch.setattr("transformer.training.start.prepare_data", prepare)
    settings = change(settings, training__metric=Metric.bleu)
    result = train(settings)
    folder = Path(settings.run_dir)
    assert {path.name for path in (folder / "translations").iterdir()} == {
        f"valid.{name}.{number:08d}.{language}"
        for number in (3, 6)
        for name, language in (("valid", "yy"), ("other", "zh"))
    }
    metrics = json.loads((find_last(settings) / "metrics.json").read_text(encoding="utf-8"))
    assert set(metrics["sets"]) == {"valid", "other"}
    assert logged(settings, "validation/loss/other") == logged(settings, "validation/loss")
    best = Checkpoint(find_checkpoint(settings.run_dir)).metrics
    assert result.best == best["bleu"]
    assert train(settings) == result


def test_tensorboard_holds_what_the_manual_names(
    settings: TrainSettings,
    change: Change,
    events: Callable[[TrainSettings], Any],
    logged: Logged,
) -> None:
    settings = change(settings, training__attention_samples=1)
    train(settings)
    found = events(settings)
    tags = found.Tags()
    assert set(tags["scalars"]) == SCALARS
    assert set(tags["tensors"]) == {
        "validation/samples/text_summary",
        "_hparams_/session_start_info",
    }
    assert tags["images"] == ["validation/attention/1"]
    assert [event.step for event in found.Images("validation/attention/1")] == [3, 6]
    assert [step for step, _ in logged(settings, "train/loss")] == [1, 2, 3, 4, 5, 6]
    assert [step for step, _ in logged(settings, "validation/bleu")] == [3, 6]
    rates = [rate for _, rate in logged(settings, "train/learning_rate")]
    assert rates[3] == max(rates) == pytest.approx(settings.optim.lr)
    for (_, loss), (_, perplexity) in zip(
        logged(settings, "train/loss"), logged(settings, "train/perplexity"), strict=True
    ):
        assert perplexity == pytest.approx(math.exp(loss), rel=1e-5)
    (summary, _) = found.Tensors("validation/samples/text_summary")
    text = summary.tensor_proto.string_val[0].decode()
    assert text.count("reference: ") == settings.training.n_samples


def test_drawing_attention_changes_no_weight(settings: TrainSettings, change: Change) -> None:
    weights = []
    for n in (0, 2):
        changed = change(settings, training__attention_samples=n, run_dir=f"{settings.run_dir}{n}")
        train(changed)
        weights.append((find_last(changed) / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_the_folder_of_a_run_is_that_of_the_design(
    settings: TrainSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "transformer")
    train(settings)
    folder = Path(settings.run_dir)
    assert {path.name for path in folder.iterdir()} == {
        *(
            "config.yaml",
            "data.json",
            "result.json",
            "tokenizer",
            "checkpoints",
            "tensorboard",
            "translations",
            "train.log",
            ".lock",
        ),
    }
    names = {path.name for path in (folder / "checkpoints").iterdir()}
    assert names == {"00000003", "00000006", "best", "last"}
    files = {path.name for path in find_last(settings).iterdir()}
    assert files == {
        *("model.safetensors", "config.yaml", "joint.model"),
        *("training.pt", "metrics.json", "manifest.json"),
    }
    translations = folder / "translations" / "valid.00000006.yy"
    assert translations.read_text(encoding="utf-8").count("\n") == 6
    assert "training ends" in (folder / "train.log").read_text(encoding="utf-8")


def test_weights_hold_a_tied_matrix_once(settings: TrainSettings) -> None:
    train(settings)
    weights = load_file(find_last(settings) / "model.safetensors")
    assert sum(name.endswith("embedding.weight") for name in weights) == 1
    assert "output.weight" not in weights


def test_a_run_on_another_text_is_refused(
    settings: TrainSettings, change: Change, tmp_path: Path, corpus: Path
) -> None:
    for split in ("train", "valid"):
        for side in ("xx", "yy"):
            (tmp_path / f"{split}.{side}").write_bytes((corpus / f"{split}.{side}").read_bytes())
    stems = {"data__train": str(tmp_path / "train"), "data__valid": str(tmp_path / "valid")}
    settings = change(settings, **stems)
    train(settings)
    with (tmp_path / "train.xx").open("a", encoding="utf-8") as file:
        file.write("abba\n")
    with (tmp_path / "train.yy").open("a", encoding="utf-8") as file:
        file.write("uvvu\n")
    with pytest.raises(InputError, match="another text"):
        train(change(settings, training__max_updates=8))


def test_bad_data_leave_no_folder_behind(settings: TrainSettings, change: Change) -> None:
    with pytest.raises(InputError, match="does not exist"):
        train(change(settings, data__train="nowhere"))
    assert not Path(settings.run_dir).exists()


def test_a_training_that_diverges_says_so_and_keeps_what_it_saved(
    settings: TrainSettings, change: Change
) -> None:
    train(change(settings, training__max_updates=3))
    before = checkpoints(settings)
    other = change(settings, optim__lr=1e30, optim__warmup=0, training__log_every=1)
    with pytest.raises(InputError, match="run_dir"):
        train(other)
    message = r"NaN, at update 3, in fp32 at a learning rate of .*: lower optim.lr=1e\+30"
    with pytest.raises(InputError, match=message):
        train(replace(other, run_dir=f"{settings.run_dir}-diverging"))
    assert checkpoints(settings) == before
