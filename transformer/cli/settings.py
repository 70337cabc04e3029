"""The settings of a command as a flat list of dotted keys, with what is known of each."""

import inspect
import io
import tokenize
import typing
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any

from transformer.config.data import DATA_CLASSES, DataConfig
from transformer.config.mapping import expected


@dataclass(frozen=True)
class Setting:
    """One setting: a leaf of the tree of dataclasses."""

    key: str
    hint: Any
    comment: str
    kinds: tuple[str, ...] = ()  # the kinds of data that have it; empty: all

    @property
    def expected(self) -> str:
        """What it takes, in words."""
        return expected(self.hint)

    @property
    def is_text(self) -> bool:
        """Whether it takes any text."""
        return self.hint in (str, str | None)


def settings_of(cls: type[Any]) -> dict[str, Setting]:
    """Every setting of the dataclass `cls` by its key, of all kinds of data, in order.

    `data.kind` is left out: the group `data=` sets it.
    """
    return {setting.key: setting for setting in _walk(cls, "")}


def _walk(cls: type[Any], prefix: str) -> list[Setting]:
    hints = typing.get_type_hints(cls)
    comments = _comments(cls)  # type: ignore[arg-type]  # a class is hashable
    found: list[Setting] = []
    for field in fields(cls):
        key, hint = prefix + field.name, hints[field.name]
        if hint is DataConfig:
            found += _walk_data(f"{key}.")
        elif is_dataclass(hint):
            found += _walk(typing.cast(type, hint), f"{key}.")
        else:
            found.append(Setting(key, hint, comments.get(field.name, "")))
    return found


def _walk_data(prefix: str) -> list[Setting]:
    merged: dict[str, Setting] = {}
    for kind, cls in DATA_CLASSES.items():
        for setting in _walk(cls, prefix):
            kinds = (*merged[setting.key].kinds, kind) if setting.key in merged else (kind,)
            merged[setting.key] = Setting(setting.key, setting.hint, setting.comment, kinds)
    del merged[f"{prefix}kind"]
    return list(merged.values())


@cache
def _comments(cls: type) -> dict[str, str]:
    """The comment behind each field in the source of `cls` and of its bases."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if is_dataclass(base):
            source = inspect.getsource(base)
            for token in tokenize.generate_tokens(io.StringIO(source).readline):
                name, colon, _ = token.line.strip().partition(":")
                if token.type == tokenize.COMMENT and colon and name.isidentifier():
                    found[name] = token.string.removeprefix("# ")
    return found
