"""The comparison of learning curves: what it takes, and what it shows."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from compare_curves import settings_of, show

from transformer.errors import InputError


def arguments(*overrides: str) -> argparse.Namespace:
    names = {"train": "x", "valid": "x", "source": "en", "target": "de"}
    return argparse.Namespace(seed=1, set=list(overrides), **names)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.dropout=0.2", r"model\.dropout=0\.2 is not what the plain loop does; give 0\.1$"),
        ("model.embedding_dropout=0", r"model\.embedding_dropout=0"),
        ("model.attention_dropout=0.1", r"model\.attention_dropout=0\.1"),
        ("model.feed_forward_dropout=0.1", r"model\.feed_forward_dropout=0\.1"),
        ("model.norm=post", r"model\.norm=post .*give pre$"),
        ("model.tying=two_way", r"model\.tying=two_way"),
        ("training.label_smoothing=0", r"training\.label_smoothing=0"),
        ("training.accumulate=2", r"training\.accumulate=2"),
        ("optim.kind=muon", r"optim\.kind=muon .*give adam or adamw$"),
        ("optim.weight_decay=0.1", r"optim\.weight_decay=0\.1"),
    ],
)
def test_what_the_plain_loop_does_not_do_is_refused(override: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        settings_of(arguments(override))


def test_what_both_paths_do_is_taken() -> None:
    settings = settings_of(arguments("optim.kind=adam", "model.d_model=64", "optim.clip_norm=2"))
    assert settings.model.d_model == 64


def write(folder: Path, path: str, seed: int, losses: list[float]) -> str:
    rows = [{"update": i, "tokens": 9 * i, "valid": loss} for i, loss in enumerate(losses)]
    file = folder / f"{path}{seed}"
    file.write_text(json.dumps({"path": path, "seed": seed, "curve": rows}))
    return str(file)


def test_curves_are_shown_with_the_differences_of_each_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [write(tmp_path, "fast", seed, [2.0 + seed]) for seed in (1, 2)]
    files += [write(tmp_path, "plain", seed, [1.5 + seed]) for seed in (1, 2)]
    show(files, None)
    assert "| 3.5000 (0.7071) | 3.0000 (0.7071) | 0.5000 (0.0000) |" in capsys.readouterr().out


def test_curves_of_unequal_length_are_refused(tmp_path: Path) -> None:
    files = [write(tmp_path, path, seed, [1.0]) for path in ("fast", "plain") for seed in (1, 2)]
    with pytest.raises(InputError, match="equally many updates"):
        show([*files[:3], write(tmp_path, "plain", 2, [1.0, 2.0])], None)


@pytest.mark.parametrize("content", [None, "{", "[]", '{"path": "fast"}'])
def test_a_file_that_no_run_has_written_is_named(tmp_path: Path, content: Any) -> None:
    file = tmp_path / "odd"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError, match=r"odd .*give files that `run` has written"):
        show([str(file)], None)
