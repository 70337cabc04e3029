"""Properties of what is kept on the disk."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transformer.checkpoint import Contents, list_checkpoints
from transformer.config import Metric, TrainingConfig, TrainSettings
from transformer.text.dataset import prepare_data
from transformer.training.retention import Saved, kept
from transformer.training.run import RunFolder

CONFIGS = st.builds(
    TrainingConfig,
    keep_last=st.integers(1, 4),
    keep_best=st.integers(1, 3),
    keep_every=st.none() | st.integers(1, 30),
    keep_minutes=st.none() | st.floats(0.5, 20.0),
)
# Updates and minutes since the checkpoint before, and a score.
STEPS = st.lists(
    st.tuples(st.integers(1, 20), st.floats(0.01, 15.0), st.none() | st.integers(0, 5)),
    min_size=1,
    max_size=15,
)
Steps = list[tuple[int, float, int | None]]


def history(steps: Steps) -> tuple[list[Saved], dict[int, int]]:
    """The checkpoints, and the scores of those that have one."""
    update, minutes = 0, 0.0
    saved, scores = [], {}
    for updates, more, score in steps:
        update, minutes = update + updates, minutes + more
        saved.append(Saved(update, minutes))
        if score is not None:
            scores[update] = score
    return saved, scores


def ranked(saved: list[Saved], scores: dict[int, int]) -> list[int]:
    validated = [each.update for each in saved if each.update in scores]
    return sorted(validated, key=lambda update: (-scores[update], update))


@given(CONFIGS, STEPS)
def test_the_last_the_best_and_the_multiples_stay_and_nothing_else(
    config: TrainingConfig, steps: Steps
) -> None:
    saved, scores = history(steps)
    best = ranked(saved, scores)
    stay = kept(saved, best, config)
    expected = {each.update for each in saved[-config.keep_last :]} | set(best[: config.keep_best])
    if config.keep_every:
        expected |= {each.update for each in saved if each.update % config.keep_every == 0}
    if config.keep_minutes:
        end = saved[-1].minutes or 0.0
        for multiple in range(1, math.floor(end / config.keep_minutes) + 1):
            after = [
                s for s in saved if math.floor((s.minutes or 0) / config.keep_minutes) >= multiple
            ]
            expected.add(after[0].update)
    assert stay == expected


@given(CONFIGS, STEPS)
def test_deleting_after_each_save_keeps_what_deleting_at_the_end_would(
    config: TrainingConfig, steps: Steps
) -> None:
    saved, scores = history(steps)
    left: list[Saved] = []
    for each in saved:
        left.append(each)
        stay = kept(left, ranked(left, scores), config)
        left = [one for one in left if one.update in stay]
    assert {one.update for one in left} == kept(saved, ranked(saved, scores), config)


def test_checkpoints_of_unknown_time_are_not_kept_for_it() -> None:
    saved = [Saved(1, None), Saved(2, 5.0), Saved(3, None), Saved(4, 6.0)]
    config = TrainingConfig(keep_last=1, keep_minutes=5.0)
    assert kept(saved, [], config) == {2, 4}


@pytest.mark.parametrize(("metric", "best"), [(Metric.bleu, 3), (Metric.chrf, 1), (Metric.loss, 2)])
def test_a_run_keeps_by_score_update_and_time(
    settings: TrainSettings, change: Callable[..., TrainSettings], metric: Metric, best: int
) -> None:
    settings = change(
        settings,
        training__metric=metric,
        training__keep_last=1,
        training__keep_every=5,
        training__keep_minutes=4.0,
    )
    folder = RunFolder(settings)
    tokenizers = prepare_data(settings.data, settings.tokenizer, settings.cleaning).tokenizers
    folder.create(tokenizers)
    scores = {1: (1.0, 9.0, 3.0), 2: (2.0, 8.0, 1.0), 3: (3.0, 7.0, 2.0)}
    for update in range(1, 13):
        metrics = dict(zip(("bleu", "chrf", "loss"), scores.get(update, ()), strict=False))
        contents = Contents(
            {"w": torch.zeros(1)}, settings, tokenizers, {**metrics, "minutes": 1.5 * update}, {}
        )
        folder.save(update, contents)
    names = {int(path.name) for path in list_checkpoints(folder.checkpoints)}
    # 4.5, 9 and 12 minutes and the end; every fifth update; the best.
    assert names == {3, 6, 8, 11, 12} | {5, 10} | {best}
    assert (folder.checkpoints / "best").resolve().name == f"{best:08d}"


def test_unreadable_scores_keep_no_checkpoint_from_being_saved(
    settings: TrainSettings, change: Callable[..., TrainSettings]
) -> None:
    folder = RunFolder(replace(settings, training=replace(settings.training, keep_last=2)))
    tokenizers = prepare_data(settings.data, settings.tokenizer, settings.cleaning).tokenizers
    folder.create(tokenizers)
    for update in (1, 2):
        contents = Contents({"w": torch.zeros(1)}, settings, tokenizers, {"loss": 2.0}, {})
        folder.save(update, contents)
        Path(folder.checkpoints / f"{update:08d}" / "metrics.json").write_bytes(b"\xff")
    assert [path.name for path in list_checkpoints(folder.checkpoints)] == ["00000001", "00000002"]
