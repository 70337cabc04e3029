"""Where a model looks, word by word."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.translation.conftest import data_of
from transformer.config import AttentionKind, SearchConfig, Unit, Utility
from transformer.errors import InputError
from transformer.pictures.attention import Looks
from transformer.text.tokenizer import BOS_ID, EOS_ID
from transformer.translation import Request, Translator
from transformer.translation.looking import Reading, _looks, fits, look, merged

GREEDY = SearchConfig(beam_size=1, max_length_ratio=1.0, max_length_offset=6)


def assert_whole(looks: Looks) -> None:
    """All shapes fit the labels, and all rows are distributions."""
    for kind in AttentionKind:
        weights = looks.weights(kind)
        assert weights.dtype == np.float32
        assert weights.shape[2:] == (len(looks.rows(kind)), len(looks.columns(kind)))
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("unit", Unit)
def test_own_and_given_translations_are_looked_at_in_either_unit(
    translator: Translator, unit: Unit
) -> None:
    sources = ["abc de", "f", "ab  cd é😀", "a\u3000b"]
    for targets in (None, ["uv wx", "", "y z", "\x00"]):
        for looks in look(translator, sources, targets, unit, GREEDY):
            assert_whole(looks)
            assert looks.source[-1] == "</s>"
            assert looks.columns(AttentionKind.decoder)[0] == "<s>"


def test_given_targets_are_split_into_their_words(translator: Translator) -> None:
    (looks,) = look(translator, ["abc de"], ["uv w xyz"])
    assert looks.source == ["abc", "de", "</s>"]
    assert looks.target == ["uv", "w", "xyz", "</s>"]
    assert looks.columns(AttentionKind.decoder) == ["<s>", "uv", "w", "xyz"]
    (looks,) = look(translator, ["ab"], ["u"], Unit.pieces)
    assert (looks.source, looks.target) == (["▁", "a", "b", "</s>"], ["▁", "u", "</s>"])


def test_a_word_that_was_cut_off_is_read_up_to_its_last_piece(translator: Translator) -> None:
    tokens = translator.tokenizers
    (source,), (target,) = tokens.source.encode(["ab"]), tokens.target.encode(["u vw"])
    looks = _looks(translator, Reading("ab", source, 0, target, "de"), Unit.words)
    assert looks.target == ["u", "vw"]
    assert looks.columns(AttentionKind.decoder) == ["<s>", "u", "vw"]
    assert_whole(looks)


def test_words_are_sums_and_means_of_the_models_weights(translator: Translator) -> None:
    tokens = translator.tokenizers
    (source,), (target,) = tokens.source.encode(["ab c"]), tokens.target.encode(["u vw"])
    model = translator.members[0].model
    weights = model.look(
        torch.tensor([[*source, EOS_ID]]), torch.tensor([[BOS_ID, *target]])
    ).cross[0, 0]
    (looks,) = look(translator, ["ab c"], ["u vw"])  # ▁ab, ▁c; ▁u, ▁vw
    expected = weights[:, 2:5, 3:5].sum(-1).mean(-1)
    np.testing.assert_allclose(looks.cross[0, :, 1, 1], expected, rtol=1e-5)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.lists(st.integers(1, 4), min_size=1))
def test_merged_rows_sum_to_1_and_single_pieces_stay(rows: list[int], columns: list[int]) -> None:
    draw = np.random.Generator(np.random.PCG64(1))
    weights = draw.dirichlet(np.ones(sum(columns)), (2, 3, sum(rows))).astype(np.float32)
    groups = [[("x", n) for n in sizes] for sizes in (rows, columns)]
    found = merged(weights, *groups)
    assert found.shape == (2, 3, len(rows), len(columns))
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    single = [[("x", 1)] * sum(sizes) for sizes in (rows, columns)]
    np.testing.assert_allclose(merged(weights, *single), weights)


def test_the_translation_looked_at_is_the_one_that_is_made(translator: Translator) -> None:
    sources = ["abc de", "fa"]
    texts = [each.text for each in translator.translate(sources, GREEDY)]
    for looks, text in zip(look(translator, sources, search=GREEDY), texts, strict=True):
        words = [label for label in looks.target if label != "</s>"]
        assert " ".join(words).split() == text.split() or not text.split()


def test_tags_and_context_are_labels_of_their_own(
    translator_of: Callable[..., Translator],
) -> None:
    translator = translator_of(data_of("de", "zh", source=1), target_language="de")
    first, second = look(translator, ["ab c", "de"], ["u", "v"])
    assert first.source == ["<2de>", "ab", "c", "</s>"]
    assert second.source == ["<2de>", "ab", "c", "<sep>", "de", "</s>"]
    (alone,) = look(translator, ["ab c", "de"], ["u", "v"], rows=[1])
    assert alone == second
    np.testing.assert_array_equal(alone.cross, second.cross)
    asked = Request(source="de", target_language="zh", context=["f"])
    (looks,) = look(translator, [asked], ["v w"])
    assert looks.source == ["<2zh>", "f", "<sep>", "de", "</s>"]
    assert looks.target == ["▁", "v", "▁", "w", "</s>"], "Chinese has no words between spaces"


def test_sentences_written_before_a_line_are_shown(
    translator_of: Callable[..., Translator],
) -> None:
    translator = translator_of(data_of("de", source=1, target=1))
    _, looks = look(translator, ["ab", "de"], ["u v", "w"])
    assert looks.target == ["u", "v", "<sep>", "w", "</s>"]
    assert_whole(looks)
    (own,) = look(translator, ["ab", "de"], rows=[1], search=GREEDY)
    assert own.source == ["ab", "<sep>", "de", "</s>"]
    assert_whole(own)


@pytest.mark.parametrize(
    ("source", "message"),
    [(" ", "line 2: it is blank"), ("ab " * 200, "line 2: 600 pieces are more than the 256")],
)
def test_what_cannot_be_looked_at_is_named(
    translator: Translator, source: str, message: str
) -> None:
    assert fits(translator, "ab")
    assert not fits(translator, source)
    assert not fits(translator, "ab", "ab " * 200)
    for targets in (None, ["u", "v"]):
        with pytest.raises(InputError, match=message):
            look(translator, ["ab", source], targets, search=GREEDY)


def test_ensembles_and_minimum_bayes_risk_are_refused(translator: Translator) -> None:
    with pytest.raises(InputError, match=r"search\.mbr"):
        look(translator, ["a"], search=SearchConfig(mbr=Utility.chrf))
    translator.members = [*translator.members] * 2
    with pytest.raises(InputError, match="ensemble"):
        look(translator, ["a"])
