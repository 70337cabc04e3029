"""Checkpoints on disk."""

import json
import os
import pickletools
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import transformer.checkpoint as module
from transformer.checkpoint import (
    Checkpoint,
    Contents,
    average,
    find_checkpoint,
    keep_checkpoints,
    link_checkpoint,
    list_checkpoints,
    load_weights,
    mean_weights,
    model_weights,
    save_checkpoint,
)
from transformer.config import (
    AverageSettings,
    ModelConfig,
    Precision,
    SearchConfig,
    TokenizerConfig,
    TokenizerKind,
    TrainSettings,
    Tying,
)
from transformer.errors import InputError
from transformer.model import Transformer
from transformer.text.tokenizer import PAD_ID, Tokenizers, train_tokenizers
from transformer.translation import Translator

CPU = torch.device("cpu")
FILES = ["config.yaml", "joint.model", "metrics.json", "model.safetensors", "training.pt"]
TRAINING = {"position": {"update": 3}, "tensors": [torch.arange(4.0)], "best": None, "name": "a"}


@pytest.fixture(scope="module")
def tokenizers() -> Tokenizers:
    config = TokenizerConfig(kind=TokenizerKind.char, vocab_size=14, byte_fallback=False)
    return train_tokenizers([("abc de", "fgh"), ("cab", "hgf fg")] * 4, config)


@pytest.fixture
def contents(tokenizers: Tokenizers) -> Callable[..., Contents]:
    """Makes the contents of a checkpoint, with weights drawn from `seed`."""

    def make(seed: int = 0, tying: Tying = Tying.three_way, **metrics: float) -> Contents:
        torch.manual_seed(seed)
        config = ModelConfig(
            encoder_layers=1,
            decoder_layers=1,
            d_model=8,
            d_feed_forward=8,
            n_heads=2,
            tying=tying,
        )
        size = tokenizers.source.vocab_size
        model = Transformer(config, source_vocab_size=size, target_vocab_size=size, pad_id=PAD_ID)
        return Contents(
            model_weights(model), TrainSettings(model=config), tokenizers, metrics, TRAINING
        )

    return make


@pytest.fixture
def saved(tmp_path: Path, contents: Callable[..., Contents]) -> Path:
    folder = tmp_path / "run" / "checkpoints" / "00000003"
    save_checkpoint(folder, contents(loss=1.5))
    return folder


def read_all(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("tying", Tying)
def test_what_is_saved_comes_back(
    tmp_path: Path, contents: Callable[..., Contents], tying: Tying
) -> None:
    before = contents(tying=tying, loss=2.5)
    save_checkpoint(tmp_path / "c", before)
    found = Checkpoint(tmp_path / "c")
    assert found.settings == before.settings
    assert found.metrics == {"loss": 2.5}
    assert found.tokenizers.joint
    assert found.tokenizers.source.model == before.tokenizers.source.model
    training = found.training()
    assert torch.equal(training.pop("tensors")[0], torch.arange(4.0))
    assert training == {key: value for key, value in TRAINING.items() if key != "tensors"}
    model = found.model(CPU)
    assert not model.training
    weights = model_weights(model)
    assert weights.keys() == before.weights.keys()
    assert all(torch.equal(weights[name], before.weights[name]) for name in weights)
    assert (model.output.weight is model.target_embedding.weight) == (tying is not Tying.none)


def test_a_checkpoint_holds_the_files_of_the_design(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == sorted([*FILES, "manifest.json"])
    assert [path.name for path in saved.parent.iterdir()] == ["00000003"]


def test_nothing_needs_pickle(saved: Path) -> None:
    for file in saved.iterdir():
        if file.name != "training.pt":
            assert not zipfile.is_zipfile(file)
            assert not file.read_bytes().startswith(b"\x80")
    torch.load(saved / "training.pt", weights_only=True)
    with zipfile.ZipFile(saved / "training.pt") as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
        called = [
            arg for op, arg, _ in pickletools.genops(archive.read(name)) if op.name == "GLOBAL"
        ]
    assert all(str(arg).split()[0] in {"torch", "torch._utils", "collections"} for arg in called)


# Damage


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_truncated_file_is_refused(saved: Path, name: str) -> None:
    with (saved / name).open("r+b") as file:
        file.truncate((saved / name).stat().st_size // 2)
    with pytest.raises(InputError, match=name) as caught:
        Checkpoint(saved)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_an_altered_file_is_refused(saved: Path, name: str) -> None:
    content = bytearray((saved / name).read_bytes())
    content[-1] ^= 1
    (saved / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} was altered"):
        Checkpoint(saved)


@pytest.mark.parametrize("name", [name for name in FILES if name != "training.pt"])
def test_a_missing_file_is_refused(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(InputError, match=f"{name} is missing"):
        Checkpoint(saved)


@pytest.mark.parametrize("manifest", ["", "[]", "{}", "null", '{"format": 1, "files": 3}', "\xff"])
def test_a_damaged_manifest_is_refused(saved: Path, manifest: str) -> None:
    (saved / "manifest.json").write_text(manifest, encoding="latin-1")
    with pytest.raises(InputError, match=r"manifest\.json is damaged"):
        Checkpoint(saved)


def test_another_format_is_refused_by_its_number(saved: Path) -> None:
    manifest = json.loads((saved / "manifest.json").read_text(encoding="utf-8"))
    manifest["format"] = 7
    (saved / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(InputError, match="format 7; this version reads format 1"):
        Checkpoint(saved)


def test_weights_of_another_model_are_refused(contents: Callable[..., Contents]) -> None:
    weights = dict(contents().weights)
    model = Transformer(
        ModelConfig(encoder_layers=1, decoder_layers=2, d_model=8, d_feed_forward=8, n_heads=2),
        source_vocab_size=9,
        target_vocab_size=9,
        pad_id=PAD_ID,
    )
    with pytest.raises(InputError, match=r"the weights do not fit the model: decoder\.1"):
        load_weights(model, weights)


# Failed saves


@pytest.mark.parametrize(
    "step", ["save_settings", "_write_manifest", "_flush", "_flush_file", "save_file", "rename"]
)
@pytest.mark.parametrize("again", [False, True])
def test_a_failed_save_leaves_nothing_and_the_checkpoints_before_as_they_were(
    saved: Path,
    contents: Callable[..., Contents],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    again: bool,
) -> None:
    before, rename = read_all(saved.parent), Path.replace

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    def replace(path: Path, to: Path) -> None:
        """Fails only where the new checkpoint is to come to its place."""
        fail() if ".old" not in (path.suffix, to.suffix) else rename(path, to)

    match step:
        case "save_file":
            monkeypatch.setattr(safetensors.torch, "save_file", fail)
        case "rename":
            monkeypatch.setattr(Path, "replace", replace)
        case _:
            monkeypatch.setattr(module, step, fail)
    folder = saved if again else saved.with_name("00000006")
    with pytest.raises(InputError, match=r"cannot write the checkpoint .*No space left"):
        save_checkpoint(folder, contents(seed=1))
    monkeypatch.undo()
    assert read_all(saved.parent) == before
    assert [path.name for path in saved.parent.iterdir()] == ["00000003"]
    Checkpoint(saved)


def test_a_save_in_a_place_that_cannot_be_written_is_refused(
    tmp_path: Path, contents: Callable[..., Contents]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="cannot write the checkpoint"):
        save_checkpoint(tmp_path / "file" / "c", contents())


def test_a_save_replaces_what_is_there(saved: Path, contents: Callable[..., Contents]) -> None:
    save_checkpoint(saved, contents(seed=1, loss=0.5))
    assert Checkpoint(saved).metrics == {"loss": 0.5}
    assert [path.name for path in saved.parent.iterdir()] == ["00000003"]


def test_what_a_killed_process_of_the_same_number_left_is_no_obstacle(
    saved: Path, contents: Callable[..., Contents]
) -> None:
    left = saved.with_name(f".00000006.{os.getpid()}")
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"half")
    save_checkpoint(saved.with_name("00000006"), contents())
    assert sorted(p.name for p in saved.parent.iterdir()) == ["00000003", "00000006"]
    Checkpoint(saved.with_name("00000006"))


# Finding, listing, linking


def test_a_path_names_its_checkpoint_or_the_best_or_the_last_of_a_run(
    saved: Path, contents: Callable[..., Contents]
) -> None:
    run = saved.parents[1]
    assert find_checkpoint(saved) == saved
    link_checkpoint("last", saved)
    assert find_checkpoint(str(run)) == saved.resolve()
    later = saved.with_name("00000006")
    save_checkpoint(later, contents())
    link_checkpoint("best", saved)
    link_checkpoint("last", later)
    assert find_checkpoint(run) == saved.resolve()
    link_checkpoint("best", later)
    assert find_checkpoint(run) == later.resolve()
    assert find_checkpoint(saved.with_name("last")) == saved.with_name("last")
    assert not (saved.parent / "best").readlink().is_absolute(), "a run's folder may be moved"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "does not exist"),
        ("file", "is a file"),
        ("empty", "holds no checkpoint"),
    ],
)
def test_a_path_without_a_checkpoint_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=f"checkpoint=.*{name} {message}"):
        find_checkpoint(tmp_path / name)


def test_checkpoints_are_listed_oldest_first_without_links_and_leftovers(
    saved: Path, contents: Callable[..., Contents]
) -> None:
    for name in ("00000020", "00000100"):
        save_checkpoint(saved.with_name(name), contents())
    link_checkpoint("best", saved)
    saved.with_name(".00000200.77").mkdir()
    names = ["00000003", "00000020", "00000100"]
    assert [path.name for path in list_checkpoints(saved.parent)] == names
    keep_checkpoints(saved.parent, [saved, saved.with_name("00000100")])
    assert [path.name for path in list_checkpoints(saved.parent)] == ["00000003", "00000100"]
    assert list_checkpoints(saved.with_name("nowhere")) == []


def test_without_its_training_state_a_checkpoint_translates_but_does_not_resume(
    saved: Path, tmp_path: Path
) -> None:
    handed_on = tmp_path / "model"
    shutil.copytree(saved, handed_on, ignore=shutil.ignore_patterns("training.pt"))
    translator = Translator.load(str(handed_on), "cpu", Precision.fp32)
    assert len(list(translator.translate(["abc"], SearchConfig(max_length_offset=2)))) == 1
    with pytest.raises(InputError, match=r"has no training\.pt; training cannot go on"):
        Checkpoint(handed_on).training()


# Averages


def test_an_average_is_the_mean_of_the_last_checkpoints(
    saved: Path, contents: Callable[..., Contents], tmp_path: Path
) -> None:
    for seed, name in enumerate(("00000004", "00000005"), start=1):
        save_checkpoint(saved.with_name(name), contents(seed=seed))
    output = tmp_path / "averaged"
    settings = AverageSettings(checkpoint=str(saved.parents[1]), last=2, output=str(output))
    assert average(settings) == output
    found = Checkpoint(output)
    for name, weight in found.weights().items():
        one, other = (contents(seed=seed).weights[name] for seed in (1, 2))
        torch.testing.assert_close(weight, (one + other) / 2)
    assert found.metrics == {"averaged": ["00000004", "00000005"]}
    assert not (output / "training.pt").exists()
    with pytest.raises(InputError, match="exists already"):
        average(settings)


def test_an_average_of_more_than_there_are_is_refused(saved: Path, tmp_path: Path) -> None:
    settings = AverageSettings(
        checkpoint=str(saved.parents[1]), last=2, output=str(tmp_path / "averaged")
    )
    with pytest.raises(InputError, match=r"last=2, but checkpoint=.* holds 1 checkpoints"):
        average(settings)
    assert not (tmp_path / "averaged").exists()


def test_a_mean_keeps_the_dtype_and_sums_in_double() -> None:
    # In float32, 1e8 + 4 is 1e8.
    models = [{"w": torch.tensor([value])} for value in (1e8, 4.0, 4.0)]
    (mean,) = mean_weights(iter(models)).values()
    assert mean.dtype is torch.float32
    assert mean.tolist() == [33_333_336.0]
