"""Equality with the official package, where COMET_PYTHON names an interpreter that has it.

It needs older versions of several libraries, so it has an environment of its own:
pip install unbabel-comet==2.2.7 'numpy<2' 'setuptools<81' sentencepiece==0.2.0
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.metrics.comet.tiny import (
    REFERENCELESS,
    REFERENCES,
    REGRESSION,
    SOURCES,
    TRANSLATIONS,
    UNIFIED,
    needs_encoders,
    scores,
)

# Builds each model, lets Lightning write it, and scores with what the package then loads.
OFFICIAL = """
import json, sys
from pathlib import Path
import pytorch_lightning, torch, yaml
from comet.models import load_from_checkpoint, str2model
from transformers import XLMRobertaTokenizerFast

torch.set_num_threads(1)
asked = json.load(sys.stdin)
made = []
for i, (kind, settings, fields) in enumerate(asked["models"]):
    torch.manual_seed(i)
    described = {"layer_transformation": settings.pop("described", None)}
    model = str2model[kind](**settings, pretrained_model=asked["encoder"], hidden_sizes=[9, 5],
                            load_pretrained_weights=False)
    for weight in model.parameters():
        weight.data += 0.3 * torch.randn_like(weight)
    root = Path(asked["out"], str(i))
    trainer = pytorch_lightning.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(root / "checkpoints" / "model.ckpt")
    described = {k: v for k, v in described.items() if v}
    text = yaml.safe_dump({**model.hparams, **described, "class_identifier": kind})
    (root / "hparams.yaml").write_text(text)
    if i % 2:
        tokenizer = XLMRobertaTokenizerFast.from_pretrained(asked["encoder"])
        tokenizer.save_pretrained(root / "encoder")
        config = Path(asked["encoder"], "config.json").read_text()
        (root / "encoder" / "config.json").write_text(config)
    loaded = load_from_checkpoint(root / "checkpoints" / "model.ckpt")
    lines = [{name: line[name] for name in fields} for line in asked["lines"]]
    found = loaded.predict(lines, batch_size=5, gpus=0, progress_bar=False, num_workers=0)
    made.append(found["scores"])
json.dump(made, open(sys.argv[1], "w"))
"""

ALL, SOURCE, REFERENCE = ["src", "mt", "ref"], ["src", "mt"], ["mt", "ref"]
MODELS: list[tuple[str, dict[str, Any], list[str]]] = [
    *(
        (kind, {"layer_transformation": way, "layer_norm": norm, "pool": pool}, fields)
        for kind, fields in ((REGRESSION, ALL), (REFERENCELESS, SOURCE))
        for way, norm in (("softmax", True), ("sparsemax", False))
        for pool in ("avg", "cls", "max", "default")
    ),
    (REGRESSION, {"layer": 1, "final_activation": "Sigmoid"}, ALL),
    (REGRESSION, {}, ALL),
    (REGRESSION, {"layer_transformation": "sparsemax", "described": "sparsemax_patch"}, ALL),
    (UNIFIED, {}, ALL),
    (UNIFIED, {}, SOURCE),
    (UNIFIED, {"input_segments": ["mt", "src"], "layer_transformation": "softmax"}, SOURCE),
    (UNIFIED, {"input_segments": ["mt", "ref"], "layer_norm": False}, REFERENCE),
    (UNIFIED, {"word_level_training": True, "word_layer": 1, "sent_layer": 2}, ALL),
]


@needs_encoders
@pytest.mark.skipif("COMET_PYTHON" not in os.environ, reason="COMET_PYTHON is not set")
def test_scores_are_those_of_the_official_package(tmp_path: Path, encoder: Path) -> None:
    triples = zip(SOURCES, TRANSLATIONS, REFERENCES, strict=True)
    asked = {
        "models": MODELS,
        "encoder": str(encoder),
        "out": str(tmp_path),
        "lines": [{"src": src, "mt": mt, "ref": ref} for src, mt, ref in triples],
    }
    made = tmp_path / "made.json"
    subprocess.run(
        [os.environ["COMET_PYTHON"], "-W", "ignore", "-c", OFFICIAL, str(made)],
        input=json.dumps(asked),
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for i, ((_, _, fields), expected) in enumerate(
        zip(MODELS, json.loads(made.read_text()), strict=True)
    ):
        references = REFERENCES if "ref" in fields else None
        for batch_size in (1, 7):
            got = scores(tmp_path / str(i), references, batch_size)
            assert got == pytest.approx(expected, abs=1e-5), MODELS[i]
        assert max(expected) - min(expected) > 0.01
