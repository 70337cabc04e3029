"""The settings of a command as a flat list of dotted keys, with what is known of each."""

import ast
import inspect
import typing
from dataclasses import dataclass, fields, is_dataclass, replace
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
        return self.hint in {str, str | None, Any}


def settings_of(cls: type[Any], kind: str | None = None) -> dict[str, Setting]:
    """Every setting of the dataclass `cls` by its key, in order; of one kind of data, or of all.

    `data.kind` is left out: the group `data=` sets it.
    """
    return {setting.key: setting for setting in _walk(cls, "", kind)}


def _walk(cls: type[Any], prefix: str, kind: str | None) -> list[Setting]:
    hints = typing.get_type_hints(cls)
    comments = _comments(cls)  # type: ignore[arg-type]  # a class is hashable
    found: list[Setting] = []
    for field in fields(cls):
        key, hint = prefix + field.name, hints[field.name]
        if hint is DataConfig:
            found += _walk_data(f"{key}.", kind)
        elif is_dataclass(hint):
            found += _walk(typing.cast(type, hint), f"{key}.", kind)
        else:
            found.append(Setting(key, hint, comments.get(field.name, "")))
    return found


def _walk_data(prefix: str, chosen: str | None) -> list[Setting]:
    merged: dict[str, Setting] = {}
    for kind in [chosen] if chosen else DATA_CLASSES:
        for setting in _walk(DATA_CLASSES[kind], prefix, None):
            kinds = (*merged[setting.key].kinds, kind) if setting.key in merged else (kind,)
            merged[setting.key] = replace(setting, kinds=kinds)
    del merged[f"{prefix}kind"]
    return list(merged.values())


@cache
def _comments(cls: type) -> dict[str, str]:
    """The comment on each field in the source of `cls` and of its bases: behind it or above it."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if is_dataclass(base):
            source = inspect.getsource(base)
            comments = _comments_by_line(source)
            (body,) = ast.parse(source).body
            for node in typing.cast(ast.ClassDef, body).body:
                if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    found[node.target.id] = comments.get(node.lineno, "")
    return found


def _comments_by_line(source: str) -> dict[int, str]:
    """The comments by the number of the line that they are on, or that they stand above."""
    found: dict[int, str] = {}
    above: list[str] = []
    for number, line in enumerate(source.splitlines(), start=1):
        code, _, comment = line.partition("# ")
        if comment and not code.strip():
            above.append(comment)
        else:
            found[number] = comment or " ".join(above)
            above = []
    return found
