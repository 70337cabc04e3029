"""The shortlist command."""

import pytest

from transformer.cli.main import main
from transformer.config import ShortlistSettings


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[ShortlistSettings]:
    """What the command asks for; nothing is learnt."""
    found: list[ShortlistSettings] = []
    monkeypatch.setattr("transformer.translation.shortlist.make_shortlist", found.append)
    return found


def test_the_settings_reach_the_function(
    asked: list[ShortlistSettings], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["shortlist", "checkpoint=runs/a", "output=b", "size=7", "frequent=0"]) == 0
    (settings,) = asked
    assert (settings.checkpoint, settings.output) == ("runs/a", "b")
    assert (settings.size, settings.frequent) == (7, 0)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("override", "key"),
    [("size=0", "size=0"), ("frequent=-1", "frequent=-1"), ("output=", "output")],
)
def test_what_is_out_of_range_is_one_line(
    asked: list[ShortlistSettings], override: str, key: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["shortlist", "checkpoint=runs/a", "output=b", override]) == 1
    assert asked == []
    error = capfd.readouterr().err
    assert error.startswith(f"error: {key}")
    assert error.count("\n") == 1


def test_a_checkpoint_that_is_not_there_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["shortlist", "checkpoint=absent", "output=b"]) == 1
    assert capfd.readouterr().err == "error: checkpoint=absent does not exist\n"
