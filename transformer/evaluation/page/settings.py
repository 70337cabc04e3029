"""Of a page: all settings of the run."""

from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any

from transformer import __version__
from transformer.config import flatten, shown, to_mapping
from transformer.evaluation.page.subject import Subject
from transformer.pictures.page import Section
from transformer.pictures.parts import Parts
from transformer.tables import Cell, Table


def settings_section(subject: Subject) -> Section:
    """A table of all settings, in which those that differ from the defaults stand out."""
    values = flatten(to_mapping(subject.run.settings))
    defaults = flatten(defaults_of(subject.run.settings))
    changed = [key for key in values if key not in defaults or defaults[key] != values[key]]
    others = [key for key in values if key not in changed]
    rows: list[list[Cell]] = [
        [key, shown(values[key]), shown(defaults[key]) if key in defaults else ""]
        for key in [*changed, *others]
    ]
    parts = Parts()
    parts.lead(
        f"All {len(rows)} settings of config.yaml, first the {len(changed)} that differ from the "
        f"defaults of version {__version__}."
    )
    parts.table(
        Table(["setting", "value", "default"], rows), strong=range(len(changed)), searchable=True
    )
    return parts.section("settings", "Settings")


def defaults_of(settings: Any) -> dict[str, Any]:
    """The plain mapping of what the classes of `settings` set where nobody says otherwise."""
    found: dict[str, Any] = {}
    for each in fields(settings):
        value = getattr(settings, each.name)
        if is_dataclass(value):
            # By the value: a settings class that stands for others has defaults of one of them.
            found[each.name] = defaults_of(value)
        elif each.default is not MISSING:
            found[each.name] = _plain(each.default)
        elif each.default_factory is not MISSING:
            found[each.name] = _plain(each.default_factory())
    return found


def _plain(value: Any) -> Any:
    """`value` as `to_mapping` gives it."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.name if isinstance(value, Enum) else value
