"""When a search ends: with enough finished hypotheses, or when no other can win."""

from dataclasses import replace

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.search.test_beam import CONFIGS, SOURCES, TableModel, find
from transformer.config import LengthNormalization, SearchConfig
from transformer.search import Hypothesis

LIMIT = 9
REWARD = LengthNormalization.reward
SLOW = hypothesis_settings(deadline=None, max_examples=60)


def outputs(found: list[list[Hypothesis]]) -> list[list[tuple[tuple[int, ...], float]]]:
    return [[(tuple(h.tokens), h.score) for h in hypotheses] for hypotheses in found]


@SLOW
@given(sources=SOURCES, config=CONFIGS)
def test_endless_patience_finds_what_the_exact_search_does(
    sources: list[int], config: SearchConfig
) -> None:
    limits = [LIMIT] * len(sources)
    exact = find(TableModel(), sources, limits, config)
    assert outputs(find(TableModel(), sources, limits, replace(config, patience=100))) == outputs(
        exact
    )


@SLOW
@given(sources=SOURCES, config=CONFIGS, patience=st.sampled_from([0.1, 0.5, 1.0, 2.0]))
def test_with_patience_a_search_is_no_longer_and_finds_no_fewer(
    sources: list[int], config: SearchConfig, patience: float
) -> None:
    limits = [LIMIT] * len(sources)
    model, patient = TableModel(), TableModel()
    exact = find(model, sources, limits, config)
    found = find(patient, sources, limits, replace(config, patience=patience))
    assert len(patient.n_rows) <= len(model.n_rows)
    assert [len(each) for each in found] == [len(each) for each in exact]
    for best, other in zip(exact, found, strict=True):
        assert (best[0].finished, best[0].score) >= (other[0].finished, other[0].score)


@SLOW
@given(sources=SOURCES, config=CONFIGS)
def test_a_sentence_ends_with_its_own_finished_hypotheses_whatever_its_neighbours_do(
    sources: list[int], config: SearchConfig
) -> None:
    config = replace(config, patience=1.0)
    together = find(TableModel(), sources, [LIMIT] * len(sources), config)
    alone = [find(TableModel(), [source], [LIMIT], config)[0] for source in sources]
    assert outputs(together) == outputs(alone)


def test_patience_counts_what_has_finished() -> None:
    # EOS (3) is among the best two at each step: two have finished after the second.
    step = {3: 0.4, 4: 0.6}
    table = {(4,) * n: step for n in range(LIMIT)}
    for patience, n_steps in ((0.5, 1), (1.0, 2), (2.0, 4)):
        model = TableModel(table)
        config = SearchConfig(beam_size=2, normalization=REWARD, patience=patience)
        found = find(model, [0], [LIMIT], config)
        assert len(model.n_rows) == n_steps
        assert found[0][0].tokens == [4] * (n_steps - 1)
