"""Damaged checkpoints are refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from transformer.checkpoint import Checkpoint, Contents, DamagedError, load_weights
from transformer.config import ModelConfig, Precision, SearchConfig
from transformer.errors import InputError
from transformer.model import Transformer
from transformer.text.tokenizer import PAD_ID
from transformer.translation import Translator

FILES = ["config.yaml", "joint.model", "metrics.json", "model.safetensors", "training.pt"]


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


@pytest.mark.parametrize("manifest", ["", "[]", "{}", "null", '{"format": 2, "files": 3}', "\xff"])
def test_a_damaged_manifest_is_refused(saved: Path, manifest: str) -> None:
    (saved / "manifest.json").write_text(manifest, encoding="latin-1")
    with pytest.raises(InputError, match=r"manifest\.json is damaged"):
        Checkpoint(saved)


def test_another_format_is_refused_by_its_number(saved: Path) -> None:
    manifest = json.loads((saved / "manifest.json").read_text(encoding="utf-8"))
    manifest["format"] = 7
    (saved / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(InputError, match="format 7; this version reads format 2"):
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


def test_without_its_training_state_a_checkpoint_translates_but_does_not_resume(
    saved: Path, tmp_path: Path
) -> None:
    handed_on = tmp_path / "model"
    shutil.copytree(saved, handed_on, ignore=shutil.ignore_patterns("training.pt"))
    translator = Translator.load(str(handed_on), "cpu", Precision.fp32)
    assert len(list(translator.translate(["abc"], SearchConfig(max_length_offset=2)))) == 1
    with pytest.raises(InputError, match=r"has no training\.pt; training cannot go on"):
        Checkpoint(handed_on).training()


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk", b"\x80\x02}q\x00."])
def test_a_training_state_that_torch_cannot_load_is_damage(saved: Path, content: bytes) -> None:
    checkpoint = Checkpoint(saved)
    (saved / "training.pt").write_bytes(content)
    with pytest.raises(DamagedError, match=r"training\.pt is damaged") as caught:
        checkpoint.training()
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("cut", range(50, 1200, 50))
def test_a_training_state_cut_short_is_damage(saved: Path, cut: int) -> None:
    checkpoint = Checkpoint(saved)
    content = (saved / "training.pt").read_bytes()
    assert cut < len(content)
    (saved / "training.pt").write_bytes(content[:cut])
    with pytest.raises(DamagedError):
        checkpoint.training()


def test_damage_is_told_from_a_disk_that_cannot_be_read(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("transformer.checkpoint.load.sha256", fail)
    with pytest.raises(InputError, match="cannot be read: Input/output error") as caught:
        Checkpoint(saved)
    assert not isinstance(caught.value, DamagedError)
    monkeypatch.undo()
    (saved / "metrics.json").unlink()
    with pytest.raises(DamagedError):
        Checkpoint(saved)
