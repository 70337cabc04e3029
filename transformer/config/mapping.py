"""Settings from and to plain mappings (what YAML holds), strictly."""

import difflib
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import yaml

from transformer.errors import InputError

T = TypeVar("T")
# Of a settings class that stands for others: these, by the name that their key `kind` has.
SUBCLASSES: dict[type[Any], Mapping[str, type[Any]]] = {}


def from_mapping(cls: type[T], values: Mapping[str, Any], path: str = "") -> T:
    """The dataclass `cls` with `values`; its defaults fill in for what is missing.

    Enums are given by name. Raises InputError for a key that `cls` does not have (with the
    nearest that it has) and for a value of another type; `path` is the key of `values` itself.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{path}={values!r} must be a group of settings")
    cls = _concrete(cls, values, path)
    hints = typing.get_type_hints(cls)
    names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    arguments = {}
    for name, value in values.items():
        key = f"{path}.{name}" if path else str(name)
        if name not in names:
            raise InputError(unknown_key(key, _keys_beside(key, names)))
        arguments[name] = _convert(hints[name], value, key)
    return cls(**arguments)


def to_mapping(settings: Any) -> dict[str, Any]:
    """The plain mapping of a dataclass: nested mappings, lists, text, numbers, enums by name."""
    return {field.name: _plain(getattr(settings, field.name)) for field in fields(settings)}


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one mapping with dotted keys."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def save_settings(settings: Any, file: Path) -> None:
    """Write `settings` as YAML."""
    text = yaml.safe_dump(to_mapping(settings), sort_keys=False, allow_unicode=True)
    file.write_text(text, encoding="utf-8")


def load_settings(cls: type[T], file: Path) -> T:
    """The settings that `save_settings` wrote; InputError if the file is not such a one."""
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file} cannot be read as settings: {reason}") from error
    if not isinstance(values, Mapping):
        raise InputError(f"{file} holds no settings")
    try:
        return from_mapping(cls, _regrouped(values))
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def _regrouped(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """`values` of a settings file, also of one from before cleaning was a group of its own."""
    data = values.get("data")
    if not isinstance(data, Mapping) or not isinstance(data.get("cleaning"), Mapping):
        return values
    others = {name: value for name, value in data.items() if name != "cleaning"}
    cleaning = dict(data["cleaning"])
    if isinstance(cleaning.get("duplicates"), bool):
        cleaning["duplicates"] = "exact" if cleaning["duplicates"] else "none"
    return {**values, "data": others, "cleaning": cleaning}


def unknown_key(key: str, known: list[str]) -> str:
    """The message for a `key` that is none of `known`: names the nearest one, or all."""
    nearest = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
    return f"there is no setting {key}; {hint}"


def expected(hint: Any) -> str:
    """What a setting with the type `hint` takes, in words: "must be …"."""
    if isinstance(hint, types.UnionType):
        return f"null or {expected(_without_none(hint))}"
    if is_dataclass(hint):
        return "a group of settings"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return f"one of {', '.join(hint.__members__)}"
    if typing.get_origin(hint) is list:
        (inner,) = typing.get_args(hint)
        named = isinstance(inner, type) and issubclass(inner, Enum)
        names = list(inner.__members__) if named else ["a", "b"]
        return f"a list, as in [{','.join(names[:2])}]" + (
            f", of {', '.join(names)}" if named else ""
        )
    return _NAMES[hint]


def _without_none(hint: types.UnionType) -> Any:
    (option,) = [option for option in typing.get_args(hint) if option is not type(None)]
    return option


def _keys_beside(key: str, names: list[str]) -> list[str]:
    parent = key.rpartition(".")[0]
    return [f"{parent}.{name}" if parent else name for name in names]


def _concrete(cls: type[T], values: Mapping[str, Any], path: str) -> type[T]:
    """`cls` itself, or of SUBCLASSES the one named by the key `kind`."""
    if cls not in SUBCLASSES:
        return cls
    classes = SUBCLASSES[cls]
    kind = values.get("kind")
    name = kind.name if isinstance(kind, Enum) else str(kind)
    if name not in classes:
        raise InputError(f"{path}.kind={name} must be one of {', '.join(classes)}")
    return classes[name]


def _convert(hint: Any, value: Any, key: str) -> Any:
    if hint is Any:
        return value
    if isinstance(hint, types.UnionType):
        return None if value is None else _convert(_without_none(hint), value, key)
    if is_dataclass(hint):
        return from_mapping(typing.cast(type, hint), value, key)
    if isinstance(hint, type) and issubclass(hint, Enum) and isinstance(value, str):
        value = hint.__members__.get(value, value)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not (typing.get_origin(hint) or hint):
        raise InputError(f"{key}={shown(value)} must be {expected(hint)}")
    if isinstance(value, list):
        (item,) = typing.get_args(hint)
        return [_convert(item, element, f"{key}[{i}]") for i, element in enumerate(value)]
    return value


_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Any: "text or a list of it",
}


def shown(value: Any) -> str:
    """A value as a user would write it."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, list):
        return f"[{','.join(map(shown, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}: {shown(item)}' for key, item in value.items())}}}"
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name
    if is_dataclass(value):
        return to_mapping(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
