"""Overrides of the command line, read and checked before anything is composed from them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from transformer.cli.settings import Setting, settings_of
from transformer.errors import InputError, require

_SYNTAX = (
    "settings are given as KEY=VALUE, with quotes around lists and special characters: "
    "'KEY=[a,b]', 'KEY=\"a,b\"'"
)


def check(texts: Sequence[str], cls: type[Any]) -> list[str]:
    """The overrides `texts` of the settings `cls`, in a form that Hydra can read.

    Raises InputError for what cannot be read and for what we do not take: `+`, `~` and several
    values. Text that Hydra's grammar cannot read, such as a path with `=` or `(`, is quoted.
    """
    overrides = parse(texts, cls)
    for override in overrides:
        require(
            not override.is_sweep_override(),
            f"{override.input_line} gives several values; use [a,b] for a list, quotes for text "
            "with a comma, or train --multirun to train with each",
        )
    return [override.input_line or "" for override in overrides]


def parse(texts: Sequence[str], cls: type[Any], prefix: str = "") -> list[Override]:
    """The overrides that `texts` spell, several values included.

    `prefix` stands before the keys of `cls`.
    """
    parser = OverridesParser.create()
    known = {prefix + key: setting for key, setting in settings_of(cls).items()}
    return [_parse(parser, text, known) for text in texts]


def key_of(text: str) -> str:
    """The key of the override `text`."""
    return text.partition("=")[0]


def names_options(text: str) -> bool:
    """Whether the value of the override `text` is a name or a list of names."""
    value = OverridesParser.create().parse_override(text).value()
    names = value if isinstance(value, list) else [value]
    return all(isinstance(name, str) for name in names)


def _parse(parser: OverridesParser, text: str, known: Mapping[str, Setting]) -> Override:
    key, equals, value = text.partition("=")
    name = key.lstrip("+~")
    require(
        name == key, f"{text}: settings are neither added nor removed; write {name}={value or '…'}"
    )
    require(bool(key and equals), f"{text!r} is no setting; {_SYNTAX}")
    require(
        key != "data.kind", f"{text}: the kind of data is chosen as a whole; write data={value}"
    )
    try:
        return parser.parse_override(text)
    except HydraException as error:
        if key in known and known[key].is_text:
            return parser.parse_override(f"{key}={quote(value)}")
        reason = str(error).splitlines()[0]
        raise InputError(f"{text} cannot be read ({reason}); {_SYNTAX}") from error


def quote(text: str) -> str:
    """`text` as a quoted value of Hydra's grammar, whatever characters it holds."""
    # A backslash is special to Hydra only where it precedes a quote.
    escaped = re.sub(r"(\\*)('|$)", lambda match: match[1] * 2 + match[2].replace("'", r"\'"), text)
    return f"'{escaped}'"
