"""Properties of reading a COMET model: where its files may lie, and what is refused."""

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch

from tests.metrics.comet.tiny import (
    CONFIG,
    REGRESSION,
    SOURCES,
    Save,
    change,
    needs_encoders,
    scores,
)
from transformer.config.metrics import CometConfig
from transformer.errors import InputError
from transformer.metrics.comet import comet_scores, comet_signature
from transformer.metrics.comet.scoring import load_comet

CHECKPOINT = Path("checkpoints", "model.ckpt")


@needs_encoders
def test_a_signature_names_model_class_and_weights(save: Save) -> None:
    def sign(root: Path) -> str:
        return comet_signature(CometConfig(model=str(root)))

    one, same, other = save(name="one"), save(name="same"), save(name="other")
    change(same, lambda content: content.pop("callbacks"))
    change(other, lambda content: content["state_dict"]["estimator.ff.0.bias"].add_(1))
    assert sign(one).startswith(f"model:one|class:{REGRESSION}|weights:")
    assert sign(same) == sign(one).replace("model:one", "model:same")
    assert sign(other) != sign(one).replace("model:one", "model:other")


@needs_encoders
def test_folder_file_and_links_of_the_hubs_cache_are_one_model(save: Save, tmp_path: Path) -> None:
    root = save()
    snapshot = tmp_path / "models--Owner--wmt99-comet" / "snapshots" / "0123abcd"
    (snapshot / "checkpoints").mkdir(parents=True)
    for name in ("hparams.yaml", "encoder", "checkpoints/model.ckpt"):
        (snapshot / name).symlink_to(root / name)
    assert scores(root) == scores(root / "checkpoints" / "model.ckpt") == scores(snapshot)
    assert comet_signature(CometConfig(model=str(snapshot))).startswith("model:wmt99-comet|")


@needs_encoders
@pytest.mark.parametrize("place", ["beside", "absolute", "cache", "owner's cache"])
def test_an_encoder_is_found_by_its_name(
    place: str, save: Save, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = save(pretrained_model=str(encoder) if place == "absolute" else "tiny-encoder")
    expected = scores(root)
    (root / "encoder").unlink()
    load_comet.cache_clear()
    if place == "beside":
        (root / "tiny-encoder").symlink_to(encoder)
    elif place != "absolute":
        owner = "FacebookAI--" if place == "owner's cache" else ""
        repository = tmp_path / "hub" / f"models--{owner}tiny-encoder"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text("abc")
        (repository / "snapshots").mkdir()
        (repository / "snapshots" / "abc").symlink_to(encoder)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert scores(root) == expected


@needs_encoders
def test_a_tokenizers_own_file_is_read_as_it_is(save: Save, encoder: Path, tmp_path: Path) -> None:
    import transformers

    root = save()
    expected = scores(root)
    (root / "encoder").unlink()
    transformers.XLMRobertaTokenizer.from_pretrained(encoder).save_pretrained(root / "encoder")
    (root / "encoder" / "config.json").write_text(json.dumps(CONFIG))
    load_comet.cache_clear()
    assert (root / "encoder" / "tokenizer.json").is_file()
    assert scores(root) == expected


def refusal(model: Path) -> str:
    """The one line that a user sees."""
    with pytest.raises(InputError) as caught:
        comet_signature(CometConfig(model=str(model)))
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_a_missing_file_is_named(save: Save, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert f"metrics.comet.model={nowhere}: there is no file" in refusal(nowhere)
    root = save()
    (root / "hparams.yaml").unlink()
    assert f"hparams.yaml, which says what the model is, is not in {root}" in refusal(root)
    (root / CHECKPOINT).unlink()
    assert str(root / CHECKPOINT) in refusal(root)


@pytest.mark.parametrize("size", [0, 10, 3000, -100])
def test_a_damaged_file_of_weights_is_refused(size: int, save: Save) -> None:
    file = save() / CHECKPOINT
    file.write_bytes(file.read_bytes()[:size])
    assert f"{file} is damaged" in refusal(file)


@pytest.mark.parametrize("text", ["", "- a\n", "a: [", "\xff"])
def test_a_damaged_description_is_refused(text: str, save: Save) -> None:
    root = save()
    (root / "hparams.yaml").write_text(text, encoding="latin-1")
    assert refusal(root).startswith(str(root / "hparams.yaml"))


@pytest.mark.parametrize("kind", ["ranking_metric", "xcomet_metric", "", None])
def test_another_class_of_model_is_refused_by_name(kind: str | None, save: Save) -> None:
    line = refusal(save(kind))
    assert f"models of class {kind!r} cannot be computed" in line
    assert "unified_metric" in line


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pool", "sum"),
        ("layer", -1),
        ("layer", True),
        ("layer_transformation", "entmax"),
        ("hidden_sizes", []),
        ("hidden_sizes", ["a"]),
        ("activations", "Module"),
        ("final_activation", 3),
        ("input_segments", ["src"]),
        ("pretrained_model", None),
    ],
)
def test_a_setting_that_cannot_be_computed_is_refused(key: str, value: object, save: Save) -> None:
    root = save()
    change(root, lambda content: content["hyper_parameters"].update({key: value}))
    line = refusal(root)
    assert "hparams.yaml: " in line
    assert str(value) in line


@needs_encoders
@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (
            lambda weights: weights.pop("estimator.ff.3.bias"),
            "lacks 1 of its weights, as estimator",
        ),
        (
            lambda weights: weights.pop("encoder.model.embeddings.word_embeddings.weight"),
            "lacks 1 of its weights, as encoder.model",
        ),
        (lambda weights: weights.update(x=torch.ones(1)), "know nothing of, as x"),
        (
            lambda weights: weights.update({"estimator.ff.3.bias": torch.ones(7)}),
            r"estimator.ff.3.bias is \(7,\), but after hyper-parameters and encoder \(6,\)",
        ),
        (lambda weights: weights.update(y=3), "y is no tensor"),
    ],
)
def test_weights_of_another_network_are_refused(
    edit: Callable[[dict[str, Any]], object], says: str, save: Save
) -> None:
    root = save()
    change(root, lambda content: edit(content["state_dict"]))
    with pytest.raises(InputError, match=says):
        scores(root)


@pytest.mark.parametrize("content", [[1], {}, {"state_dict": 1}])
def test_a_file_without_weights_is_refused(content: object, save: Save) -> None:
    root = save()
    torch.save(content, root / CHECKPOINT)
    assert "has no state_dict" in refusal(root)


class Trap:
    """Writes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("as_zip", [True, False])
def test_a_file_that_could_run_code_is_refused_unread(
    as_zip: bool, save: Save, tmp_path: Path
) -> None:
    root, sign = save(), tmp_path / "it ran"
    content = {"state_dict": {}, "callbacks": Trap(sign)}
    torch.save(content, root / CHECKPOINT, _use_new_zipfile_serialization=as_zip)
    line = refusal(root)
    assert not sign.exists()
    assert ("could run code; where you trust it, rewrite it: " in line) == as_zip
    assert pickle.loads(pickle.dumps(content))["callbacks"] is None
    assert sign.exists()


@needs_encoders
@pytest.mark.parametrize(
    ("hparams", "says"),
    [
        ({"encoder_model": "BERT"}, "encoder_model=BERT must be one of XLM-RoBERTa"),
        ({"layer": 3}, "layer=3, but its encoder has 3, from 0"),
    ],
)
def test_an_encoder_that_does_not_fit_is_refused(
    hparams: dict[str, Any], says: str, save: Save
) -> None:
    assert says in refusal(save(**hparams))


@needs_encoders
@pytest.mark.parametrize("pretrained", ["tiny", "no/such", "/no/such/folder", "a/b/c"])
def test_a_missing_encoder_says_where_to_put_it(pretrained: str, save: Save) -> None:
    root = save(pretrained_model=pretrained)
    (root / "encoder").unlink()
    line = refusal(root)
    assert line.startswith(f"the encoder {pretrained} is not on this machine")
    assert f"into {root / 'encoder'}" in line


@needs_encoders
@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("config.json", "{"),
        ("config.json", '{"hidden_size": "wide"}'),
        ("config.json", '{"hidden_size": 13, "num_attention_heads": 2}'),
        ("tokenizer.json", "{"),
        ("tokenizer.json", "{}"),
        ("sentencepiece.bpe.model", "x"),
    ],
)
def test_a_damaged_encoder_is_refused(file: str, text: str, save: Save, encoder: Path) -> None:
    root = save()
    (root / "encoder").unlink()
    (root / "encoder").mkdir()
    for path in encoder.iterdir():
        (root / "encoder" / path.name).write_bytes(path.read_bytes())
    (root / "encoder" / file).write_text(text)
    assert str(root / "encoder") in refusal(root)


def test_a_missing_extra_is_named(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert "pip install 'transformer-mt[comet]'" in refusal(save())


def test_counts_that_differ_and_no_model_are_refused() -> None:
    config = CometConfig(model="unread")
    with pytest.raises(InputError, match=r"1 translations, but there are 12 sources"):
        comet_scores(SOURCES, ["a"], None, config)
    with pytest.raises(InputError, match=r"12 translations, but there are 0 references"):
        comet_scores(SOURCES, SOURCES, [], config)
    with pytest.raises(InputError, match=r"metrics\.comet\.model=DIR"):
        comet_scores(["a"], ["b"], None, CometConfig())
