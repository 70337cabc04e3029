"""The score command on the command line."""

from pathlib import Path

import pytest

from transformer.cli.main import main
from transformer.config import EnsembleMean, LengthNormalization, LineFormat, ScoreSettings

PATHS = ["source=a.en", "target=a.de"]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[ScoreSettings]:
    """What the command hands over; nothing is scored."""
    found: list[ScoreSettings] = []
    monkeypatch.setattr("transformer.translation.score_file", found.append)
    return found


def test_overrides_become_settings(calls: list[ScoreSettings]) -> None:
    arguments = [
        *PATHS,
        "checkpoint=[runs/a,runs/b]",
        "ensemble.weights=[1,2.5]",
        "ensemble.mean=arithmetic",
        "search.normalization=none",
        "search.attention.layer=-1",
        "output_format=jsonl",
        "alignment=true",
        "attention=true",
    ]
    assert main(["score", *arguments]) == 0
    (settings,) = calls
    assert settings.checkpoints == ["runs/a", "runs/b"]
    assert settings.ensemble.weights == [1.0, 2.5]
    assert settings.ensemble.mean is EnsembleMean.arithmetic
    assert settings.search.normalization is LengthNormalization.none
    assert settings.search.attention.layer == -1
    assert settings.output_format is LineFormat.jsonl
    assert (settings.alignment, settings.attention) == (True, True)
    assert (settings.source, settings.target, settings.output) == ("a.en", "a.de", None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (PATHS, "checkpoint is not set"),
        (["checkpoint=a", "source=a.en"], "target is not set"),
        (["checkpoint=a", "target=a.de"], "source is not set"),
        (["checkpoint=a", *PATHS, "attention=true"], "attention=true goes with"),
        (["checkpoint=a", *PATHS, "ensemble.weights=[1,2]"], "has 2 weights, but checkpoint has 1"),
        (["checkpoint=a", *PATHS, "inputs=a.en"], "inputs"),
        (["checkpoint=a", *PATHS, "output_format=xml"], "output_format"),
    ],
)
def test_bad_settings_are_one_line_and_exit_1(
    calls: list[ScoreSettings],
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert main(["score", *arguments]) == 1
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert message in output.err
    assert not calls


def test_a_checkpoint_that_is_not_there_is_one_line_and_exit_1(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.en", "a.de"):
        (tmp_path / name).write_text("a\n", encoding="utf-8")
    paths = [f"source={tmp_path}/a.en", f"target={tmp_path}/a.de", f"output={tmp_path}/out"]
    assert main(["score", f"checkpoint={tmp_path}/none", *paths]) == 1
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert "none" in error
    assert not (tmp_path / "out").exists()
