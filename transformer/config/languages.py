"""Codes of languages."""

import re

from transformer.errors import require

# An unquoted `no` in YAML is a boolean, which a text field then holds as one of these.
YAML_BOOLEANS = {"True", "False"}

# A language, and what may follow: script, country, variant.
LANGUAGE_CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*")


def check_language(key: str, code: str) -> None:
    """Raise InputError unless `code` looks like the code of a language."""
    require(code != "", f"{key} is not set; give a language code, as in {key}=de")
    require(
        code not in YAML_BOOLEANS,
        f"{key}={code} is no language code; YAML reads an unquoted no or yes as a boolean, so "
        "quote it",
    )
    require(
        LANGUAGE_CODE.fullmatch(code) is not None,
        f"{key}={code} is no language code; use one such as de, zh or pt-BR",
    )
