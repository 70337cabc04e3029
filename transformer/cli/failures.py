"""What Hydra and OmegaConf say of a user's mistake, in one line of our own."""

import difflib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import yaml
from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from transformer.cli.settings import settings_of
from transformer.errors import InputError


def unknown_setting(
    key: str, cls: type[Any], groups: Mapping[str, str | None], kind: str | None
) -> str | None:
    """Why the settings `cls` have no `key`, with the nearest that they have; None if they do.

    `groups` are the groups that may be chosen from, `kind` the kind of data in force.
    """
    known = settings_of(cls)
    if key in known:
        kinds = known[key].kinds
        if not kinds or kind is None or kind in kinds:
            return None
        owners = " and ".join(f"data={owner}" for owner in kinds)
        return f"there is no setting {key} with data={kind}; it belongs to {owners}"
    if key in groups or any(name.startswith(f"{key}.") for name in known):
        return None
    in_force = [
        name for name, each in known.items() if not each.kinds or kind in (None, *each.kinds)
    ]
    names = in_force if "." in key else [*in_force, *groups]
    return f"there is no setting {key}; {_hint(key, names)}"


def _hint(key: str, known: list[str]) -> str:
    """The nearest of `known`: by its name anywhere, by its name beside `key`, by the whole key."""
    group, _, last = key.rpartition(".")
    by_name = {name.rpartition(".")[2]: name for name in reversed(known)}
    beside = [name for name in known if group and name.rpartition(".")[0] == group]
    nearest = (
        by_name.get(last)
        or _closest(key, beside, cutoff=0.8)
        or (None if beside else _closest(key, known))
        or by_name.get(_closest(last, list(by_name)) or "")
    )
    if nearest:
        return f"did you mean {nearest}?"
    return f"there are {', '.join(beside)}" if beside else "--help lists them all"


def _closest(word: str, words: list[str], cutoff: float = 0.6) -> str | None:
    return next(iter(difflib.get_close_matches(word, words, n=1, cutoff=cutoff)), None)


@contextmanager
def readable_failures(cls: type[Any]) -> Iterator[None]:
    """Turns the exceptions of Hydra, OmegaConf and YAML into InputError."""
    try:
        yield
    except MissingConfigException as error:
        raise InputError(_missing(error)) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(_explain(error, cls)) from error
    except yaml.YAMLError as error:
        raise InputError(f"YAML cannot be read: {' '.join(str(error).split())}") from error


def _missing(error: MissingConfigException) -> str:
    name = error.missing_cfg_file
    if not isinstance(name, str) or not error.options:
        return str(error).splitlines()[0]
    group, _, option = name.rpartition("/")
    return f"{group}={option}: there is no such {group}; there are {', '.join(error.options)}"


def _explain(error: Exception, cls: type[Any]) -> str:
    """One line: the file if a file is to blame, the key, the value, and what it takes."""
    text = "\n".join(str(part) for part in (error, error.__cause__) if part)
    where = re.search(r"In '(.+?)': ", text)
    prefix = f"{where[1]}.yaml: " if where else ""
    found = re.search(r"full_key: (\S+)", text)
    if not found:
        return prefix + re.sub(r"^In '.+?': ", "", text.splitlines()[0])
    key = found[1].partition("[")[0]
    if where and key == where[1].partition("/")[0]:
        return f"{prefix}its first line must be # @package _global_"
    if "nterpolation" in text:
        return f"{prefix}{key}: {text.splitlines()[0]}"
    unknown = unknown_setting(key, cls, {}, None)
    if unknown:
        return prefix + unknown
    return prefix + _wrong_type(key, text, cls)


def _wrong_type(key: str, text: str, cls: type[Any]) -> str:
    value = re.search(r"(?:Error merging override [^=]+=|alue ')(.*?)('|$)", text, re.MULTILINE)
    setting = settings_of(cls).get(key)
    if setting is None:
        return f"{key} is a group of settings; give each by its own key"
    given = value[1] if value else ""
    digits = " in digits" if re.fullmatch(r"[\d.]+e\+?\d+", given) else ""
    equals = "=" if value else ""
    return f"{key}{equals}{given} must be {setting.expected}{digits}"
