"""What a study may vary: from Hydra's grammar of sweeps to dimensions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from transformer.cli.overrides import key_of
from transformer.cli.settings import Setting
from transformer.cli.sweeping.sweep import check_kind, typed
from transformer.errors import require


@dataclass(frozen=True)
class Dimension:
    """One setting that varies: over `texts`, over an interval, or over `texts` in steps."""

    key: str
    texts: Sequence[str] = ()  # as overrides give them; empty: an interval
    low: float | None = None  # None: the texts have no order
    high: float | None = None
    step: float | None = None  # None: none, but that of whole numbers
    log: bool = False
    whole: bool = False

    @property
    def ends(self) -> tuple[str, str]:
        """The texts of the first and the last value."""
        if self.texts:
            return self.texts[0], self.texts[-1]
        return self.text(self.low), self.text(self.high)

    @property
    def values(self) -> list[Any]:
        """All values in the order given, as a trial has them; none of an interval."""
        return [each if self.low is None else typed(each) for each in self.texts]

    def text(self, value: Any) -> str:
        """The `value` of a trial as overrides give it."""
        if self.low is None:
            return str(value)
        if self.texts:
            return min(self.texts, key=lambda text: abs(float(text) - value))
        return repr(int(value) if self.whole else float(value))

    def suggest(self, trial: Any) -> Any:
        """What an Optuna `trial` has for it, or is given by its sampler."""
        if self.low is None:
            return trial.suggest_categorical(self.key, list(self.texts))
        suggest = trial.suggest_int if self.whole else trial.suggest_float
        step = {} if self.step is None else {"step": self.step}
        return suggest(self.key, self.low, self.high, log=self.log, **step)


def dimension(override: Override, setting: Setting | None) -> Dimension:
    """What the override varies of `setting` (None: of a group); InputError for what it cannot."""
    check_kind(override)
    line = override.input_line or ""
    sweep: Any = override.value()
    key = key_of(line)
    tags = set(sweep.tags)
    require(
        tags <= ({"log"} if isinstance(sweep, IntervalSweep) else set()),
        f"{line}: a study knows tag(log, interval(LOW,HIGH)) and no other tag",
    )
    if isinstance(sweep, IntervalSweep):
        whole = setting is not None and setting.hint in {int, int | None}
        return _interval(line, sweep, whole=whole, log="log" in tags)
    require(not sweep.shuffle, f"{line}: a study needs no shuffle(…); leave it out")
    texts = list(override.sweep_string_iterator())
    require(bool(texts), f"{line} gives no value")
    if not isinstance(sweep, RangeSweep):
        return Dimension(key, tuple(dict.fromkeys(texts)))
    numbers = [typed(text) for text in texts]
    step = abs(typed(str(sweep.step)))
    whole = all(isinstance(number, int) for number in numbers)
    return Dimension(key, tuple(texts), min(numbers), max(numbers), step, whole=whole)


def _interval(line: str, sweep: IntervalSweep, *, whole: bool, log: bool) -> Dimension:
    low, high = sweep.start, sweep.end
    assert low is not None
    assert high is not None
    require(low < high, f"{line}: the lower end must come first")
    require(not log or low > 0, f"{line}: with log, the lower end must be above 0")
    if whole or isinstance(low, int):
        require(
            float(low).is_integer() and float(high).is_integer(),
            f"{line}: the setting takes whole numbers; so must be the ends",
        )
        return Dimension(key_of(line), (), int(low), int(high), log=log, whole=True)
    return Dimension(key_of(line), (), low, high, log=log)
