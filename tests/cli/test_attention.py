"""The attention command on the command line."""

import json

import pytest

from transformer.cli.main import main
from transformer.config import AttentionKind, AttentionSettings, Unit
from transformer.tables import Table


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[AttentionSettings]:
    """What the command hands over; nothing is drawn."""
    found: list[AttentionSettings] = []

    def show(settings: AttentionSettings) -> Table:
        found.append(settings)
        return Table(["kind", "layer"], [["cross", 1]])

    monkeypatch.setattr("transformer.evaluation.attention.show_attention", show)
    return found


def test_overrides_become_settings(
    calls: list[AttentionSettings], capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["checkpoint=a", "output=b.svg", "lines=[3,1]", "kinds=[cross]", "unit=pieces"]
    assert main(["attention", *arguments, "layers=[2]", "heads=[1,4]", "format=json"]) == 0
    (settings,) = calls
    assert (settings.lines, settings.layers, settings.heads) == ([3, 1], [2], [1, 4])
    assert (settings.kinds, settings.unit) == ([AttentionKind.cross], Unit.pieces)
    assert json.loads(capfd.readouterr().out) == [{"kind": "cross", "layer": 1}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["output=b.png"], "checkpoint is not set"),
        (["checkpoint=a"], "output is not set"),
        (["checkpoint=a", "output=b.pdf"], "must end with .png, .svg or .html"),
        (["checkpoint=[a,b]", "output=b.png"], "attention is that of one model"),
        (["checkpoint=a", "output=b.png", "lines=[0]"], "lines=[0]"),
        (["checkpoint=a", "output=b.png", "kinds=[memory]"], "kinds"),
    ],
)
def test_bad_settings_are_one_line_and_exit_1(
    calls: list[AttentionSettings],
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert main(["attention", *arguments]) == 1
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert message in output.err
    assert not calls
