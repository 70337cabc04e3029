"""What a study may vary, in Hydra's grammar of sweeps."""

from typing import Any

import pytest

from transformer.cli.overrides import parse
from transformer.cli.settings import settings_of
from transformer.cli.sweeping.space import Dimension, dimension
from transformer.config import TrainSettings
from transformer.errors import InputError

optuna = pytest.importorskip("optuna")


def read(text: str) -> Dimension:
    (override,) = parse([text], TrainSettings)
    return dimension(override, settings_of(TrainSettings).get(text.partition("=")[0]))


def drawn(text: str, n: int = 30) -> list[str]:
    """What `n` trials at random have for it, as overrides give it."""
    found = read(text)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    return [found.text(found.suggest(study.ask())) for _ in range(n)]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("model.n_heads=choice(2,4,8)", {"2", "4", "8"}),
        ("model=tiny,small", {"tiny", "small"}),
        ("data.train=choice('a,b',[c])", {r"a\,b", "[c]"}),
        ("training.label_smoothing=range(0,0.3,0.1)", {"0.0", "0.1", "0.2"}),
        ("model.encoder_layers=range(6,1,-2)", {"2", "4", "6"}),
        ("model.encoder_layers=interval(1,3)", {"1", "2", "3"}),
        ("model.encoder_layers=tag(log,interval(1,3))", {"1", "2", "3"}),
        ("optim.lr=int(interval(1,3))", {"1", "2", "3"}),
        ("seed=range(3,4)", {"3"}),
    ],
)
def test_a_study_draws_the_values_that_a_sweep_would_list(text: str, values: set[str]) -> None:
    assert set(drawn(text)) == values


def test_an_interval_gives_numbers_between_its_ends() -> None:
    values = [float(text) for text in drawn("optim.lr=interval(1e-4,1e-2)", 100)]
    assert all(1e-4 <= value <= 1e-2 for value in values)
    assert sum(value < 1e-3 for value in values) < 25


def test_a_logarithmic_interval_gives_each_magnitude_alike() -> None:
    values = [float(text) for text in drawn("optim.lr=tag(log,interval(1e-4,1e-2))", 100)]
    assert all(1e-4 <= value <= 1e-2 for value in values)
    assert 30 < sum(value < 1e-3 for value in values) < 70


@pytest.mark.parametrize(
    ("text", "values", "ends"),
    [
        ("seed=range(5,1,-2)", [5, 3], ("5", "3")),
        ("model=tiny,small", ["tiny", "small"], ("tiny", "small")),
        ("optim.lr=interval(1e-4,2)", [], ("0.0001", "2.0")),
        ("seed=interval(1,4)", [], ("1", "4")),
    ],
)
def test_values_keep_the_order_given(text: str, values: list[Any], ends: tuple[str, str]) -> None:
    assert read(text).values == values
    assert read(text).ends == ends


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optim.lr=interval(2,1)", "the lower end must come first"),
        ("optim.lr=tag(log,interval(0,1))", "must be above 0"),
        ("seed=interval(1.5,4)", "takes whole numbers"),
        ("seed=shuffle(1,2)", "leave it out"),
        ("seed=tag(log,choice(1,2))", "no other tag"),
        ("seed=tag(lgo,interval(1,2))", "no other tag"),
        ("seed=range(3,3)", "gives no value"),
        ("model=glob(*)", "list the options by name"),
    ],
)
def test_what_a_study_cannot_vary_is_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(text)
    assert str(caught.value).startswith(text)
    assert "\n" not in str(caught.value)
