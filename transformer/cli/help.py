"""The text of `transformer COMMAND --help`."""

from collections.abc import Sequence

from omegaconf import ListConfig, OmegaConf

from transformer.cli.command import Command
from transformer.cli.compose import Composed, Composer
from transformer.cli.settings import Setting, settings_of

_OPTIONS = """\
options:
  --help            this text, with the values of the overrides given
  --cfg job         print the composed settings as YAML and stop
  --config-dir DIR  look for groups in DIR too, such as DIR/experiment/NAME.yaml"""
_MULTIRUN = "  --multirun, -m    train once for each combination of values: KEY=VALUE,VALUE"


def details(command: Command, composer: Composer, overrides: Sequence[str]) -> str:
    """The text of `transformer COMMAND --help`, with the values that `overrides` give."""
    composed = composer.compose(overrides)
    parts = [
        f"transformer {command.name}: {command.summary}",
        f"usage: transformer {command.name} [KEY=VALUE ...]",
        _OPTIONS + (f"\n{_MULTIRUN}" if command.sweeps else ""),
    ]
    if composed.groups:
        parts.append(_groups(composer, composed))
    parts.append(_settings(command, composed))
    parts.append("\n".join(["examples:", *(f"  {example}" for example in command.examples)]))
    return "\n\n".join(parts)


def _groups(composer: Composer, composed: Composed) -> str:
    lines = [
        f"  {group + '=' + (option or 'null'):<24} of {', '.join(composer.options(group))}"
        for group, option in sorted(composed.groups.items())
    ]
    return "\n".join(["groups of settings, each chosen by name:", *lines])


def _settings(command: Command, composed: Composed) -> str:
    kind = OmegaConf.select(composed.config, "data.kind")
    rows = [
        (f"{setting.key}={_value(setting, composed)}", setting.expected, setting.comment)
        for setting in sorted(
            settings_of(command.settings, kind and kind.name).values(),
            key=lambda setting: "." in setting.key,  # the command's own before groups
        )
    ]
    width = max(len(row[0]) for row in rows)
    lines = [f"  {row[0]:<{width}}  {row[1]}{f'; {row[2]}' if row[2] else ''}" for row in rows]
    return "\n".join(["settings, with their values for these groups:", *lines])


def _value(setting: Setting, composed: Composed) -> str:
    value = OmegaConf.select(composed.config, setting.key)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, ListConfig):
        return f"[{','.join(str(getattr(each, 'name', each)) for each in value)}]"
    return getattr(value, "name", None) or str(value)
