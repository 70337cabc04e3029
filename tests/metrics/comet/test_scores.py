"""Properties of COMET's scores."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.metrics.comet.by_hand import ByHand, projected
from tests.metrics.comet.tiny import (
    HPARAMS,
    REFERENCELESS,
    REFERENCES,
    REGRESSION,
    SOURCES,
    TRANSLATIONS,
    UNIFIED,
    Save,
    needs_encoders,
    scores,
)
from transformer.config.metrics import CometConfig
from transformer.errors import InputError
from transformer.metrics.comet import comet_scores
from transformer.metrics.comet.model import sparsemax
from transformer.metrics.comet.scoring import load_comet

OPTIONS = [
    {},
    {"layer_norm": True, "pool": "max"},
    {"layer_transformation": "sparsemax", "pool": "cls"},
    {"layer_transformation": "sparsemax", "layer_norm": True},
    {"layer": 1, "pool": "max", "final_activation": "Sigmoid", "activations": "tanh"},
    {"pool": "default"},
]


@needs_encoders
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", [REGRESSION, REFERENCELESS])
def test_scores_are_those_computed_by_hand(kind: str, options: dict[str, Any], save: Save) -> None:
    root = save(kind, **options)
    by_hand = ByHand(root, {**HPARAMS, **options})
    triples = zip(SOURCES, TRANSLATIONS, REFERENCES, strict=True)
    assert scores(root) == pytest.approx([by_hand.apart(kind, t) for t in triples], abs=1e-5)


@needs_encoders
@pytest.mark.parametrize("transformation", ["softmax", "sparsemax"])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_a_unified_model_reads_texts_together(
    transformation: str, layer_norm: bool, save: Save
) -> None:
    options = {"layer_transformation": transformation, "layer_norm": layer_norm}
    root = save(UNIFIED, **options)
    by_hand = ByHand(root, {**HPARAMS, **options})
    of_source = [by_hand.together(*t) for t in zip(TRANSLATIONS, SOURCES, strict=True)]
    of_reference = [by_hand.together(*t) for t in zip(TRANSLATIONS, REFERENCES, strict=True)]
    of_both = [by_hand.together(*t) for t in zip(TRANSLATIONS, SOURCES, REFERENCES, strict=True)]
    mean = np.mean([of_source, of_reference, of_both], axis=0)
    assert scores(root, None) == pytest.approx(of_source, abs=1e-5)
    assert scores(root) == pytest.approx(mean.tolist(), abs=1e-5)


@needs_encoders
def test_a_unified_model_reads_the_segments_that_it_was_trained_with(save: Save) -> None:
    source_alone = save(UNIFIED, "source", input_segments=["mt", "src"])
    assert scores(source_alone) == scores(source_alone, None) == scores(save(UNIFIED, "all"), None)
    reference_alone = save(UNIFIED, "reference", input_segments=["mt", "ref"])
    config = CometConfig(model=str(reference_alone))
    others = comet_scores(REFERENCES, TRANSLATIONS, REFERENCES, config)
    assert scores(reference_alone) == pytest.approx(others, abs=1e-6)
    with pytest.raises(InputError, match="needs references"):
        scores(reference_alone, None)


@needs_encoders
@pytest.mark.parametrize("kind", [REGRESSION, UNIFIED])
def test_a_score_depends_neither_on_neighbours_nor_on_the_batch(kind: str, save: Save) -> None:
    root = save(kind, layer_norm=True)
    expected = scores(root, batch_size=1)
    order = random.Random(0).sample(range(len(SOURCES)), len(SOURCES))
    src, mt, ref = ([lines[i] for i in order] for lines in (SOURCES, TRANSLATIONS, REFERENCES))
    for batch_size in (2, 5, 100):
        config = CometConfig(model=str(root), batch_size=batch_size)
        shuffled = comet_scores(src, mt, ref, config)
        assert shuffled == pytest.approx([expected[i] for i in order], abs=1e-5)
    assert len(set(expected)) > len(set(SOURCES)) - 3


@needs_encoders
def test_many_lines_are_scored_in_parts(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    root = save()
    expected = scores(root)
    monkeypatch.setattr("transformer.metrics.comet.scoring.CHUNK", 5)
    assert scores(root) == pytest.approx(expected, abs=1e-5)


@needs_encoders
def test_no_line_has_no_score(save: Save) -> None:
    assert comet_scores([], [], [], CometConfig(model=str(save()))) == []


@needs_encoders
def test_a_model_without_references_ignores_them(save: Save) -> None:
    root = save(REFERENCELESS)
    assert scores(root, None) == scores(root)


@needs_encoders
def test_a_model_that_only_claims_sparsemax_is_computed_with_softmax(save: Save) -> None:
    root = save(name="patched", layer_transformation="sparsemax")
    description = root / "hparams.yaml"
    sparse = scores(root)
    description.write_text(description.read_text().replace("sparsemax", "sparsemax_patch"))
    load_comet.cache_clear()
    patched = scores(root)
    assert patched == scores(save(name="soft", layer_transformation="softmax")) != sparse


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12))
def test_sparsemax_is_the_projection_onto_shares(values: list[float]) -> None:
    shares = sparsemax(torch.tensor(values, dtype=torch.float64)).numpy()
    assert shares == pytest.approx(projected(np.array(values)), abs=1e-9)
