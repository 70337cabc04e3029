"""Properties of averaged checkpoints."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from transformer.checkpoint import Checkpoint, Contents, average, mean_weights, save_checkpoint
from transformer.config import AverageSettings
from transformer.errors import InputError


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


def test_an_average_of_the_best_goes_by_the_metric_of_the_run(
    saved: Path, contents: Callable[..., Contents], tmp_path: Path
) -> None:
    # The run's metric is BLEU; the first checkpoint has none.
    for seed, bleu in enumerate((10.0, 30.0, 20.0), start=1):
        save_checkpoint(
            saved.with_name(f"0000001{seed}"), contents(seed=seed, bleu=bleu, loss=bleu)
        )
    output = tmp_path / "averaged"
    run = str(saved.parents[1])
    average(AverageSettings(checkpoint=run, best=2, output=str(output)))
    found = Checkpoint(output)
    assert found.metrics == {"averaged": ["00000012", "00000013"]}
    for name, weight in found.weights().items():
        one, other = (contents(seed=seed).weights[name] for seed in (2, 3))
        torch.testing.assert_close(weight, (one + other) / 2)
    with pytest.raises(
        InputError, match=r"best=4, but .* holds 3 validated checkpoints; give best=3"
    ):
        average(AverageSettings(checkpoint=run, best=4, output=str(tmp_path / "more")))


def test_an_average_is_of_five_checkpoints_where_nothing_is_said(
    saved: Path, contents: Callable[..., Contents], tmp_path: Path
) -> None:
    settings = AverageSettings(checkpoint=str(saved.parents[1]), output=str(tmp_path / "averaged"))
    with pytest.raises(InputError, match="last=5, but"):
        average(settings)
    for n in range(10, 15):
        save_checkpoint(saved.with_name(f"000000{n}"), contents(seed=n))
    average(settings)
    names = ["00000010", "00000011", "00000012", "00000013", "00000014"]
    assert Checkpoint(tmp_path / "averaged").metrics == {"averaged": names}


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
